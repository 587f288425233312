"""What happened to cases after a cursor: for one case, for all that a caller may see, and for whoever waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, select

from services.chassis.identity import Identity
from services.chassis.masking import mask_text
from services.chassis.tables import timeline
from services.petition.adapters import progress
from services.petition.adapters.progress import Cursor
from services.petition.adapters.reads import seen_by
from services.petition.adapters.store import persons_of
from services.petition.adapters.tables import petitions
from services.petition.domain.terms import State

MOST_CHANGED = 500


@dataclass(frozen=True)
class Row:
    """One thing that happened to a case."""

    cursor: str
    petition_id: str
    case_number: str
    state: State
    kind: str
    text_zh: str
    text_en: str
    at: datetime
    unit: str
    seq: int


@dataclass(frozen=True)
class Rows:
    """A page of what happened, and where the next one begins."""

    rows: list[Row]
    cursor: str
    reset: bool = False


@dataclass(frozen=True)
class Changed:
    """Which cases something happened to since a cursor; `everything` when they are too many to name."""

    cursor: str
    petition_ids: tuple[str, ...] = ()
    everything: bool = False


def board(conn: Connection, caller: Identity, after: str, limit: int, era: str, now: datetime) -> Rows:
    """What happened to all cases that the caller may see; the cursor moves past those that they may not."""
    cursor = progress.read_cursor(after) if after else None
    if cursor is None or not cursor.is_fresh(era, now):
        return Rows([], str(progress.newest(conn, era, now)), reset=bool(after))
    passed = progress.following(conn, cursor, limit).subquery()
    found = conn.execute(
        select(
            passed.c.xid, passed.c.id, passed.c.petition_id, petitions.c.case_number, petitions.c.state,
            timeline.c.kind, timeline.c.text_zh, timeline.c.text_en, timeline.c.at, timeline.c.unit, timeline.c.seq,
            and_(*seen_by(caller)).label("seen"),
        )
        .join(petitions, petitions.c.id == passed.c.petition_id)
        .join(timeline, timeline.c.id == passed.c.entry_id)
        .order_by(passed.c.xid, passed.c.id)
    ).all()  # fmt: skip
    last = Cursor(era, found[-1].xid, found[-1].id, progress.hour_of(now)) if found else _again(cursor, now)
    return Rows(_rows(conn, [row for row in found if row.seen], era, now), str(last))


def of_case(conn: Connection, petition_id: str, case_number: str, state: State, after: int, limit: int) -> Rows:
    """What happened to one case after a line of its timeline; its row lock makes their order the order of commits."""
    found = conn.execute(
        select(timeline)
        .where(timeline.c.subject_id == petition_id, timeline.c.seq > after)
        .order_by(timeline.c.seq)
        .limit(limit)
    ).all()
    names = [person.name for person in persons_of(conn, [petition_id])[petition_id]]
    rows = [
        Row(
            str(row.seq), petition_id, case_number, state, row.kind, mask_text(row.text_zh, names),
            mask_text(row.text_en, names), row.at, row.unit, row.seq,
        )
        for row in found
    ]  # fmt: skip
    return Rows(rows, rows[-1].cursor if rows else str(after))


def changed(conn: Connection, after: str, era: str, now: datetime) -> Changed:
    """Ids of the cases to which something happened; no cursor or a stale one gives the newest place."""
    cursor = progress.read_cursor(after) if after else None
    if cursor is None or not cursor.is_fresh(era, now):
        return Changed(str(progress.newest(conn, era, now)), everything=bool(after))
    rows = conn.execute(progress.following(conn, cursor, MOST_CHANGED + 1)).all()
    if not rows:
        return Changed(str(_again(cursor, now)))
    if len(rows) > MOST_CHANGED:
        return Changed(str(progress.newest(conn, era, now)), everything=True)
    last = Cursor(era, rows[-1].xid, rows[-1].id, progress.hour_of(now))
    return Changed(str(last), tuple(dict.fromkeys(row.petition_id for row in rows)))


def _again(cursor: Cursor, now: datetime) -> Cursor:
    """The same place, given out now."""
    return Cursor(cursor.era, cursor.xid, cursor.id, progress.hour_of(now))


def _rows(conn: Connection, found: Sequence[Any], era: str, now: datetime) -> list[Row]:
    persons = persons_of(conn, {row.petition_id for row in found})
    rows = []
    for row in found:
        names = [person.name for person in persons[row.petition_id]]
        cursor = Cursor(era, row.xid, row.id, progress.hour_of(now))
        rows.append(
            Row(
                str(cursor), row.petition_id, row.case_number, State(row.state), row.kind,
                mask_text(row.text_zh, names), mask_text(row.text_en, names), row.at, row.unit, row.seq,
            )
        )  # fmt: skip
    return rows
