"""A petition hall to test in: a migrated and seeded database, and the service built on it as in production.

SQLite databases are copies of one that was migrated once; migrating for each test would take most of the time.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.chassis import datakey, migrations
from services.chassis.database import Database
from services.chassis.directory_store import seed
from services.petition.tests.hall import Hall


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with petition's schema, divisions and offices."""
    path = tmp_path_factory.mktemp("petition") / "template.db"
    migrations.migrate("petition", f"sqlite:///{path}")
    db = Database(f"sqlite:///{path}")
    seed(db)
    with db.engine.connect() as conn:
        conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return path


@pytest.fixture
def petition_db(backend: str, new_url: Callable[[], str], template: Path) -> Iterator[Database]:
    """A database of petition's own, with divisions and offices."""
    db = Database(new_url())
    if backend == "sqlite":
        shutil.copy(template, str(db.url.database))
    else:
        migrations.migrate("petition", db.url.render_as_string(hide_password=False))
        seed(db)
    yield db
    db.close()


@pytest.fixture
def hall(petition_db: Database, tmp_path: Path) -> Iterator[Hall]:
    """The reception hall, with an officer of 341702-XFJ at the desk."""
    datakey.create(tmp_path / "data.key")
    with Hall(petition_db, tmp_path) as opened:
        yield opened
