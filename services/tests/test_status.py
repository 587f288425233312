"""What `zongzhi status` asks of one database alone is asked of the schema that the database really has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import insert

from gateway.accounts.tables import login_locks
from services import status
from services.chassis import clock
from services.chassis.database import Database
from services.roles_names import GATEWAY, database_names

ServiceDb = Callable[[str], Database]


def test_locks_that_have_ended_are_not_counted(service_db: ServiceDb) -> None:
    db, now = service_db(GATEWAY), clock.now()
    ends = [now + timedelta(minutes=5), now - timedelta(minutes=5), None, now + timedelta(minutes=1)]
    with db.transaction() as tx:
        rows = [
            {"key": f"a:{n}", "failures": "[]", "locked_until": end, "touched_at": now} for n, end in enumerate(ends)
        ]
        tx.conn.execute(insert(login_locks), rows)
    with db.reading() as conn:
        assert status._more(conn, GATEWAY, now) == {"locked": 2}


@pytest.mark.parametrize("name", database_names())
def test_a_new_database_has_nothing_of_it(service_db: ServiceDb, name: str) -> None:
    with service_db(name).reading() as conn:
        found = status._more(conn, name, clock.now())
    assert set(found.values()) <= {0}
    assert all("0" in line for line in status._more_text(name, {"more": found}))


def test_the_halls_jobs_and_files_are_told(service_db: ServiceDb) -> None:
    with service_db("petition").reading() as conn:
        assert status._more(conn, "petition", clock.now()) == {"open_jobs": 0, "file_bytes": 0}
