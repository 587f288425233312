"""From an empty database to the newest schema, which is what the tables say, on both databases."""

from __future__ import annotations

from alembic import command
from sqlalchemy import inspect

from services.chassis import migrations
from services.grid.adapters.tables import metadata


def test_an_empty_database_comes_to_what_the_tables_say(service_db):
    url = service_db("grid").url.render_as_string(hide_password=False)
    assert migrations.differences(url, [migrations.chassis_metadata, metadata]) == []


def test_every_step_can_be_taken_back(service_db):
    db = service_db("grid")
    config = migrations._config("grid")
    with db.engine.connect() as conn, conn.begin():
        if db.is_sqlite:
            conn.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = conn
        command.downgrade(config, "base")
    assert [name for name in inspect(db.engine).get_table_names() if name != "alembic_version"] == []
