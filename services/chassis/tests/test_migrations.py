"""Schemas: from nothing to the newest, once, whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import create_engine, inspect, text

from services.chassis import migrations, migrations_v1, migrations_v2
from services.chassis.database import Database
from services.chassis.migrations import MigrationFailed

ROOT = Path(__file__).parents[3]

ENV = """
from sqlalchemy import Column, ForeignKey, MetaData, String, Table

from services.chassis import migrations

metadata = MetaData()
Table("cases", metadata, Column("id", String(36), primary_key=True), Column("name", String(40), nullable=False))
Table("parts", metadata, Column("id", String(36), primary_key=True),
      Column("case_id", String(36), ForeignKey("cases.id", ondelete="CASCADE"), nullable=False))

migrations.run_env([migrations.chassis_metadata, metadata])
"""

FIRST = """
from alembic import op
from sqlalchemy import Column, ForeignKey, String

from services.chassis import migrations_v1, migrations_v2

revision, down_revision, branch_labels, depends_on = "0001", None, None, None


def upgrade() -> None:
    migrations_v1.create(op)
    migrations_v2.create(op)
    op.create_table("cases", Column("id", String(36), primary_key=True), Column("name", String(20)))
    op.create_table("parts", Column("id", String(36), primary_key=True),
                    Column("case_id", String(36), ForeignKey("cases.id", ondelete="CASCADE"), nullable=False))


def downgrade() -> None:
    op.drop_table("parts")
    op.drop_table("cases")
    migrations_v2.drop(op)
    migrations_v1.drop(op)
"""

SECOND = """
from alembic import op
from sqlalchemy import String

revision, down_revision, branch_labels, depends_on = "0002", "0001", None, None


def upgrade() -> None:
    with op.batch_alter_table("cases") as cases:
        cases.alter_column("name", type_=String(40), existing_type=String(20), nullable=False)


def downgrade() -> None:
    pass
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The migrations of an invented service `archive`."""
    versions = tmp_path / "100% 服务" / "archive" / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions.parent / "env.py").write_text(ENV)
    (versions / "0001_archive.py").write_text(FIRST)
    monkeypatch.setattr(migrations, "SERVICES", versions.parents[2])
    return versions


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    return new_url()


def run(url: str, *statements: str) -> list[object]:
    engine = create_engine(url)
    with engine.begin() as conn:
        results = [conn.execute(text(statement)) for statement in statements]
        rows: list[object] = list(results[-1].scalars()) if results[-1].returns_rows else []
    engine.dispose()
    return rows


def tables(url: str) -> set[str]:
    engine = create_engine(url)
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    return {name for name in names if not name.startswith("search_fts")}


@pytest.mark.usefixtures("tree")
class TestMigrate:
    def test_an_empty_database_reaches_the_newest_schema(self, url: str) -> None:
        assert migrations.current(url) is None
        assert migrations.migrate("archive", url) == migrations.head("archive") == migrations.current(url) == "0001"
        assert tables(url) == {*migrations.chassis_metadata.tables, "cases", "parts", "alembic_version"}

    def test_the_chassis_models_match_what_the_migration_makes(self, url: str) -> None:
        migrations.migrate("archive", url)
        run(url, "DROP TABLE parts", "DROP TABLE cases")
        assert migrations.differences(url, [migrations.chassis_metadata]) == []

    @pytest.mark.parametrize("broken", ["DROP INDEX deadlines_running", "ALTER TABLE timeline ADD COLUMN more TEXT"])
    def test_a_difference_from_the_models_is_seen(self, url: str, broken: str) -> None:
        migrations.migrate("archive", url)
        run(url, "DROP TABLE parts", "DROP TABLE cases", broken)
        assert len(migrations.differences(url, [migrations.chassis_metadata])) == 1

    def test_doing_it_twice_changes_nothing(self, url: str) -> None:
        migrations.migrate("archive", url)
        run(url, "INSERT INTO cases VALUES ('c-1', 'one')")
        assert migrations.migrate("archive", url) == "0001"
        assert run(url, "SELECT name FROM cases") == ["one"]

    def test_two_processes_that_migrate_at_once_all_succeed(self, url: str, tree: Path) -> None:
        program = f"""
