"""From an empty database to the newest schema, which is what the tables say, on both databases."""

from __future__ import annotations

from alembic import command
from sqlalchemy import inspect

from services.chassis import directory_store, migrations
from services.chassis.directory import Directory
from services.chassis.directory_entries import Division, Unit
from services.petition.adapters.schema import metadata

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


def test_every_step_can_be_taken_back(service_db):
    db = service_db("petition")
    downgrade(db, "base")
    left = set(inspect(db.engine).get_table_names())
    assert not left & set(metadata.tables)


def test_an_older_copy_of_the_directory_moves_over_and_is_seeded_anew(service_db):
    db = service_db("petition")
    downgrade(db, "0004")
    with db.transaction() as tx:
        tx.conn.exec_driver_sql("INSERT INTO divisions VALUES ('341702102000', '旧名', 'town', '341702000000')")
        tx.conn.exec_driver_sql("INSERT INTO offices VALUES ('341702-XFJ', '信访局', 'hall')")
    migrations.migrate("petition", db.url.render_as_string(hide_password=False))
    directory = Directory(db)
    assert directory.division("341702102000") == Division("341702102000", "旧名", "town", "341702000000")
    assert directory.unit("341702-XFJ") == Unit("341702-XFJ", "信访局", "hall")
    assert directory_store.seed(db) > 1000
    directory.forget()
    moved = directory.division("341702102000")
    assert moved is not None
    assert moved.name == "涓桥镇"


def downgrade(db, revision):
    with db.engine.connect() as conn, conn.begin():
        if db.is_sqlite:
            conn.exec_driver_sql("BEGIN IMMEDIATE")
        config = migrations._config("petition")
        config.attributes["connection"] = conn
        command.downgrade(config, revision)
