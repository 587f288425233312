"""Reads for screens: a page is one query, with the people of it one more."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, func, or_, select, tuple_

from services.chassis.directory_entries import CALENDARS, STAFF, UNITS
from services.chassis.directory_store import entry_of
from services.chassis.directory_tables import directory_entries
from services.grid.adapters.tables import directory_log, staff_persons
from services.grid.application.ports import Filters, LogLine, Person, Shown

_C = directory_entries.c
_LOG = [directory_log.c[name] for name in LogLine.__dataclass_fields__]


class SqlReads:
    """Reads on one connection, of a read snapshot or of an open transaction."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def page(self, filters: Filters, after: str, limit: int) -> list[Shown]:
        """Entries by code."""
        query = select(directory_entries).where(_holds(filters.as_of), *_narrowed(filters), _C.code > after)
        return self._shown(self._conn.execute(query.order_by(_C.code).limit(limit)).mappings().all())

    def one(self, kind: str, code: str, on: date) -> Shown | None:
        """The entry of a code that holds on a day."""
        query = select(directory_entries).where(_C.kind == kind, _C.code == code, _holds(on))
        return next(iter(self._shown(self._conn.execute(query).mappings().all())), None)

    def count(self, kind: str, on: date, code_prefix: str) -> Mapping[str, int]:
        """How many entries of each level hold on a day."""
        query = select(_C.level, func.count()).where(_C.kind == kind, _holds(on)).group_by(_C.level)
        if code_prefix:
            query = query.where(_C.code.startswith(code_prefix, autoescape=True))
        return {row[0]: row[1] for row in self._conn.execute(query)}

    def years(self, on: date) -> tuple[int, int]:
        """First and last published year of the calendar, as it stood on a day; (0, 0) when there is none."""
        query = select(func.min(_C.code), func.max(_C.code)).where(_C.kind == CALENDARS, _holds(on))
        first, last = (str(found or "0000") for found in self._conn.execute(query).one())
        return int(first[:4]), int(last[:4])

    def log(self, kind: str, before: int, limit: int) -> list[LogLine]:
        """Versions of a kind, newest first."""
        query = select(*_LOG).where(directory_log.c.kind == kind, directory_log.c.version < before)
        rows = self._conn.execute(query.order_by(directory_log.c.version.desc()).limit(limit)).mappings()
        return [LogLine(**row) for row in rows]

    def _shown(self, rows: Sequence[RowMapping]) -> list[Shown]:
        keys = [(row["code"], row["valid_from"]) for row in rows if row["kind"] == STAFF]
        people = people_of(self._conn, keys) if keys else {}
        return [
            Shown(entry_of({**row}), row["revision"], people.get((row["code"], row["valid_from"]), Person()))
            for row in rows
        ]


def people_of(conn: Connection, keys: Sequence[tuple[str, date]] | None = None) -> dict[tuple[str, date], Person]:
    """Names and phones of the staff, of some or of all."""
    query = select(staff_persons)
    if keys is not None:
        query = query.where(tuple_(staff_persons.c.code, staff_persons.c.valid_from).in_(keys))
    return {(row.code, row.valid_from): Person(row.name, row.phone) for row in conn.execute(query)}


def _holds(on: date) -> ColumnElement[bool]:
    return and_(_C.valid_from <= on, or_(_C.valid_to.is_(None), _C.valid_to >= on))


def _narrowed(filters: Filters) -> Iterator[ColumnElement[bool]]:
    yield _C.kind == filters.kind
    if filters.parent:
        yield _C.parent == filters.parent
    if filters.parent_prefix:
        yield _C.parent.startswith(filters.parent_prefix, autoescape=True)
    if filters.code_prefix:
        yield _C.code.startswith(filters.code_prefix, autoescape=True)
    if filters.levels:
        yield _C.level.in_(sorted(filters.levels))
    if filters.text:
        yield _found(filters.text)
    for name, values in (filters.fields or {}).items():
        yield or_(*(_C.fields.contains(_pair(name, value), autoescape=True) for value in sorted(values)))
    if filters.scope is not None:
        yield _C.parent.in_(_units_in(filters.scope, filters.as_of))


def _found(text: str) -> ColumnElement[bool]:
    by_code = _C.code.startswith(text, autoescape=True)
    # The other code of a division, from its beginning.
    by_mca = _C.fields.contains(_pair("mca_code", text)[:-1], autoescape=True)
    return or_(_C.name.contains(text, autoescape=True), by_code, by_mca)


def _pair(name: str, value: str) -> str:
    """How a field and its value stand in canonical JSON."""
    return f'"{name}":{json.dumps(value, ensure_ascii=False)}'


def _units_in(scope: str, on: date) -> Select[Any]:
    units = directory_entries.alias("units").c
    query = select(units.code).where(
        units.kind == UNITS, units.valid_from <= on, or_(units.valid_to.is_(None), units.valid_to >= on)
    )
    # An empty scope sees nobody.
    return query.where(units.parent.startswith(scope or "-", autoescape=True))
