"""Whoever serves can work and cannot rewrite what was audited, alter tables or take the guards away (PostgreSQL)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from sqlalchemy import Engine, NullPool, create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from infra.postgres.server import create_role
from services.chassis import audit, grants, migrations
from services.chassis.database import Database
from services.chassis.identity import Identity
from services.chassis.tables import metadata

pytestmark = pytest.mark.servers
CLERK = Identity("clerk", "341702000000", unit="341702-XFJ")


@pytest.fixture
def backend() -> str:
    """SQLite has no roles; its triggers alone guard the audit."""
    return "postgresql"


@pytest.fixture
def served(new_url: Callable[[], str]) -> Iterator[tuple[str, str]]:
    """A migrated database: its URL as owner, and as the role that serves."""
    owner, role = new_url(), f"app_{uuid4().hex[:8]}"
    serving = create_role(owner, role, "long-enough")
    migrations.migrate("petition", owner, serving)
    yield owner, serving
    with engine(owner).connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text(f"DROP OWNED BY {role}"))
        conn.execute(text(f"DROP ROLE {role}"))


def engine(url: str) -> Engine:
    return create_engine(url, poolclass=NullPool)


def test_the_serving_role_works_on_every_table_and_its_audit_row_is_kept(served: tuple[str, str]) -> None:
    db = Database(served[1])
    with db.transaction(CLERK) as tx:
        audit.write(tx, "test.deed", "petition", "p-1")
    with db.reading() as conn:
        assert conn.scalar(text("SELECT count(*) FROM audit")) == 1
        for table in metadata.sorted_tables:
            conn.execute(text(f"SELECT count(*) FROM {table.name}"))
    db.close()


@pytest.mark.parametrize(
    "deed",
    [
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "DELETE FROM audit_seals",
        "ALTER TABLE audit DISABLE TRIGGER ALL",
        "DROP TRIGGER audit_append_only ON audit",
        "DROP TABLE outbox",
        "CREATE TABLE mine (id int)",
        "UPDATE alembic_version SET version_num = '0000'",
    ],
)
def test_the_serving_role_rewrites_nothing(served: tuple[str, str], deed: str) -> None:
    with engine(served[1]).connect() as conn, pytest.raises(ProgrammingError, match="permission denied|must be owner"):
        conn.execute(text(deed))


def test_giving_again_changes_nothing_and_takes_back_what_was_too_much(served: tuple[str, str]) -> None:
    owner, serving = served
    role = make_url(serving).username
    with engine(owner).begin() as conn:
        conn.execute(text(f"GRANT UPDATE ON audit TO {role}"))
    migrations.migrate("petition", owner, serving)
    with engine(owner).connect() as conn:
        assert not conn.scalar(text(f"SELECT has_table_privilege('{role}', 'audit', 'UPDATE')"))
        assert conn.scalar(text(f"SELECT has_table_privilege('{role}', 'audit', 'INSERT')"))


def test_a_role_that_is_not_there_is_a_sentence(new_url: Callable[[], str]) -> None:
    owner = new_url()
    nobody = make_url(owner).set(username="nobody_here").render_as_string(hide_password=False)
    with pytest.raises(grants.NoSuchRole, match="CREATE ROLE nobody_here"):
        migrations.migrate("petition", owner, nobody)
