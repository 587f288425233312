"""Known statements, given to PostgreSQL's driver as it wants them: with numbered places, and nothing to work out twice.

SQLAlchemy and psycopg each spend more time on preparing a known statement than PostgreSQL on running it; psycopg reads
long ones anew at every call. SQLAlchemy still decides what they say and what their values go through.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import ClauseElement

_PLACE = re.compile(r"%\((\w+)\)s|%%")
_CURSOR = "zongzhi_cursor"
Converters = dict[str, Callable[[Any], Any]]


class Words(NamedTuple):
    """A compiled statement: its words with named places, values that stand in it, and what a value goes through."""

    sql: str
    fixed: dict[str, Any]
    converters: Converters


def compiled(statement: ClauseElement, dialect: Dialect, names: Iterable[str] | None = None) -> Words:
    """The statement as SQLAlchemy says it; `names` are those of the values, for an INSERT without any of its own."""
    found: Any = statement.compile(dialect=dialect, column_keys=None if names is None else list(names))
    fixed = {name: value for name, value in found.params.items() if value is not None}
    converters = {name: turn for name, turn in found._bind_processors.items() if turn is not None}
    return Words(str(found), fixed, converters)


def numbered(sql: str, start: int = 0) -> tuple[str, list[str]]:
    """The words with places $1, $2, … (after `start` others), and the names of the values in that order."""
    names: list[str] = []

    def place(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return "%"
        if name not in names:
            names.append(name)
        return f"${start + names.index(name) + 1}"

    return _PLACE.sub(place, sql), names


def _of_driver(conn: Connection) -> Any:
    return conn.connection.driver_connection


def run(conn: Connection, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Runs it inside the connection's transaction and gives the rows that it returns. Raises what SQLAlchemy would."""
    # `info` lives as long as the driver's connection.
    cursor = conn.info.get(_CURSOR)
    if cursor is None:
        cursor = conn.info[_CURSOR] = psycopg.RawCursor(_of_driver(conn))
    try:
        # Who listens to an engine hears of these statements too.
        for tell in conn.dispatch.before_cursor_execute:
            tell(conn, cursor, sql, values, None, False)
        cursor.execute(sql.encode(), values)
        return cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []
    except psycopg.Error as error:
        lost = conn.dialect.is_disconnect(error, _of_driver(conn), None)  # type: ignore[arg-type]
        if lost:
            conn.invalidate(error)
        raise DBAPIError.instance(
            sql, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=lost, dialect=conn.dialect
        ) from error
