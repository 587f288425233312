"""Writes that nobody waits for one by one. On PostgreSQL those of a transaction travel together:

    WITH w0 AS (INSERT INTO referrals …), w1 AS (UPDATE petitions …) INSERT INTO timeline …

Composing and sending a statement costs a service more time than the row costs the database, and each one lets go of the
interpreter and waits for it again. SQLite, which is in the process, gets each write at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Table
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql.dml import UpdateBase

_PLACE = re.compile(r"%\((\w+)\)s")
# A statement with more parts takes longer to plan than it saves.
MOST = 12


class _Compiled(NamedTuple):
    sql: str
    # Values that stand in the statement itself.
    fixed: dict[str, Any]
    # What turns a value into one of the driver's.
    converters: dict[str, Any]


class Write:
    """An INSERT, UPDATE or DELETE that is always written in the same words, with the same names of values.

    `on_sqlite` says it in the words of SQLite where they differ.
    """

    def __init__(self, statement: UpdateBase, on_sqlite: UpdateBase | None = None) -> None:
        self.statement = statement
        self.on_sqlite = statement if on_sqlite is None else on_sqlite
        self.table: Table = statement.table  # type: ignore[assignment]
        self._compiled: _Compiled | None = None

    def compiled(self, dialect: PGDialect_psycopg, names: Mapping[str, Any]) -> _Compiled:
        """Its words and what its values go through; worked out once."""
        if self._compiled is None:
            found = self.statement.compile(dialect=dialect, column_keys=list(names))
            fixed = {name: value for name, value in found.params.items() if name not in names}
            converters = {name: turn for name, turn in found._bind_processors.items() if turn is not None}
            self._compiled = _Compiled(str(found), fixed, converters)
        return self._compiled


class Waiting:
    """The writes of one transaction on PostgreSQL that were not sent yet."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._writes: list[Write] = []
        self._values: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self._writes)

    def add(self, write: Write, values: Mapping[str, Any]) -> None:
        """Keeps a write for later. Two on one table never travel together: neither would see the other."""
        if len(self._writes) >= MOST or any(write.table is other.table for other in self._writes):
            self.send()
        compiled = write.compiled(self._conn.dialect, values)  # type: ignore[arg-type]
        place = len(self._writes)
        self._writes.append(write)
        for name, value in {**compiled.fixed, **values}.items():
            turn = compiled.converters.get(name)
            self._values[f"w{place}_{name}"] = turn(value) if turn else value

    def touches(self, tables: Collection[Table]) -> bool:
        """Whether one of these tables is to be written."""
        return any(write.table in tables for write in self._writes)

    def forget(self) -> None:
        """Drops what was not sent."""
        self._writes, self._values = [], {}

    def send(self) -> Row[Any] | None:
        """Sends them all; returns the row that the last one returns, if it does."""
        writes, values = tuple(self._writes), self._values
        self.forget()
        if not writes:
            return None
        result = self._conn.exec_driver_sql(_together(writes), values)
        return result.first() if result.returns_rows else None


@lru_cache(maxsize=512)
def _together(writes: tuple[Write, ...]) -> str:
    parts = [_PLACE.sub(rf"%(w{n}_\1)s", write._compiled.sql) for n, write in enumerate(writes)]  # type: ignore[union-attr]
    *before, last = parts
    named = ", ".join(f"w{n} AS ({part})" for n, part in enumerate(before))
    return f"WITH {named} {last}" if named else last
