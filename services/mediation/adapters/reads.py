"""Reads for screens: rows, without the aggregate's locks, a page in a fixed number of queries."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, bindparam, literal, or_, select, tuple_
from sqlalchemy.sql import false

from services.chassis import deadline_store, paging, search_store, timeline
from services.chassis.database import Database
from services.chassis.deadline import Deadline
from services.chassis.identity import Identity
from services.chassis.timeline import Entry
from services.mediation.adapters.store import load, no_mediation
from services.mediation.adapters.tables import mediations
from services.mediation.application.masked import MaskedMediation, mask
from services.mediation.application.queries import Position, Wanted, after_seq, read_seq
from services.mediation.domain.mediation import Mediation
from services.mediation.domain.visibility import READ_ALL, may_see

_C = mediations.c
_ONE = select(mediations).where(_C.id == bindparam("key"))


@dataclass(frozen=True)
class Shown:
    """A mediation as a screen shows it: masked, with its clocks."""

    mediation: MaskedMediation
    clocks: list[Deadline]


def one(conn: Connection, caller: Identity, mediation_id: str) -> Shown:
    """One mediation with its clocks; NotFound when there is none or the caller may not see it."""
    return _shown(conn, [_seen(conn, caller, mediation_id)])[0]


def page(db: Database, caller: Identity, wanted: Wanted, size: int, token: str) -> tuple[list[Shown], str]:
    """A page, newest first, and the token of the next one."""
    limit = paging.page_size(size)
    query = select(mediations).where(visible(caller), *_filters(db, wanted), *_behind(Position.read(token, wanted)))
    with db.reading() as conn:
        found = load(conn, query.order_by(_C.applied_at.desc(), _C.id.desc()).limit(limit + 1))
        shown = _shown(conn, found[:limit])
    return shown, Position.after(found[limit - 1], wanted) if len(found) > limit else ""


def story(conn: Connection, caller: Identity, mediation_id: str, size: int, token: str) -> tuple[list[Entry], str]:
    """A page of what happened, oldest first, and the token of the next one."""
    limit, seq = paging.page_size(size), read_seq(token, mediation_id)
    _seen(conn, caller, mediation_id)
    entries = timeline.page(conn, mediation_id, seq, limit + 1)
    more = len(entries) > limit
    return entries[:limit], after_seq(entries[limit - 1].seq, mediation_id) if more else ""


def _seen(conn: Connection, caller: Identity, mediation_id: str) -> Mediation:
    found = load(conn, _ONE, {"key": mediation_id})
    if not found or not may_see(caller, found[0]):
        raise no_mediation(mediation_id)
    return found[0]


def _shown(conn: Connection, found: list[Mediation]) -> list[Shown]:
    clocks = deadline_store.of_subjects(conn, [mediation.id for mediation in found])
    return [Shown(mask(mediation), clocks[mediation.id]) for mediation in found]


def visible(caller: Identity) -> ColumnElement[bool]:
    """`domain/visibility.py` in SQL."""
    if not caller.scope:
        return false()
    units = sorted(caller.units)
    rules = [_C.division_code.startswith(caller.scope, autoescape=True)]
    rules.append(or_(_C.accused_unit == "", _C.accused_unit.not_in(units)))
    if not caller.may(READ_ALL):
        rules.append(_C.unit.in_(units))
    return and_(*rules)


def _behind(position: Position | None) -> list[ColumnElement[bool]]:
    if position is None:
        return []
    # Of the columns' own types, so that SQLite compares times in the form in which it keeps them.
    last = tuple_(literal(position.applied_at, _C.applied_at.type), literal(position.id, _C.id.type))
    return [tuple_(_C.applied_at, _C.id) < last]


def _filters(db: Database, wanted: Wanted) -> list[ColumnElement[bool]]:
    filters: list[ColumnElement[bool]] = []
    if wanted.states:
        filters.append(_C.state.in_(sorted(state.value for state in wanted.states)))
    if wanted.petition_id:
        filters.append(_C.petition_id == wanted.petition_id)
    if wanted.division_prefix:
        filters.append(_C.division_code.startswith(wanted.division_prefix, autoescape=True))
    if wanted.text:
        filters.append(search_store.clause(db, _C.id, wanted.text))
    return filters
