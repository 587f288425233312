"""SELECTs that every call needs, given to PostgreSQL's driver directly.

SQLAlchemy spends more time on preparing a known statement and describing its known columns than the driver on running
it. What the columns mean is worked out by SQLAlchemy once; on SQLite it also runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import Connection, Dialect, Select
from sqlalchemy.exc import DBAPIError

Values = dict[str, Any]


class _Compiled(NamedTuple):
    sql: str
    # Values that stand in the statement itself.
    fixed: Values
    names: list[str]
    # Columns whose values the driver gives otherwise than we want them.
    converters: dict[str, Callable[[Any], Any]]


class Read:
    """A SELECT of columns that is always asked in the same words."""

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement
        self._compiled: _Compiled | None = None

    def rows(self, conn: Connection, values: Mapping[str, Any]) -> list[Values]:
        """What it finds, by column name. Raises what SQLAlchemy would."""
        if conn.dialect.driver != "psycopg":
            return [dict(row) for row in conn.execute(self.statement, values).mappings()]
        asked = self._compiled = self._compiled or _compile(self.statement, conn.dialect)
        found = [dict(zip(asked.names, row, strict=True)) for row in _ask(conn, asked.sql, {**asked.fixed, **values})]
        for name, turn in asked.converters.items():
            for row in found:
                row[name] = turn(row[name])
        return found

    def first(self, conn: Connection, values: Mapping[str, Any]) -> Values | None:
        """The first of them; None when there is none."""
        return next(iter(self.rows(conn, values)), None)


def _compile(statement: Select[Any], dialect: Dialect) -> _Compiled:
    compiled = statement.compile(dialect=dialect)
    types = {str(column.key): column.type.dialect_impl(dialect) for column in statement.selected_columns}
    turns = {name: kind.result_processor(dialect, None) for name, kind in types.items()}
    fixed = {name: value for name, value in compiled.params.items() if value is not None}
    return _Compiled(str(compiled), fixed, list(types), {name: turn for name, turn in turns.items() if turn})


def _ask(conn: Connection, sql: str, values: Values) -> list[tuple[Any, ...]]:
    driver: Any = conn.connection.driver_connection
    try:
        found: list[tuple[Any, ...]] = driver.execute(sql, values).fetchall()
    except psycopg.Error as error:
        lost = conn.dialect.is_disconnect(error, driver, None)  # type: ignore[arg-type]
        if lost:
            conn.invalidate(error)
        raise DBAPIError.instance(
            sql, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=lost, dialect=conn.dialect
        ) from error
    return found
