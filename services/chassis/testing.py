"""Fixtures for tests of stores: the same test runs on a SQLite file and, marked `servers`, on a real PostgreSQL.

    db           a database with the chassis tables
    service_db   a factory: service_db("petition") is a new database with that service's schema
    new_url      a factory: the URL of a new, empty database

A test or class that means one database only overrides the fixture `backend` (and is marked `servers` for PostgreSQL).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations

from services.chassis import migrations, migrations_v1, migrations_v2
from services.chassis.database import Database

BACKENDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """`sqlite` or `postgresql`; the second one needs a server."""
    return str(request.param)


@pytest.fixture
def new_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Makes empty databases and drops them after the test."""
    names: list[str] = []
    postgres = request.getfixturevalue("postgres") if backend == "postgresql" else None

    def make() -> str:
        names.append(f"test_{uuid4().hex}")
        return f"sqlite:///{tmp_path / names[-1]}.db" if postgres is None else postgres.create_database(names[-1])

    yield make
    if postgres is not None:
        for name in names:
            postgres.drop_database(name)


@pytest.fixture
def db(new_url: Callable[[], str], chassis_file: Path) -> Iterator[Database]:
    """A database with the chassis tables and no service's own."""
    database = Database(new_url())
    if database.is_sqlite:
        shutil.copyfile(chassis_file, str(database.url.database))
    else:
        create_chassis_tables(database)
    yield database
    database.close()


@pytest.fixture(scope="session")
def chassis_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the chassis tables, to be copied: faster than making them for each test."""
    file = tmp_path_factory.mktemp("chassis") / "chassis.db"
    database = Database(f"sqlite:///{file}")
    create_chassis_tables(database)
    database.close()
    return file


@pytest.fixture
def service_db(new_url: Callable[[], str]) -> Iterator[Callable[[str], Database]]:
    """A new database per call, brought to its newest schema by the service's own migrations."""
    made: list[Database] = []

    def make(name: str) -> Database:
        url = new_url()
        migrations.migrate(name, url)
        made.append(Database(url))
        return made[-1]

    yield make
    for database in made:
        database.close()


def create_chassis_tables(database: Database) -> None:
    """The schema of the chassis alone, made by the migration's own code."""
    with database.transaction() as tx:
        operations = Operations(MigrationContext.configure(tx.conn))
        migrations_v1.create(operations)
        migrations_v2.create(operations)
