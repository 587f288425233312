"""From an empty database to the newest schema, on both databases, and the models say the same."""

from __future__ import annotations

from collections.abc import Callable

from alembic import command
from sqlalchemy import inspect

from services.chassis import migrations
from services.chassis.database import Database
from services.mediation.adapters.tables import metadata


def test_an_empty_database_reaches_the_head_and_models_match(new_url: Callable[[], str]):
    url = new_url()
    assert migrations.current(url) is None
    assert migrations.migrate("mediation", url) == migrations.head("mediation") == migrations.current(url)
    assert migrations.differences(url, [migrations.chassis_metadata, metadata]) == []


def test_migrating_again_changes_nothing(new_url: Callable[[], str]):
    url = new_url()
    assert migrations.migrate("mediation", url) == migrations.migrate("mediation", url)


def test_downgrading_takes_everything_away(service_db: Callable[[str], Database]):
    db = service_db("mediation")
    config = migrations._config("mediation")
    with db.engine.connect() as conn, conn.begin():
        if db.is_sqlite:
            conn.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = conn
        command.downgrade(config, "base")
    assert [name for name in inspect(db.engine).get_table_names() if name != "alembic_version"] == []
