"""Fixtures for tests that need a real PostgreSQL or RabbitMQ; such tests carry `@pytest.mark.servers`.

TEST_DATABASE_URL and TEST_RABBITMQ_URL name servers to use; without them, servers are started in a temporary folder,
once for all workers of a run, and stopped by the last one to leave.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar
from uuid import uuid4

import pytest

from infra.processes import locked
from infra.s3.server import S3Missing, S3Server, ensure_built
from infra.servers import PostgresServer, RabbitServer, ServerMissing, create_database, drop_database, ensure_installed


class Server(Protocol):
    """What can be started and stopped."""

    def start(self) -> object:
        """Starts or adopts."""

    def stop(self) -> None:
        """Stops."""


S = TypeVar("S", bound=Server)


class GivenPostgres:
    """The PostgreSQL server that TEST_DATABASE_URL names: a URL of any database on it."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy URL of one database on this server."""
        head, _, query = self._server_url.partition("?")
        return f"{head.rpartition('/')[0]}/{database}" + (f"?{query}" if query else "")

    def serving_url(self) -> str:
        """The URL as the role that serves: on a server that is not ours, the one role that we were given."""
        return self._server_url

    def create_database(self, name: str) -> str:
        """Creates an empty database when there is none of that name, and returns its URL."""
        create_database(self._server_url, name)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drops a database with everything in it."""
        drop_database(self._server_url, name)


class GivenRabbit:
    """The broker that TEST_RABBITMQ_URL names. It is not ours, so it cannot be stopped or broken."""

    def __init__(self, url: str) -> None:
        self.url = url


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer | GivenPostgres]:
    """A PostgreSQL server for the whole run."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield GivenPostgres(given)
        return
    with _shared(PostgresServer, _folder(tmp_path_factory) / "postgres") as server:
        yield server


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer | GivenRabbit]:
    """A broker for the whole run. A test that stops or breaks one starts its own `RabbitServer`."""
    given = os.environ.get("TEST_RABBITMQ_URL")
    if given:
        yield GivenRabbit(given)
        return
    with _shared(RabbitServer, _folder(tmp_path_factory) / "rabbitmq") as server:
        yield server


@pytest.fixture(scope="session")
def blob_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A bucket on an S3 server for the whole run: TEST_BLOB_URL, or a server of our own."""
    given = os.environ.get("TEST_BLOB_URL")
    if given:
        yield given
        return
    try:
        ensure_built()
    except S3Missing as missing:
        pytest.fail(str(missing), pytrace=False)
    # Started per worker: it takes a tenth of a second.
    server = S3Server(tmp_path_factory.mktemp("s3"))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def database_url(postgres: PostgresServer | GivenPostgres) -> Iterator[str]:
    """A fresh, empty UTF-8 database for one test, dropped afterwards."""
    name = f"test_{uuid4().hex}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


def _folder(factory: pytest.TempPathFactory) -> Path:
    """With several workers, the folder above theirs: one run's own, seen by all of them."""
    own = factory.getbasetemp()
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "servers"


@contextmanager
def _shared(make: Callable[[Path], S], folder: Path) -> Iterator[S]:
    try:
        ensure_installed()
    except ServerMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    server = make(folder)
    users = folder / "users"
    mine = users / str(os.getpid())
    with locked(folder / ".users"):
        users.mkdir(exist_ok=True)
        mine.touch()
        server.start()
    try:
        yield server
    finally:
        with locked(folder / ".users"):
            mine.unlink()
            if not any(users.iterdir()):
                server.stop()
