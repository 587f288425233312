"""Reads for screens: a page costs one query for the petitions and one each for persons, clocks and referrals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    bindparam,
    false,
    literal,
    or_,
    select,
    tuple_,
)

from services.chassis import deadline_store, referrals, search_store, timeline
from services.chassis.codes import parse_case_number
from services.chassis.database import Database
from services.chassis.deadline import Deadline
from services.chassis.identity import Identity
from services.petition.adapters.store import COLUMNS, persons_of, persons_of_one, petition_of
from services.petition.adapters.tables import petition_persons, petitions
from services.petition.application.ports import Case, Directory, Filters, Line, Position
from services.petition.domain.petition import APPLICANT, Petition
from services.petition.domain.visibility import READ_ALL

_C = petitions.c
_ONE = select(*COLUMNS).where(_C.id == bindparam("petition_id"))
_NEWEST = select(*COLUMNS).order_by(_C.registered_at.desc(), _C.id.desc())
_HASHES = {key: petition_persons.c[f"{key}_hash"] for key in ("phone", "id_no", "name")}


class SqlReads:
    """Reads on one connection, of a read snapshot or of an open transaction."""

    def __init__(self, db: Database, conn: Connection, directory: Directory) -> None:
        self._db = db
        self._conn = conn
        self._directory = directory

    def case(self, petition_id: str) -> Case | None:
        """One petition with all that a screen shows."""
        rows = self._conn.execute(_ONE, {"petition_id": petition_id}).mappings().all()
        return next(iter(self._cases(rows)), None)

    def case_of(self, petition: Petition, clocks: Sequence[Deadline]) -> Case:
        """What a screen shows beside a petition that is at hand with its clocks."""
        sent = referrals.of_subject(self._conn, petition.id)
        return Case(petition, self._name(petition.division_code), tuple(clocks), tuple(sent))

    def petition(self, petition_id: str) -> Petition | None:
        """One petition alone."""
        row = self._conn.execute(_ONE, {"petition_id": petition_id}).mappings().first()
        return None if row is None else petition_of(row, persons_of_one(self._conn, petition_id))

    def page(self, caller: Identity, filters: Filters, after: Position | None, limit: int, at: datetime) -> list[Case]:
        """Petitions that the caller may see, newest first."""
        query = _NEWEST.where(*seen_by(caller), *self._narrowed(filters, at)).limit(limit)
        return self._cases(self._conn.execute(_following(query, after)).mappings().all())

    def by_day(
        self, caller: Identity, filters: Filters, after: tuple[date, str] | None, limit: int, at: datetime
    ) -> list[Case]:
        """The same petitions in the order in which they came, as a register has them."""
        query = select(*COLUMNS).where(*seen_by(caller), *self._narrowed(filters, at))
        if after is not None:
            position = tuple_(literal(after[0], _C.received_on.type), literal(after[1], _C.id.type))
            query = query.where(tuple_(_C.received_on, _C.id) > position)
        query = query.order_by(_C.received_on, _C.id).limit(limit)
        return self._cases(self._conn.execute(query).mappings().all())

    def matching(self, caller: Identity, filters: Filters, at: datetime) -> Select[Any]:
        """The ids of the petitions that a list would show."""
        return select(_C.id).where(*seen_by(caller), *self._narrowed(filters, at))

    def timeline(self, petition_id: str, after_seq: int, limit: int) -> list[Line]:
        """Lines of a case, oldest first."""
        found = timeline.page(self._conn, petition_id, after_seq, limit)
        return [Line(e.id, e.seq, e.at, e.kind, e.text_zh, e.text_en, e.actor, e.unit) for e in found]

    def _cases(self, rows: Sequence[RowMapping]) -> list[Case]:
        ids = [row["id"] for row in rows]
        persons = persons_of(self._conn, ids)
        clocks = deadline_store.of_subjects(self._conn, ids)
        sent = referrals.of_subjects(self._conn, ids)
        return [
            Case(petition_of(row, persons[key]), self._name(row["division_code"]), tuple(clocks[key]), tuple(sent[key]))
            for key, row in zip(ids, rows, strict=True)
        ]

    def _name(self, division_code: str) -> str:
        division = self._directory.division(division_code)
        return division.name if division else ""

    def _narrowed(self, filters: Filters, at: datetime) -> Iterator[ColumnElement[bool]]:
        yield from narrowed_by_row(filters)
        if filters.text:
            yield search_store.clause(self._db, _C.id, filters.text)
        if filters.colour is not None:
            yield _C.id.in_(deadline_store.with_colour(self._conn, filters.colour, at))
        if filters.person_key:
            yield _C.id.in_(_of_person(filters.person_key, filters.person_hash))


def seen_by(caller: Identity) -> Iterator[ColumnElement[bool]]:
    """The rule of `domain/visibility.py` as SQL."""
    if not caller.scope:
        yield false()
    units = sorted(caller.units)
    yield _C.division_code.startswith(caller.scope, autoescape=True)
    yield _C.accused_unit.not_in(units)
    if not caller.may(READ_ALL):
        yield or_(_C.registered_unit.in_(units), _C.responsible_unit.in_(units))


def narrowed_by_row(filters: Filters) -> Iterator[ColumnElement[bool]]:
    """What the petition's own row says to the filters."""
    if filters.states:
        yield _C.state.in_(sorted(filters.states))
    if filters.channels:
        yield _C.channel.in_(sorted(filters.channels))
    if filters.division_prefix:
        yield _C.division_code.startswith(filters.division_prefix, autoescape=True)
    if filters.received_from is not None:
        yield _C.received_on >= filters.received_from
    if filters.received_to is not None:
        yield _C.received_on <= filters.received_to
    if filters.external_no:
        yield _C.external_no == filters.external_no
    if filters.source_system:
        yield _C.source_system == filters.source_system
    if filters.leader_reception:
        yield _C.leader_reception
    if filters.import_job_id:
        yield _C.import_job_id == filters.import_job_id
    if filters.suspected_duplicate:
        yield _C.suspected_duplicate_of != ""
    if filters.case_number:
        yield _C.case_number == str(parse_case_number(filters.case_number))


def _of_person(key: str, hashed: str) -> Select[Any]:
    # The other side of a dispute did not petition and is not found by this.
    found = select(petition_persons.c.petition_id)
    return found.where(and_(_HASHES[key] == hashed, petition_persons.c.side == APPLICANT))


def _following(query: Select[Any], after: Position | None) -> Select[Any]:
    if after is None:
        return query
    position = tuple_(literal(after.registered_at, _C.registered_at.type), literal(after.id, _C.id.type))
    return query.where(tuple_(_C.registered_at, _C.id) < position)
