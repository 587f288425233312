"""Writes that nobody waits for one by one. On PostgreSQL those of a transaction travel together:

    WITH w0 AS (INSERT INTO referrals …), w1 AS (UPDATE petitions …) INSERT INTO timeline …

Each statement costs a service more time than the row costs the database, and lets go of the interpreter and waits for
it again. SQLite, which is in the process, gets each write at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, Table
from sqlalchemy.sql.dml import UpdateBase

from services.chassis import driver

# A statement with more parts takes longer to plan than it saves.
MOST = 12


class Write:
    """An INSERT, UPDATE or DELETE that is always written in the same words, with the same names of values.

    `on_sqlite` says it in the words of SQLite where they differ.
    """

    def __init__(self, statement: UpdateBase, on_sqlite: UpdateBase | None = None) -> None:
        self.statement = statement
        self.on_sqlite = statement if on_sqlite is None else on_sqlite
        self.table: Table = statement.table  # type: ignore[assignment]
        self._words: driver.Words | None = None

    def words(self, dialect: Dialect, names: Collection[str] = ()) -> driver.Words:
        """What it says; worked out at the first use."""
        if self._words is None:
            words = driver.compiled(self.statement, dialect, names)
            fixed = {name: value for name, value in words.fixed.items() if name not in names}
            self._words = words._replace(fixed=fixed)
        return self._words


class Waiting:
    """The writes of one transaction on PostgreSQL that were not sent yet."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._writes: list[Write] = []
        self._values: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return len(self._writes)

    def add(self, write: Write, values: Mapping[str, Any]) -> None:
        """Keeps a write for later. Two on one table never travel together: neither would see the other."""
        if len(self._writes) >= MOST or self.touches((write.table,)):
            self.send()
        words = write.words(self._conn.dialect, values.keys())
        given = {**words.fixed, **values}
        for name, turn in words.converters.items():
            given[name] = turn(given[name])
        self._writes.append(write)
        self._values.append(given)

    def touches(self, tables: Collection[Table]) -> bool:
        """Whether one of these tables is to be written."""
        return any(write.table in tables for write in self._writes)

    def forget(self) -> None:
        """Drops what was not sent."""
        self._writes, self._values = [], []

    def send(self) -> tuple[Any, ...] | None:
        """Sends them all; gives the row that the last one returns, if it does."""
        writes, values = tuple(self._writes), self._values
        self.forget()
        if not writes:
            return None
        sql, order = _together(writes, self._conn.dialect)
        rows = driver.run(self._conn, sql, [values[n][name] for n, name in order])
        return rows[0] if rows else None


@lru_cache(maxsize=512)
def _together(writes: tuple[Write, ...], dialect: Dialect) -> tuple[str, list[tuple[int, str]]]:
    """One statement of all, and where its values come from: of which write, by which name."""
    parts: list[str] = []
    order: list[tuple[int, str]] = []
    for n, write in enumerate(writes):
        part, names = driver.numbered(write.words(dialect).sql, len(order))
        parts.append(part)
        order += [(n, name) for name in names]
    *before, last = parts
    named = ", ".join(f"w{n} AS ({part})" for n, part in enumerate(before))
    return (f"WITH {named} {last}" if named else last), order
