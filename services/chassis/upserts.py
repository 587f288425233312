"""INSERT … ON CONFLICT for both databases: the same words, two dialects of SQLAlchemy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import UpdateBase

from services.chassis.database import Database
from services.chassis.writes import Write


class Upsert:
    """A statement prepared once for each of both databases."""

    def __init__(self, table: Table, build: Callable[[Any], UpdateBase]) -> None:
        self._sqlite = build(sqlite.insert(table))
        self._postgresql = build(postgresql.insert(table))

    @property
    def write(self) -> Write:
        """The same for `Tx.put` and `Tx.fetch`."""
        return Write(self._postgresql, self._sqlite)

    def of(self, db: Database) -> UpdateBase:
        """The statement in the words of this database."""
        return self._sqlite if db.is_sqlite else self._postgresql
