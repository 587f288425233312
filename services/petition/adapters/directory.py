"""The copy of divisions and offices that petition keeps, and the tables it ships with."""

from __future__ import annotations

import csv
import time
from pathlib import Path

from sqlalchemy import Connection, Table, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from services.chassis.database import Database
from services.petition.adapters.tables import divisions, offices
from services.petition.application.ports import Division, Office

DATA = Path(__file__).parent.parent / "data"
SHIPPED = ((divisions, "divisions.csv"), (offices, "offices.csv"))
# A few hundred rows that change a few times a year: kept in memory, and read again after this many seconds.
KEEP_S = 60.0


class Directory:
    """Divisions and offices by code. A code that is not known is looked up anew, so that a new one is found at once."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._divisions: dict[str, Division] = {}
        self._offices: dict[str, Office] = {}
        self._read_at = float("-inf")

    def division(self, code: str) -> Division | None:
        """The division of this 12-digit code."""
        if self._is_old() or code not in self._divisions:
            self._read()
        return self._divisions.get(code)

    def office(self, code: str) -> Office | None:
        """The office of this code."""
        if self._is_old() or code not in self._offices:
            self._read()
        return self._offices.get(code)

    def _is_old(self) -> bool:
        return time.monotonic() - self._read_at > KEEP_S

    def _read(self) -> None:
        with self.db.reading() as conn:
            self._divisions = {row.code: Division(**row._mapping) for row in conn.execute(select(divisions))}
            self._offices = {row.code: Office(**row._mapping) for row in conn.execute(select(offices))}
        self._read_at = time.monotonic()


def seed(db: Database) -> int:
    """Loads the shipped tables; what is there already and unchanged is left alone. Returns rows written."""
    with db.transaction() as tx:
        return sum(_load(tx.conn, table, DATA / name) for table, name in SHIPPED)


def _load(conn: Connection, table: Table, path: Path) -> int:
    with path.open(encoding="utf-8", newline="") as file:
        shipped = list(csv.DictReader(file))
    there = {row.code: dict(row._mapping) for row in conn.execute(select(table))}
    changed = [row for row in shipped if there.get(row["code"]) != row]
    if changed:
        conn.execute(_upsert(conn.dialect.name, table), changed)
    return len(changed)


def _upsert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    make = sqlite.insert if dialect == "sqlite" else postgresql.insert
    names = [column.name for column in table.columns]
    # Two processes may seed at once.
    return (
        make(table)
        .values({name: bindparam(name) for name in names})
        .on_conflict_do_update(
            index_elements=["code"], set_={name: bindparam(name) for name in names if name != "code"}
        )
    )
