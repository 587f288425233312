"""From an empty database to the newest schema, which is what the tables say, on both databases."""

from __future__ import annotations

from importlib import import_module

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import inspect

from services.chassis import migrations
from services.petition.adapters.tables import metadata

TOGETHER = [migrations.chassis_metadata, metadata]


def differences(db):
    return migrations.differences(db.url.render_as_string(hide_password=False), TOGETHER)


def test_an_empty_database_comes_to_what_the_tables_say(service_db):
    assert differences(service_db("petition")) == []


def test_a_missing_column_would_be_noticed(service_db):
    db = service_db("petition")
    with db.transaction() as tx:
        tx.conn.exec_driver_sql("ALTER TABLE petitions DROP COLUMN evaluation_comment")
    assert len(differences(db)) == 1


def test_migrating_again_changes_nothing(service_db):
    url = service_db("petition").url.render_as_string(hide_password=False)
    assert migrations.migrate("petition", url) == migrations.head("petition") == migrations.current(url)


def test_the_first_step_can_be_taken_back(service_db, monkeypatch):
    first = import_module("services.petition.migrations.versions.0001_petitions")
    db = service_db("petition")
    with db.transaction() as tx:
        operations = Operations(MigrationContext.configure(tx.conn))
        monkeypatch.setattr(first, "op", operations)
        first.downgrade()
    left = set(inspect(db.engine).get_table_names())
    assert not left & set(metadata.tables)
