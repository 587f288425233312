"""SELECTs that every call needs, prepared once for PostgreSQL's driver. On SQLite SQLAlchemy runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Select

from services.chassis import driver

Values = dict[str, Any]


class _Asked(NamedTuple):
    sql: str
    order: list[str]
    # Values that stand in the statement itself.
    fixed: Values
    columns: list[str]
    # Columns whose values the driver gives otherwise than we want them.
    converters: dict[str, Callable[[Any], Any]]


class Read:
    """A SELECT of columns that is always asked in the same words."""

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement
        self._asked: _Asked | None = None

    def rows(self, conn: Connection, values: Mapping[str, Any]) -> list[Values]:
        """What it finds, by column name."""
        if conn.dialect.driver != "psycopg":
            return [dict(row) for row in conn.execute(self.statement, values).mappings()]
        asked = self._asked = self._asked or _asked(self.statement, conn.dialect)
        given = {**asked.fixed, **values}
        rows = driver.run(conn, asked.sql, [given[name] for name in asked.order])
        found = [dict(zip(asked.columns, row, strict=True)) for row in rows]
        for name, turn in asked.converters.items():
            for row in found:
                row[name] = turn(row[name])
        return found

    def first(self, conn: Connection, values: Mapping[str, Any]) -> Values | None:
        """The first of them; None when there is none."""
        return next(iter(self.rows(conn, values)), None)


def _asked(statement: Select[Any], dialect: Dialect) -> _Asked:
    words = driver.compiled(statement, dialect)
    sql, order = driver.numbered(words.sql)
    types = {str(column.key): column.type.dialect_impl(dialect) for column in statement.selected_columns}
    turns = {name: kind.result_processor(dialect, None) for name, kind in types.items()}
    return _Asked(sql, order, words.fixed, list(types), {name: turn for name, turn in turns.items() if turn})
