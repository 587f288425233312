"""Where `make up` takes RabbitMQ and PostgreSQL from: named by the environment, installed here, or Docker Compose."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pika
import psycopg

from infra.data_dir import CannotStart
from infra.launch import ROOT, say
from infra.postgres.server import SERVING_USER, USER
from infra.processes import LOOPBACK, ProcessFailed, free_port, new_password, port_is_free, run
from infra.servers import ServerMissing, Servers, ensure_installed, missing_packages

COMPOSE_FILE = ROOT / "infra" / "compose.yaml"
COMPOSE_PORTS = {"POSTGRES_PORT": 5432, "RABBITMQ_PORT": 5672, "RABBITMQ_MANAGEMENT_PORT": 15672}


@dataclass(frozen=True)
class Backing:
    """A broker and a database server that answer. `stop` ends what we started and nothing else."""

    rabbitmq_url: str
    database_url: str
    stop: Callable[[], None]
    # The role that owns the tables; empty when that of `database_url` does.
    database_owner_url: str = ""


def find_backing(folder: Path, given: Mapping[str, str], install: bool) -> Backing:
    """Takes the first that there is. Raises ServerMissing with the command to type, or CannotStart."""
    rabbitmq_url, database_url = given.get("RABBITMQ_URL", ""), given.get("DATABASE_URL", "")
    if rabbitmq_url and database_url:
        owner = given.get("DATABASE_OWNER_URL", "")
        return _checked(Backing(rabbitmq_url, database_url, lambda: None, owner))
    if rabbitmq_url or database_url:
        raise CannotStart(
            "RABBITMQ_URL 和 DATABASE_URL 须同时设置,或都不设置。Set both RABBITMQ_URL and DATABASE_URL, or neither."
        )
    if not missing_packages() or install:
        ensure_installed(install)
        return installed(folder / "servers")
    if docker_answers():
        return compose(folder)
    raise ServerMissing(missing_packages())


def installed(folder: Path) -> Backing:
    """Servers of our own in a folder; those that ran before we came run on after we go."""
    servers = Servers(folder)
    ran = {server for server in (servers.postgres, servers.rabbit) if server.pid}
    say("启动 PostgreSQL 和 RabbitMQ …", f"starting PostgreSQL and RabbitMQ in {folder}")

    def stop() -> None:
        for server in (servers.rabbit, servers.postgres):
            if server not in ran:
                server.stop()

    try:
        servers.start()
        serving = servers.postgres.serving_url()
    except BaseException:
        stop()
        raise
    return Backing(servers.rabbit.url, serving, stop, servers.postgres.url())


def docker_answers() -> bool:
    """Whether there is a Docker daemon, and Compose."""
    if shutil.which("docker") is None:
        return False
    try:
        run(["docker", "info"], timeout=10)
        run(["docker", "compose", "version"], timeout=10)
    except ProcessFailed:
        return False
    return True


def compose(folder: Path) -> Backing:
    """Containers; their volumes stay when they are stopped."""
    settings = compose_settings(folder / "compose.env")
    command = ["docker", "compose", "--env-file", str(folder / "compose.env"), "--file", str(COMPOSE_FILE)]
    say("以 Docker Compose 启动 PostgreSQL 和 RabbitMQ …", "starting PostgreSQL and RabbitMQ with Docker Compose")
    run([*command, "up", "--detach", "--wait"], timeout=600)
    server = f"{LOOPBACK}:{settings['POSTGRES_PORT']}/postgres"
    return Backing(
        f"amqp://zongzhi:{settings['RABBITMQ_PASSWORD']}@{LOOPBACK}:{settings['RABBITMQ_PORT']}/%2F",
        f"postgresql+psycopg://{SERVING_USER}:{settings['SERVING_PASSWORD']}@{server}",
        lambda: _run_quietly([*command, "down"]),
        f"postgresql+psycopg://{USER}:{settings['POSTGRES_PASSWORD']}@{server}",
    )


def _run_quietly(command: list[str]) -> None:
    run(command, timeout=60)


def compose_settings(file: Path) -> dict[str, str]:
    """Passwords and ports of the containers: made once, then read again, as the volumes remember the passwords."""
    if not file.exists():
        ports = {name: str(port if port_is_free(port) else free_port()) for name, port in COMPOSE_PORTS.items()}
        secrets = ("POSTGRES_PASSWORD", "SERVING_PASSWORD", "RABBITMQ_PASSWORD")
        made = {name: new_password() for name in secrets} | ports
        file.touch(mode=0o600)
        file.write_text("".join(f"{name}={value}\n" for name, value in made.items()))
    lines = file.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _checked(backing: Backing) -> Backing:
    """Both answer with the given names and passwords. Passwords never enter the sentence."""
    try:
        with pika.BlockingConnection(pika.URLParameters(backing.rabbitmq_url)):
            pass
    except (pika.exceptions.AMQPError, OSError, ValueError) as error:
        raise _unreachable("RABBITMQ_URL", backing.rabbitmq_url) from error
    try:
        psycopg.connect(backing.database_url.replace("+psycopg", "", 1), connect_timeout=5).close()
    except psycopg.Error as error:
        raise _unreachable("DATABASE_URL", backing.database_url) from error
    return backing


def _unreachable(name: str, url: str) -> CannotStart:
    where = urlsplit(url).netloc.rpartition("@")[2] or "?"
    return CannotStart(
        f"{name} 所指的服务器 {where} 无法连接或拒绝登录;请核对地址、用户名和密码。"
        f"The server {where} that {name} names does not answer or refuses the login; check address, user and password."
    )