from pathlib import Path
from services.chassis import migrations
migrations.SERVICES = Path({str(tree.parents[2])!r})
print(migrations.migrate("archive", {url!r}))
"""
        command = [sys.executable, "-c", program]
        others = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        assert [other.communicate(timeout=60)[0].strip() for other in others] == ["0001", "0001"]
        assert [other.returncode for other in others] == [0, 0]

    def test_a_table_can_be_changed_under_rows_that_refer_to_it(self, url: str, tree: Path) -> None:
        migrations.migrate("archive", url)
        run(url, "INSERT INTO cases VALUES ('c-1', 'one')", "INSERT INTO parts VALUES ('p-1', 'c-1')")
        (tree / "0002_longer_names.py").write_text(SECOND)
        assert migrations.migrate("archive", url) == "0002"
        assert run(url, "SELECT case_id FROM parts") == ["c-1"]

    def test_steps_that_fail_leave_the_schema_as_it_was(self, url: str, tree: Path) -> None:
        (tree / "0002_broken.py").write_text(SECOND.replace("    with", "    raise ZeroDivisionError\n    with"))
        with pytest.raises(ZeroDivisionError):
            migrations.migrate("archive", url)
        assert tables(url) <= {"alembic_version"}
        (tree / "0002_broken.py").unlink()
        assert migrations.migrate("archive", url) == "0001"

    def test_a_database_of_a_newer_release_is_left_alone(self, url: str) -> None:
        migrations.migrate("archive", url)
        run(url, "UPDATE alembic_version SET version_num = '0007'")
        assert migrations.current(url) == "0007"
        assert migrations.migrate("archive", url) == "0007"

    def test_a_revision_that_nobody_knows_is_said_in_one_sentence(self, url: str) -> None:
        migrations.migrate("archive", url)
        run(url, "UPDATE alembic_version SET version_num = 'abc'")
        with pytest.raises(MigrationFailed, match=r"abc 不属于本程序.*none of this program's"):
            migrations.migrate("archive", url)

    def test_a_service_without_migrations_is_named(self, url: str) -> None:
        with pytest.raises(MigrationFailed, match="nowhere"):
            migrations.migrate("nowhere", url)

    def test_the_way_back_takes_everything_away(self, url: str, tree: Path) -> None:
        migrations.migrate("archive", url)
        database = Database(url)
        with database.transaction() as tx:
            operations = Operations(MigrationContext.configure(tx.conn))
            migrations_v2.drop(operations)
            migrations_v1.drop(operations)
        database.close()
        assert tables(url) == {"cases", "parts", "alembic_version"}


@pytest.mark.usefixtures("tree")
class TestOnPostgres:
    pytestmark = pytest.mark.servers

    @pytest.fixture
    def backend(self) -> str:
        return "postgresql"

    def test_a_table_in_use_is_not_waited_for_long(self, url: str, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        migrations.migrate("archive", url)
        (tree / "0002_longer_names.py").write_text(SECOND)
        monkeypatch.setattr(migrations, "LOCK_TIMEOUT", "50ms")
        engine = create_engine(url)
        with engine.begin() as clerk:
            clerk.execute(text("LOCK TABLE cases"))
            with pytest.raises(MigrationFailed, match=r"正忙.*busy"):
                migrations.migrate("archive", url)
        engine.dispose()
        assert migrations.migrate("archive", url) == "0002"

    def test_another_process_that_migrates_is_waited_for_and_then_given_up(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(migrations, "WAIT_FOR_TURN_S", 0.05)
        engine = create_engine(url)
        with engine.connect() as other:
            other.execute(text("SELECT pg_advisory_lock(:key)"), {"key": migrations.LOCK})
            with pytest.raises(MigrationFailed, match="Another process"):
                migrations.migrate("archive", url)
        engine.dispose()

    def test_a_missing_database_is_made_once(self, url: str) -> None:
        missing = url + "_more"
        for _ in range(2):
            migrations.create_database(missing)
        try:
            assert migrations.current(missing) is None
            assert run(missing, "SHOW server_encoding") == ["UTF8"]
        finally:
            engine = create_engine(url, isolation_level="AUTOCOMMIT")
            with engine.connect() as conn:
                conn.exec_driver_sql(f'DROP DATABASE "{missing.rpartition("/")[2]}" WITH (FORCE)')
            engine.dispose()


def test_creating_a_sqlite_database_is_left_to_sqlite(tmp_path: Path) -> None:
    migrations.create_database(f"sqlite:///{tmp_path}/new.db")
    assert list(tmp_path.iterdir()) == []
