"""The order of all that happens to cases, in which a reader never skips a commit, and the bell that tells of one.

Numbers from a sequence are given before the commit, so that a reader who has seen 7 may have missed 6. On PostgreSQL a
row therefore carries its transaction's number, and readers stop before the oldest transaction that still runs
(`pg_snapshot_xmin`): every lower number is decided for good. SQLite has one writer at a time; there ids are the order.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Connection, Select, Text, bindparam, cast, delete, func, insert, literal, select, tuple_

from services.chassis import clock, wake
from services.chassis.database import Database, Tx
from services.chassis.writes import Write
from services.petition.adapters.tables_following import progress

SUBJECT = "progress"
# PostgreSQL's channel between processes.
CHANNEL = "zongzhi_progress"
# A NOTIFY lets commits pass one at a time; in between, the look of WaitProgress finds what was not told.
NOTIFY_EVERY_S = 0.1
KEEP = timedelta(days=7)
# A cursor goes stale a day before what follows it may have been forgotten.
FRESH = KEEP - timedelta(days=1)
_EPOCH_H = 3600
_C = progress.c
_GIVEN = {name: bindparam(name) for name in ("petition_id", "entry_id", "at")}
_XID = cast(cast(func.pg_current_xact_id(), Text), BigInteger)
_XMIN = cast(cast(func.pg_snapshot_xmin(func.pg_current_snapshot()), Text), BigInteger)
_XMAX = cast(cast(func.pg_snapshot_xmax(func.pg_current_snapshot()), Text), BigInteger)
_ADD = Write(insert(progress).inline().values({**_GIVEN, "xid": _XID}), insert(progress).inline().values({**_GIVEN, "xid": 0}))
_NOTIFY = select(func.pg_notify(CHANNEL, ""))


@dataclass(frozen=True)
class Cursor:
    """A place in the order: the first `era` characters of the incarnation, transaction, row, and when it was given out."""

    era: str
    xid: int
    id: int
    hour: int

    def __str__(self) -> str:
        return f"{self.era}.{self.xid}.{self.id}.{self.hour}"

    def is_fresh(self, era: str, now: datetime) -> bool:
        """Whether all that follows it is still kept, and by the same installation."""
        return self.era == era and self.hour >= hour_of(now - FRESH)


def read_cursor(text: str) -> Cursor | None:
    """The cursor that a caller gives back; None when it is none of ours."""
    era, *numbers = text.split(".")
    if len(numbers) != 3 or not all(one.isascii() and one.isdigit() and len(one) < 19 for one in numbers):
        return None
    return Cursor(era, *(int(one) for one in numbers))


def hour_of(at: datetime) -> int:
    """Hours since 1970, the stamp of a cursor."""
    return int(at.timestamp()) // _EPOCH_H


def add(tx: Tx, petition_id: str, entry_id: str) -> None:
    """Something happened to a case: whoever waits is woken after the commit."""
    tx.put(_ADD, {"petition_id": petition_id, "entry_id": entry_id, "at": tx.now})
    _ring_after(tx)


_last_notify: dict[str, float] = {}
_guard = threading.Lock()


def _ring_after(tx: Tx) -> None:
    bell = wake.bell(tx.db, SUBJECT)

    def ring() -> None:
        if bell.heard:
            tx.after_commit(bell.ring)
        elif not tx.db.is_sqlite and _may_notify(str(tx.db.url)):
            tx.conn.execute(_NOTIFY)

    tx.before_commit(SUBJECT, ring)


def _may_notify(address: str) -> bool:
    now = time.monotonic()
    with _guard:
        if now - _last_notify.get(address, 0.0) < NOTIFY_EVERY_S:
            return False
        _last_notify[address] = now
        return True


def decided(conn: Connection) -> Select[tuple[int, int, str, str]]:
    """The rows that no running transaction can still come before, in order."""
    found = select(_C.xid, _C.id, _C.petition_id, _C.entry_id).order_by(_C.xid, _C.id)
    return found if conn.dialect.name == "sqlite" else found.where(_C.xid < _XMIN)


def following(conn: Connection, after: Cursor, limit: int) -> Select[tuple[int, int, str, str]]:
    """Those of them that follow a cursor."""
    place = tuple_(literal(after.xid, _C.xid.type), literal(after.id, _C.id.type))
    return decided(conn).where(tuple_(_C.xid, _C.id) > place).limit(limit)


def last(conn: Connection) -> tuple[int, int] | None:
    """Transaction and row of the newest that is decided; None when there is none."""
    newest_first = decided(conn).order_by(None).order_by(_C.xid.desc(), _C.id.desc()).limit(1)
    row = conn.execute(newest_first).first()
    return (row.xid, row.id) if row else None


def newest(conn: Connection, era: str, now: datetime) -> Cursor:
    """The place after all that is decided."""
    if conn.dialect.name == "sqlite":
        last = conn.execute(select(func.max(_C.id))).scalar()
        return Cursor(era, 0, last or 0, hour_of(now))
    return Cursor(era, int(conn.execute(select(_XMIN)).scalar_one()), 0, hour_of(now))


def prune(db: Database, now: datetime | None = None) -> int:
    """Forgets what is older than a week, and rows of transactions that another installation had. Returns rows."""
    before = (now or clock.now()) - KEEP
    with db.transaction() as tx:
        # The newest stays, so that SQLite gives no id twice.
        old = (_C.at < before) & (_C.id < select(func.max(_C.id)).scalar_subquery())
        gone = int(tx.conn.execute(delete(progress).where(old)).rowcount)
        if not db.is_sqlite:
            gone += int(tx.conn.execute(delete(progress).where(_C.xid >= _XMAX)).rowcount)
    return gone
