"""Events that could not be applied, for people: what waits, why, since when; try again, or give up with a reason.

    kind          it came about because                                    it goes on by
    error         a listener failed                                        itself, 1 s to 10 min apart; retry; discard
    stale_epoch   the case changed hands meanwhile                         retry or discard
    conflict      a known number came with another event                   discard (of the second one)
    undecodable   the local bus brought what is no envelope of ours        discard
    gap           an earlier event is missing (found, not written down)    the missing event; the sender's resend

An open row holds its aggregate back; every other aggregate goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, insert, null, select, update

from protos.link.v1.envelope_pb2 import Envelope
from services.chassis import audit, ids, wake
from services.chassis.database import Database, Tx
from services.chassis.digests import body_digest
from services.chassis.identity import Identity
from services.chassis.refusal import IllegalMove, Invalid, NotFound
from services.chassis.tables import held, inbox, inbox_cursor

log = logging.getLogger(__name__)

ERROR, STALE_EPOCH, CONFLICT, UNDECODABLE, GAP = "error", "stale_epoch", "conflict", "undecodable", "gap"
# Kinds about an event that stands in the inbox and is the next of its aggregate.
_OF_NEXT = (ERROR, STALE_EPOCH)
FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 600.0
PAGE = 200

_LINE = ("from_tier", "source", "aggregate_id")
_WAITING = sorted({c.name for c in held.c} & {c.name for c in inbox.c} - {"id", "envelope"})
_OPEN = held.c.state == "held"
_INSERT = insert(held)
_OPEN_OF_EVENT = select(held.c.id, held.c.tries).where(
    _OPEN, held.c.kind.in_(_OF_NEXT), *(held.c[name] == bindparam(name) for name in (*_LINE, "seq"))
)
_AGAIN = (
    update(held)
    .where(held.c.id == bindparam("held_id"))
    .values({name: bindparam(f"new_{name}") for name in ("kind", "reason", "tries", "next_try_at")})
)
_CLOSE = (
    update(held)
    .where(_OPEN, held.c.kind.in_(_OF_NEXT), *(held.c[name] == bindparam(f"of_{name}") for name in (*_LINE, "seq")))
    .values(state="retried", closed_at=bindparam("at"), next_try_at=null())
)
_KNOWN_ENVELOPE = select(held.c.id).where(
    held.c.kind == bindparam("kind"), held.c.event_id == bindparam("event_id"), held.c.envelope == bindparam("envelope")
)
_PAGE = select(held).where(_OPEN, held.c.id > bindparam("after")).order_by(held.c.id).limit(bindparam("most"))
_ONE = select(held).where(held.c.id == bindparam("held_id"))
_LOCK_CURSOR = (
    select(inbox_cursor.c.last_seq)
    .where(*(inbox_cursor.c[name] == bindparam(name) for name in _LINE))
    .with_for_update()
)
_SOON = update(held).where(held.c.id == bindparam("held_id")).values(next_try_at=bindparam("at"))
_GIVE_UP = (
    update(held)
    .where(held.c.id == bindparam("held_id"))
    .values(state="discarded", closed_by=bindparam("by"), closed_at=bindparam("at"), close_reason=bindparam("why"),
            next_try_at=null())
)  # fmt: skip
_PASS_ROW = (
    update(inbox)
    .where(*(inbox.c[name] == bindparam(f"of_{name}") for name in (*_LINE, "seq")))
    .values(applied_at=bindparam("at"), outcome="discarded")
)
_PASS_CURSOR = (
    update(inbox_cursor)
    .where(
        *(inbox_cursor.c[name] == bindparam(f"of_{name}") for name in _LINE),
        inbox_cursor.c.last_seq == bindparam("of_seq") - 1,
    )
    .values(last_seq=bindparam("of_seq"))
)
_SAME_LINE = and_(*(inbox.c[name] == inbox_cursor.c[name] for name in _LINE))
_GAPS = (
    select(
        *(inbox_cursor.c[name] for name in _LINE),
        (func.min(inbox_cursor.c.last_seq) + 1).label("seq"),
        func.min(inbox.c.received_at).label("first_at"),
    )
    .join(inbox_cursor, _SAME_LINE)
    .where(inbox.c.applied_at.is_(None))
    .group_by(*(inbox_cursor.c[name] for name in _LINE))
    .having(func.min(inbox.c.seq - inbox_cursor.c.last_seq) > 1)
    .order_by(func.min(inbox.c.received_at))
    .limit(bindparam("most"))
)
_COUNT = (
    select(held.c.from_tier, held.c.source, func.count().label("events"))
    .where(_OPEN)
    .group_by(held.c.from_tier, held.c.source)
)


@dataclass(frozen=True)
class HeldEvent:
    """One line of the list. A gap has no id: nothing of it can be retried or discarded."""

    id: str
    kind: str
    from_tier: str
    source: str
    aggregate_id: str
    seq: int
    type: str
    event_id: str
    reason: str
    tries: int
    first_at: datetime
    next_try_at: datetime | None

    def shown(self, now: datetime) -> dict[str, Any]:
        """For a screen or a command line: times in ISO 8601, the age in whole seconds."""
        return {
            **self.__dict__,
            "first_at": self.first_at.isoformat(),
            "next_try_at": self.next_try_at.isoformat() if self.next_try_at else None,
            "age_s": int((now - self.first_at).total_seconds()),
        }


def hold(tx: Tx, event: Row[Any], kind: str, reason: str) -> None:
    """Marks the next event of an aggregate as held, or counts one more try. `event` is its row of the inbox."""
    open_ = tx.conn.execute(_OPEN_OF_EVENT, {name: getattr(event, name) for name in (*_LINE, "seq")}).one_or_none()
    tries = open_.tries + 1 if open_ else 1
    next_try_at = tx.now + backoff(tries) if kind == ERROR else None
    fields = {"type": event.type, "event_id": event.event_id, "kind": kind, "reason": reason, "tries": tries}
    log.warning("event held", extra={"fields": fields})
    if open_ is None:
        _insert(tx, {name: getattr(event, name) for name in _WAITING}, kind, reason, next_try_at=next_try_at)
        return
    change = {"new_kind": kind, "new_reason": reason, "new_tries": tries, "new_next_try_at": next_try_at}
    tx.conn.execute(_AGAIN, {"held_id": open_.id} | change)


def backoff(tries: int) -> timedelta:
    """How long to wait after so many tries: doubling from a second to ten minutes."""
    return timedelta(seconds=min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(tries - 1, 20)))


def close_retried(tx: Tx, events: list[Row[Any]]) -> None:
    """Closes the held rows of events that have now been applied."""
    rows = [{f"of_{name}": getattr(event, name) for name in (*_LINE, "seq")} | {"at": tx.now} for event in events]
    tx.conn.execute(_CLOSE, rows)


def hold_conflict(tx: Tx, envelope: Envelope, body: bytes) -> None:
    """Keeps an envelope whose number is taken by another event. It overwrites nothing and its aggregate waits."""
    if _is_known(tx.conn, CONFLICT, envelope.id, body):
        return
    values = {name: getattr(envelope, name) for name in (*_LINE, "seq", "type")} | {"event_id": envelope.id}
    _insert(tx, values, CONFLICT, "the same seq came with another event", envelope=body)
    fields = {"type": envelope.type, "event_id": envelope.id, "kind": CONFLICT}
    log.error("event contradicts an earlier one", extra={"fields": fields})


def hold_undecodable(tx: Tx, body: bytes, reason: str) -> None:
    """Keeps a body that the local bus brought and nobody can take: what RabbitMQ has a dead-letter queue for."""
    mark = body_digest(body)[:36]
    if not _is_known(tx.conn, UNDECODABLE, mark, body):
        values = {"from_tier": "", "source": "", "aggregate_id": "", "seq": 0, "type": "", "event_id": mark}
        _insert(tx, values, UNDECODABLE, reason, envelope=body)


def _is_known(conn: Connection, kind: str, event_id: str, body: bytes) -> bool:
    """Whether it is kept already, or was discarded: a resend must not bring it up again."""
    known = conn.execute(_KNOWN_ENVELOPE, {"kind": kind, "event_id": event_id, "envelope": body})
    return known.first() is not None


def _insert(
    tx: Tx,
    values: Mapping[str, Any],
    kind: str,
    reason: str,
    *,
    envelope: bytes | None = None,
    next_try_at: datetime | None = None,
) -> None:
    row = {"id": ids.uuid7(), "kind": kind, "reason": reason, "tries": 1, "first_at": tx.now, "state": "held"}
    tx.conn.execute(_INSERT, {**values, **row, "envelope": envelope, "next_try_at": next_try_at})


def list_held(db: Database, after: str = "", limit: int = PAGE) -> list[HeldEvent]:
    """A page of what is held, newest last, beginning behind the id `after`. Gaps follow where the page is not full."""
    with db.reading() as conn:
        rows = conn.execute(_PAGE, {"after": after, "most": limit})
        page = [HeldEvent(**{name: getattr(row, name) for name in HeldEvent.__dataclass_fields__}) for row in rows]
        return page + (_gaps(conn, limit - len(page)) if len(page) < limit else [])


def _gaps(conn: Connection, limit: int) -> list[HeldEvent]:
    empty: dict[str, Any] = {"id": "", "type": "", "event_id": "", "tries": 0, "next_try_at": None}
    reason = "waits for an earlier event that has not come"
    rows = conn.execute(_GAPS, {"most": limit}).mappings()
    return [HeldEvent(**{**row}, **empty, kind=GAP, reason=reason) for row in rows]


def counts(db: Database) -> dict[str, int]:
    """How many events are held, by stream (`<tier>.<service>` they come from)."""
    with db.reading() as conn:
        return {f"{row.from_tier}.{row.source}": row.events for row in conn.execute(_COUNT)}


def retry(db: Database, held_id: str, by: str) -> None:
    """Has the applier try it again at once. Raises NotFound, or IllegalMove where only a discard helps."""
    with db.transaction(Identity(account=by, tier="")) as tx:
        row = _open_row(tx, held_id)
        if row.kind not in _OF_NEXT:
            raise IllegalMove(
                "HELD_NEEDS_DISCARD",
                "此事件无法重试,只能放弃。",
                "This event cannot be tried again, only discarded.",
                state=row.kind,
                allowed_states=" ".join(_OF_NEXT),
            )
        tx.conn.execute(_SOON, {"held_id": held_id, "at": tx.now})
        audit.write(tx, "held.retry", "event", row.event_id, kind=row.kind, type=row.type)
        tx.after_commit(wake.bell(db, wake.INBOX).ring)


def discard(db: Database, held_id: str, by: str, reason: str) -> None:
    """Gives an event up for good, with a reason that the audit keeps; its aggregate goes on behind it."""
    if not reason.strip():
        raise Invalid("reason", "请写明放弃的理由。", "Say why it is discarded.")
    with db.transaction(Identity(account=by, tier="")) as tx:
        row = _open_row(tx, held_id)
        of = {f"of_{name}": getattr(row, name) for name in (*_LINE, "seq")} | {"at": tx.now}
        if row.kind in _OF_NEXT and tx.conn.execute(_PASS_CURSOR, of).rowcount:
            tx.conn.execute(_PASS_ROW, of)
        tx.conn.execute(_GIVE_UP, {"held_id": held_id, "by": by, "at": tx.now, "why": reason})
        audit.write(tx, "held.discard", "event", row.event_id, kind=row.kind, type=row.type, reason=reason)
        tx.after_commit(wake.bell(db, wake.INBOX).ring)


def _open_row(tx: Tx, held_id: str) -> Row[Any]:
    """The row, locked as the applier locks: first the cursor, so that neither waits for the other."""
    row = tx.conn.execute(_ONE, {"held_id": held_id}).one_or_none()
    if row is None:
        raise NotFound.thing("搁置的事件", "held event", held_id)
    tx.conn.execute(_LOCK_CURSOR, {name: getattr(row, name) for name in _LINE})
    row = tx.conn.execute(_ONE, {"held_id": held_id}).one()
    if row.state != "held":
        raise IllegalMove(
            "HELD_CLOSED", "此事件已处理完毕。", "This event is closed already.", state=row.state, allowed_states="held"
        )
    return row
