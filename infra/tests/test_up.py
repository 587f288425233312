"""`make up` finds its servers, starts one process per service and role, and ends what it started."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are not installed

from infra import backing
from infra.backing import COMPOSE_FILE, compose, compose_settings, find_backing
from infra.data_dir import CannotStart
from infra.processes import answers, free_port, is_running
from infra.servers import PostgresServer, RabbitServer, ServerMissing, Servers
from infra.testing import GivenPostgres, GivenRabbit
from infra.tests.launched import Launched

DOCKER = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/docker.calls"
"""


def up(folder: Path, **env: str) -> Launched:
    return Launched("infra.up", folder, fake="", port=0, **env)


@pytest.fixture
def no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backing, "missing_packages", lambda: ["postgresql", "rabbitmq-server"])


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` that says yes to everything and remembers what it was told."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(DOCKER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program.parent / "docker.calls"


@pytest.mark.parametrize("name", ["RABBITMQ_URL", "DATABASE_URL"])
def test_one_url_without_the_other_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CannotStart, match="RABBITMQ_URL 和 DATABASE_URL"):
        find_backing(tmp_path, {name: "x"}, install=False)


def test_a_named_server_that_does_not_answer_is_told_without_its_password(tmp_path: Path) -> None:
    port = free_port()
    given = {
        "RABBITMQ_URL": f"amqp://u:hidden@127.0.0.1:{port}/",
        "DATABASE_URL": "postgresql+psycopg://u:p@h/postgres",
    }
    with pytest.raises(CannotStart, match=f"RABBITMQ_URL .*127.0.0.1:{port}") as refused:
        find_backing(tmp_path, given, install=False)
    assert "hidden" not in str(refused.value)


@pytest.mark.usefixtures("no_servers")
def test_with_neither_servers_nor_docker_the_command_to_type_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backing, "docker_answers", lambda: False)
    with pytest.raises(ServerMissing, match="apt-get install -y postgresql rabbitmq-server"):
        find_backing(tmp_path, {}, install=False)


@pytest.mark.usefixtures("no_servers")
def test_docker_is_used_when_it_answers_and_told_to_end_what_it_started(tmp_path: Path, docker: Path) -> None:
    found = find_backing(tmp_path, {}, install=False)
    settings = compose_settings(tmp_path / "compose.env")
    serving, owner = settings["SERVING_PASSWORD"], settings["POSTGRES_PASSWORD"]
    assert found.database_url.startswith(f"postgresql+psycopg://zongzhi_app:{serving}@127.0.0.1:")
    assert found.database_owner_url.startswith(f"postgresql+psycopg://zongzhi:{owner}@127.0.0.1:")
    assert settings["RABBITMQ_PASSWORD"] in found.rabbitmq_url
    found.stop()
    calls = docker.read_text().splitlines()
    assert [call.split(str(COMPOSE_FILE))[-1].strip() for call in calls] == [
        "info", "compose version", "up --detach --wait", "down",
    ]  # fmt: skip


@pytest.mark.usefixtures("docker")
def test_passwords_of_containers_are_kept_because_their_volumes_remember_them(tmp_path: Path) -> None:
    assert compose(tmp_path).rabbitmq_url == compose(tmp_path).rabbitmq_url
    assert (tmp_path / "compose.env").stat().st_mode & 0o077 == 0


def test_every_variable_of_the_compose_file_is_written_and_every_mounted_file_exists(tmp_path: Path) -> None:
    described = yaml.safe_load(COMPOSE_FILE.read_text())
    text = COMPOSE_FILE.read_text()
    assert all(f"${{{name}" in text for name in compose_settings(tmp_path / "compose.env"))
    assert text.count("${") == len(compose_settings(tmp_path / "compose.env"))
    for service in described["services"].values():
        assert service["healthcheck"]["test"]
        mounted = [v.split(":")[0] for v in service["volumes"] if v.startswith("./")]
        assert mounted
        assert all((COMPOSE_FILE.parent / file).is_file() for file in mounted)


@pytest.mark.servers
def test_each_service_and_role_is_a_process_and_all_end_in_order(
    tmp_path: Path, postgres: PostgresServer | GivenPostgres, rabbit: RabbitServer | GivenRabbit
) -> None:
    with up(tmp_path / ".run", RABBITMQ_URL=rabbit.url, DATABASE_URL=postgres.url()) as launched:
        district = launched.ready()
        services = list(district["grpc"])
        roles = [f"{role}-{service}" for role in ("serve", "work") for service in services]
        assert list(district["processes"]) == [*roles, "gateway"]
        assert all(answers(int(address.rpartition(":")[2])) for address in district["grpc"].values())
        calls = {" ".join(call["words"]): call for call in launched.calls()}
        assert calls["gateway"]["BUS_URL"] == rabbit.url
        # The databases are made by the command that migrates them.
        assert calls["migrate --create"]["DATABASE_URL"] == postgres.url()
        for service in services:
            assert f"127.0.0.1:{calls[f'serve {service}']['GRPC_PORT']}" == district["grpc"][service]
        began = time.monotonic()
        launched.process.send_signal(signal.SIGTERM)
        assert launched.ended()[0] == 0
        assert time.monotonic() - began < 10
        assert not any(is_running(pid, "fake_zongzhi") for pid in district["processes"].values())


@pytest.mark.servers
def test_when_one_process_dies_it_is_named_and_the_others_end(
    tmp_path: Path, postgres: PostgresServer | GivenPostgres, rabbit: RabbitServer | GivenRabbit
) -> None:
    with up(tmp_path / ".run", RABBITMQ_URL=rabbit.url, DATABASE_URL=postgres.url()) as launched:
        processes = launched.ready()["processes"]
        victim = next(name for name in processes if name.startswith("work-"))
        os.kill(processes[victim], signal.SIGKILL)
        code, _, told = launched.ended()
    assert code == 1
    assert f"{victim} 已退出(代码 -9)" in told
    assert not any(is_running(pid, "fake_zongzhi") for pid in processes.values())


@pytest.mark.servers
def test_servers_of_our_own_are_started_under_the_folder_and_stopped_with_the_district(tmp_path: Path) -> None:
    own = {"RABBITMQ_URL": "", "DATABASE_URL": ""}
    servers = Servers(tmp_path / ".run" / "servers")
    with up(tmp_path / ".run", **own) as launched:
        assert launched.ready()["processes"]
        assert servers.postgres.pid
        assert servers.rabbit.pid
    assert launched.process.returncode == 0
    assert servers.postgres.pid is None
    assert servers.rabbit.pid is None
