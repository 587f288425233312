"""A directory to test in: a migrated and seeded database, and the service built on it as in production."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.chassis import datakey, migrations
from services.chassis.database import Database
from services.grid.adapters.seeds import seed
from services.grid.tests.office import TIER, Office


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with grid's schema and the shipped tables: migrating for each test would take too long."""
    path = tmp_path_factory.mktemp("grid") / "template.db"
    migrations.migrate("grid", f"sqlite:///{path}")
    db = Database(f"sqlite:///{path}")
    seed(db, TIER)
    with db.engine.connect() as conn:
        conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return path


@pytest.fixture
def grid_db(backend: str, new_url: Callable[[], str], template: Path) -> Iterator[Database]:
    """A database of grid's own, with the shipped tables."""
    db = Database(new_url())
    if backend == "sqlite":
        shutil.copy(template, str(db.url.database))
    else:
        migrations.migrate("grid", db.url.render_as_string(hide_password=False))
        seed(db, TIER)
    yield db
    db.close()


@pytest.fixture
def office(grid_db: Database, tmp_path: Path) -> Iterator[Office]:
    """The office that keeps the directory, with its keeper at the desk."""
    datakey.create(tmp_path / "data.key")
    with Office(grid_db, tmp_path) as opened:
        yield opened
