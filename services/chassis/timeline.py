"""What happened to a case, in the order in which it happened, in sentences for people. Never changed afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, bindparam, func, insert, select

from services.chassis import ids
from services.chassis.database import Tx
from services.chassis.tables import timeline
from services.chassis.writes import Write

_GIVEN = ("id", "subject_id", "at", "kind", "text_zh", "text_en", "actor", "unit")
_NEXT_SEQ = select(
    *(bindparam(name, type_=timeline.c[name].type) for name in _GIVEN),
    func.coalesce(func.max(timeline.c.seq), 0) + 1,
).where(timeline.c.subject_id == bindparam("subject_id", type_=timeline.c.subject_id.type))
_ADD = Write(insert(timeline).inline().from_select([*_GIVEN, "seq"], _NEXT_SEQ))
_PAGE = (
    select(timeline)
    .where(timeline.c.subject_id == bindparam("subject_id"), timeline.c.seq > bindparam("after_seq"))
    .order_by(timeline.c.seq)
    .limit(bindparam("limit"))
)


@dataclass(frozen=True)
class Entry:
    """One line of a case's story: when, what, by whom and for which unit. `seq` counts per case from 1."""

    id: str
    subject_id: str
    seq: int
    at: datetime
    kind: str
    text_zh: str
    text_en: str
    actor: str
    unit: str


def add(
    tx: Tx, subject_id: str, kind: str, zh: str, en: str, *, actor: str | None = None, unit: str | None = None
) -> str:
    """Writes one line, returns its id. The caller holds the lock on the subject's row, so that no two get one number."""
    values = {
        "id": ids.uuid7(),
        "subject_id": subject_id,
        "at": tx.now,
        "kind": kind,
        "text_zh": zh,
        "text_en": en,
        "actor": tx.identity.account if actor is None else actor,
        "unit": tx.identity.unit if unit is None else unit,
    }
    tx.put(_ADD, values)
    return str(values["id"])


def page(conn: Connection, subject_id: str, after_seq: int, limit: int) -> list[Entry]:
    """The lines that follow a number, oldest first; 0 begins at the beginning."""
    rows = conn.execute(_PAGE, {"subject_id": subject_id, "after_seq": after_seq, "limit": limit})
    return [_entry(row) for row in rows.mappings()]


def _entry(row: RowMapping) -> Entry:
    return Entry(**row)
