"""A mediation centre to test in: a migrated database, and the service built on it as in production.

SQLite databases are copies of one that was migrated once; migrating for each test would take most of the time.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.chassis import directory_store, migrations
from services.chassis.database import Database
from services.mediation.tests.centre import Centre
from services.mediation.tests.wire import Wire, a_wire


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with mediation's schema and the shipped directory."""
    path = tmp_path_factory.mktemp("mediation") / "template.db"
    migrations.migrate("mediation", f"sqlite:///{path}")
    db = Database(f"sqlite:///{path}")
    directory_store.seed(db)
    with db.engine.connect() as conn:
        conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return path


@pytest.fixture
def mediation_db(backend: str, new_url: Callable[[], str], template: Path) -> Iterator[Database]:
    """A database of mediation's own."""
    db = Database(new_url())
    if backend == "sqlite":
        shutil.copy(template, str(db.url.database))
    else:
        migrations.migrate("mediation", db.url.render_as_string(hide_password=False))
        directory_store.seed(db)
    yield db
    db.close()


@pytest.fixture
def centre(mediation_db: Database, tmp_path: Path) -> Iterator[Centre]:
    """The mediation centre, with a mediator of 341702-SFJ at the desk."""
    with Centre(mediation_db, tmp_path) as opened:
        yield opened


@pytest.fixture
def wire(centre: Centre, tmp_path: Path) -> Iterator[Wire]:
    """The same centre behind real gRPC on loopback, asked with signed tokens."""
    with a_wire(centre, tmp_path) as connected:
        yield connected
