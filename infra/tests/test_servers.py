"""Servers in a folder: they start, are found again, come back after a crash, and leave nothing behind."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pika
import psycopg
import pytest

from infra import servers
from infra.processes import Notes, ProcessFailed, answers, free_port, is_running, port_is_free, run, wait_until
from infra.servers import PostgresServer, RabbitServer, ServerMissing, Servers, ensure_installed
from infra.testing import GivenPostgres


def query(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_a_free_port_can_be_listened_on_and_is_never_one_that_the_kernel_gives_to_clients() -> None:
    ports = [free_port() for _ in range(20)]
    assert all(port_is_free(port) and port < 32_768 for port in ports)
    assert len(set(ports)) > 10


def test_a_program_that_fails_is_quoted() -> None:
    with pytest.raises(ProcessFailed, match=r"sh exit 3: the disk is full"):
        run(["sh", "-c", "echo the disk is full >&2; exit 3"])


def test_a_pid_counts_only_with_the_command_line_that_belongs_to_it() -> None:
    assert is_running(os.getpid(), "python")
    assert not is_running(os.getpid(), "rabbitmq")
    assert not is_running(None, "python")


def test_passwords_are_kept_in_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "server.json")
    notes.remember(password="p", port=1)  # noqa: S106 - an example
    assert notes.remember(port=2) == {"password": "p", "port": 2}
    assert stat.S_IMODE(notes.file.stat().st_mode) == 0o600


def test_a_missing_server_is_one_sentence_with_the_command_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "find_scripts", lambda: None)
    monkeypatch.setattr(servers, "find_binaries", lambda: Path("/usr/bin"))
    with pytest.raises(ServerMissing, match="apt-get install -y rabbitmq-server") as missing:
        ensure_installed()
    assert "\n" not in str(missing.value)


def test_installing_keeps_the_packages_own_services_from_starting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    policy, ran, found = tmp_path / "policy-rc.d", [], iter([None, Path("/usr/bin")])
    monkeypatch.setattr(servers, "find_scripts", lambda: next(found))
    monkeypatch.setattr(servers, "find_binaries", lambda: Path("/usr/bin"))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/apt-get")
    ensure_installed(install=True, policy=policy, run=lambda words, **_: ran.append((words, policy.read_text())))
    assert [words[:2] for words, _ in ran] == [["apt-get", "update"], ["apt-get", "install"]]
    assert ran[1][0][-1] == "rabbitmq-server"
    assert all(text.endswith("exit 101\n") for _, text in ran)
    assert not policy.exists()


def test_a_given_server_is_addressed_by_its_other_databases_too() -> None:
    given = GivenPostgres("postgresql+psycopg://u:p@db:5432/postgres?sslmode=require")
    assert given.url("zongzhi_petition") == "postgresql+psycopg://u:p@db:5432/zongzhi_petition?sslmode=require"


@pytest.mark.servers
def test_a_fresh_database_is_utf8_with_an_explicit_locale(database_url: str) -> None:
    assert query(database_url, "SELECT '综治' || current_setting('server_encoding')") == [("综治UTF8",)]
    facts = query(database_url, "SELECT datcollate, datctype FROM pg_database WHERE datname = current_database()")
    assert facts == [("C.UTF-8", "C.UTF-8")]


@pytest.mark.servers
def test_a_commit_is_on_disk_before_it_is_answered(database_url: str) -> None:
    names = ("fsync", "synchronous_commit", "full_page_writes", "max_connections")
    assert [query(database_url, f"SHOW {name}")[0][0] for name in names] == ["on", "on", "on", "200"]


@pytest.mark.servers
class TestPostgres:
    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[PostgresServer]:
        server = PostgresServer(tmp_path / "数据库 with a space").start()
        yield server
        server.stop()

    def test_what_was_committed_is_there_after_a_crash_and_a_restart(self, server: PostgresServer) -> None:
        url = server.create_database("zongzhi_petition")
        query(url, "CREATE TABLE t AS SELECT 1 AS n")
        server.kill()
        assert server.pid is None
        server.start()
        server.restart()
        assert server.create_database("zongzhi_petition") == url
        assert query(url, "SELECT n FROM t") == [(1,)]

    def test_a_second_start_adopts_the_server_and_stopping_ends_it(self, server: PostgresServer) -> None:
        pid = server.pid
        second = PostgresServer(server.folder).start()
        assert second.pid == pid
        second.stop()
        assert server.pid is None
        assert not answers(server.port)

    def test_it_listens_on_loopback_and_asks_for_the_password(self, server: PostgresServer) -> None:
        assert query(server.url(), "SHOW listen_addresses") == [("127.0.0.1",)]
        with pytest.raises(psycopg.OperationalError, match="password"):
            query(server.url().replace("zongzhi:", "zongzhi:wrong"), "SELECT 1")

    def test_a_taken_port_is_told_with_the_servers_own_words(self, server: PostgresServer, tmp_path: Path) -> None:
        with pytest.raises(ProcessFailed, match="Address already in use"):
            PostgresServer(tmp_path / "second", port=server.port).start()

    def test_a_path_too_long_for_a_socket_is_no_obstacle(self, tmp_path: Path) -> None:
        server = PostgresServer(tmp_path / ("long" * 20) / "pg").start()
        try:
            assert query(server.url(), "SHOW unix_socket_directories") == [("",)]
        finally:
            server.stop()


@pytest.mark.servers
def test_a_broker_keeps_its_messages_loses_its_clients_and_leaves_nothing_behind(tmp_path: Path) -> None:
    broker = RabbitServer(tmp_path / "中 space").start()
    try:
        publish_one(broker)
        assert wait_until(lambda: broker.queues() == {"held": (1, 0)}, timeout=60)
        assert RabbitServer(broker.folder).start().pid == broker.pid
        client_is_thrown_out(broker)
        broker.stop_app()
        assert not answers(broker.port)
        broker.start_app()
        broker.kill()
        assert broker.pid is None
        broker.start()
        assert wait_until(lambda: broker.queues() == {"held": (1, 0)}, timeout=60)
    finally:
        broker.stop()
    notes = Notes(broker.folder / "server.json").read()
    assert broker.pid is None
    assert not any(answers(notes[name]) for name in ("port", "epmd_port", "dist_port"))


def publish_one(broker: RabbitServer) -> None:
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("held", durable=True, arguments={"x-queue-type": "quorum"})
        channel.basic_publish("", "held", b"1", pika.BasicProperties(delivery_mode=2), mandatory=True)


def client_is_thrown_out(broker: RabbitServer) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(broker.url))
    broker.close_all_connections("an exercise")
    with pytest.raises(pika.exceptions.ConnectionClosedByBroker, match="an exercise"):
        wait_until(lambda: connection.process_data_events(0.1) is not None, timeout=60)


@pytest.mark.servers
def test_the_session_broker_accepts_a_client_with_its_password_only(rabbit: RabbitServer) -> None:
    with pika.BlockingConnection(pika.URLParameters(rabbit.url)) as connection:
        assert connection.is_open
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        pika.BlockingConnection(pika.URLParameters(rabbit.url.replace("zongzhi:", "guest:")))


@pytest.mark.servers
def test_the_command_starts_shows_and_stops_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--folder", str(tmp_path / "servers")]
    try:
        assert servers.main(["start", *words, "--print-env"]) == 0
        shown = dict(line.split("=", 1) for line in capsys.readouterr().out.splitlines())
        assert query(shown["DATABASE_URL"], "SELECT 1") == [(1,)]
        assert shown["RABBITMQ_URL"].startswith("amqp://zongzhi:")
        assert servers.main(["status", *words]) == 0
    finally:
        assert servers.main(["stop", *words]) == 0
    assert servers.main(["status", *words]) == 1
    assert "rabbitmq: 未运行 not running" in capsys.readouterr().err
    assert Servers(tmp_path / "servers").postgres.pid is None
