"""Where time limits are kept, and the questions that screens ask about them.

A case's colour is that of its worst clock: red before amber before green before suspended.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, bindparam, case, func, insert, or_, select, update

from services.chassis import ids
from services.chassis.calendar import WorkCalendar
from services.chassis.database import Database, Tx
from services.chassis.deadline import OPEN, Colour, Deadline, Limit, State, Unit, start
from services.chassis.reads import Read
from services.chassis.tables import deadlines
from services.chassis.writes import Write

_C = deadlines.c
_OPEN = [state.value for state in OPEN]
_FIXED = ("id", "subject_type", "subject_id", "kind", "started_on")
_CHANGING = tuple(column.name for column in deadlines.columns if column.name not in _FIXED)

_ADD = Write(insert(deadlines).inline())
_SAVE = Write(
    update(deadlines).where(_C.id == bindparam("deadline_id")).values({name: bindparam(name) for name in _CHANGING})
)
_FIND = Read(
    select(deadlines)
    .where(_C.subject_id == bindparam("subject"), _C.kind == bindparam("of_kind"))
    .order_by(case((or_(*(_C.state == state for state in _OPEN)), 0), else_=1), _C.id.desc())
    .limit(1)
    .with_for_update()
)
_OF_SUBJECT = Read(select(deadlines).where(_C.subject_id == bindparam("subject")).order_by(_C.started_on, _C.id))
_OF_SUBJECTS = (
    select(deadlines).where(_C.subject_id.in_(bindparam("subjects", expanding=True))).order_by(_C.started_on, _C.id)
)
_CANCEL = (
    update(deadlines)
    .where(_C.subject_id == bindparam("subject"), _C.state.in_(_OPEN))
    .values(state=State.CANCELLED.value)
)
# From the worst colour to the best: what a case shows when it has clocks of several.
_ORDER = (Colour.RED, Colour.AMBER, Colour.GREEN, Colour.SUSPENDED, Colour.MET, Colour.CANCELLED)


def open_deadline(
    tx: Tx, limit: Limit, subject_type: str, subject_id: str, on: date, calendar: WorkCalendar
) -> Deadline:
    """A clock of the law starts for a case on this date."""
    deadline = start(limit, ids.uuid7(), subject_type, subject_id, on, calendar)
    add(tx, deadline)
    return deadline


def add(tx: Tx, deadline: Deadline) -> None:
    """Keeps a new clock as it stands."""
    tx.put(_ADD, values_of(deadline))


def of_subject(conn: Connection, subject_id: str) -> list[Deadline]:
    """All clocks of a case, in the order in which they started."""
    return [deadline_of(row) for row in _OF_SUBJECT.rows(conn, {"subject": subject_id})]


def of_subjects(conn: Connection, subjects: Collection[str]) -> dict[str, list[Deadline]]:
    """All clocks of several cases; a case without any has an empty list."""
    found: dict[str, list[Deadline]] = defaultdict(list)
    for row in conn.execute(_OF_SUBJECTS, {"subjects": list(subjects)}).mappings() if subjects else ():
        found[row["subject_id"]].append(deadline_of(row))
    return found


def find(tx: Tx, subject_id: str, kind: str) -> Deadline | None:
    """The open clock of a kind, or else the newest closed one. Its row is locked until the end of the transaction."""
    row = _FIND.first(tx.seeing(deadlines), {"subject": subject_id, "of_kind": kind})
    return None if row is None else deadline_of(row)


def save(tx: Tx, deadline: Deadline) -> None:
    """Keeps what the last move changed."""
    values = values_of(deadline)
    tx.put(_SAVE, {"deadline_id": deadline.id, **{name: values[name] for name in _CHANGING}})


def meet(tx: Tx, subject_id: str, kind: str, on: date) -> None:
    """The duty was done on this date. Nothing happens when no clock of this kind is open."""
    deadline = find(tx, subject_id, kind)
    if deadline is not None and deadline.state in OPEN:
        deadline.meet(on)
        save(tx, deadline)


def cancel_running(tx: Tx, subject_id: str) -> None:
    """No open clock of the case counts any longer, such as after a withdrawal."""
    tx.conn.execute(_CANCEL, {"subject": subject_id})


def with_colour(_source: Connection | Database, colour: Colour | str, at: datetime) -> Select[str]:
    """The ids of cases whose worst clock has this colour at this instant, for `column.in_(…)`."""
    wanted = Colour(colour)
    if wanted is Colour.RED:
        return select(_C.subject_id).where(_C.state == State.RUNNING.value, _C.red_at <= at)
    if wanted in (Colour.AMBER, Colour.GREEN):
        running = select(_C.subject_id).where(_C.state == State.RUNNING.value).group_by(_C.subject_id)
        return running.having(_worst_running(at) == wanted.value)
    rank = func.min(case({colour.value: place for place, colour in enumerate(_ORDER)}, value=_C.state, else_=0))
    return select(_C.subject_id).group_by(_C.subject_id).having(rank == _ORDER.index(wanted))


def count_colours(conn: Connection, at: datetime, among: Select[Any] | None = None) -> dict[str, int]:
    """How many cases are green, amber, red and suspended by their worst clock; `among` selects the ids to count."""
    open_ones = select(_C.subject_id).where(_C.state.in_(_OPEN))
    if among is not None:
        open_ones = open_ones.where(_C.subject_id.in_(among))
    runs = _C.state == State.RUNNING.value
    worst = case((func.count(case((runs, 1))) == 0, Colour.SUSPENDED.value), else_=_worst_running(at))
    cases = open_ones.add_columns(worst.label("colour")).group_by(_C.subject_id).subquery()
    counted = conn.execute(select(cases.c.colour, func.count()).group_by(cases.c.colour))
    return {colour.value: 0 for colour in _ORDER[:4]} | {row[0]: row[1] for row in counted}


def _worst_running(at: datetime) -> ColumnElement[str]:
    runs = _C.state == State.RUNNING.value
    return case(
        (func.min(case((runs, _C.red_at))) <= at, Colour.RED.value),
        (func.min(case((runs, _C.amber_at))) <= at, Colour.AMBER.value),
        else_=Colour.GREEN.value,
    )


def values_of(deadline: Deadline) -> dict[str, Any]:
    """The row of a deadline."""
    values = {column.name: getattr(deadline, column.name) for column in deadlines.columns}
    return {**values, "unit": deadline.unit.value, "state": deadline.state.value}


def deadline_of(row: Mapping[str, Any] | RowMapping) -> Deadline:
    """The deadline of a row. `met_late` follows from the others and is not kept."""
    values = {name: value for name, value in row.items() if name not in ("amber_at", "red_at")}
    deadline = Deadline(**{**values, "unit": Unit(row["unit"]), "state": State(row["state"])})
    # Work done during a suspension is in time: the clock had stopped before it could run out.
    deadline.met_late = row["met_on"] is not None and row["suspended_on"] is None and row["met_on"] > row["due_on"]
    return deadline
