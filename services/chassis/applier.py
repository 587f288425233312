"""Acts on what the inbox holds: each aggregate in `seq` order, each event once; a failure holds its own aggregate only.

A batch takes up to 100 events of many aggregates into one transaction. When one of them fails nothing of the batch is
kept, and its events are taken one by one, each in a transaction of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from contextvars import copy_context
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, FromClause, Row, Select, and_, bindparam, exists, false, select, update

from protos.link.v1.envelope_pb2 import Envelope
from services.chassis import clock, held, identity, spans, streams, telemetry, wake
from services.chassis.database import Tx
from services.chassis.failures import where_it_failed
from services.chassis.inbox import Line, Received, among, names_of, receive
from services.chassis.listeners import Delivery, Subscription
from services.chassis.refusal import Refusal, StaleEpoch
from services.chassis.service import Service
from services.chassis.streams import Mailbox
from services.chassis.tables import held as held_table
from services.chassis.tables import inbox, inbox_cursor

log = logging.getLogger(__name__)

BATCH = 100
# How many of the oldest events are looked at for a batch.
LOOK = 1000
# A batch holds locks that callers wait for: past this time (seconds) it commits what it has done.
BATCH_S = 0.02
# The net under the bell, and how promptly a retry begins.
POLL_S = 0.5
LONGEST_PAUSE_S = 10.0

APPLIED, REFUSED, UNKNOWN, EXPIRED = "applied", "refused", "unknown", "expired"

_SAME_LINE = and_(*(inbox.c[name] == inbox_cursor.c[name] for name in Line._fields))
_HELD = exists().where(
    *(held_table.c[name] == inbox_cursor.c[name] for name in Line._fields), held_table.c.state == "held"
)
_HELD_BACK = _HELD.where(
    held_table.c.next_try_at.is_(None)
    | (held_table.c.next_try_at > bindparam("now", type_=held_table.c.next_try_at.type))
)


_OLDEST = (
    select(inbox).where(inbox.c.applied_at.is_(None)).order_by(inbox.c.id).limit(bindparam("look")).subquery("oldest")
)


def _due(events: FromClause, *more: Any) -> Select[Any]:
    """Events whose turn it is, of aggregates that nothing holds back."""
    return (
        select(events, inbox_cursor.c.last_seq, _HELD.label("was_held"))
        .join(inbox_cursor, and_(*(events.c[name] == inbox_cursor.c[name] for name in Line._fields)))
        .where(events.c.applied_at.is_(None), events.c.seq == inbox_cursor.c.last_seq + 1, ~_HELD_BACK, *more)
        .order_by(events.c.id)
    )


def _locking(events: Select[Any]) -> Select[Any]:
    """Two appliers share the work: an aggregate that the other one has locked is passed over."""
    return events.with_for_update(of=inbox_cursor, skip_locked=True)


# Looks at the oldest events only: where thousands wait for few aggregates, most of them are nobody's turn.
_TAKE = _locking(_due(_OLDEST).limit(bindparam("most")))
# Asked when those are all held back or wait for others.
_TAKE_ANY = _locking(_due(inbox).limit(bindparam("most")))
_TAKE_ONE = _locking(_due(inbox, inbox.c.id == bindparam("id")))
_ANY_DUE = select(_due(inbox).with_only_columns(inbox.c.id).order_by(None).exists())
# What comes behind those, of aggregates that are locked already.
_FOLLOWING = (
    select(inbox, inbox_cursor.c.last_seq, false().label("was_held"))
    .join(inbox_cursor, _SAME_LINE)
    .where(
        among(inbox),
        inbox.c.applied_at.is_(None),
        inbox.c.seq.between(inbox_cursor.c.last_seq + 2, inbox_cursor.c.last_seq + bindparam("deep", type_=BigInteger)),
    )
    .order_by(inbox.c.seq)
)
_SETTLE = (
    update(inbox)
    .where(inbox.c.id.in_(bindparam("settled", expanding=True)))
    .values(applied_at=bindparam("at"), outcome=bindparam("how"))
)
_ADVANCE = (
    update(inbox_cursor)
    .where(*(inbox_cursor.c[name] == bindparam(f"of_{name}") for name in Line._fields))
    .values(last_seq=bindparam("to_seq"))
)


class _Done(NamedTuple):
    event: Row[Any]
    outcome: str


class Applier:
    """Applies what one service has received, on its own thread. Several may run at once, in one process or many."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._queue = Mailbox(service.settings.tier, service.name).queue
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins; what was left from the last run is applied first."""
        wake.bell(self.service.db, wake.INBOX).listen(self._woken)
        self._stopping.clear()
        self._woken.set()
        self._thread = threading.Thread(target=self._run, name=f"apply-{self.service.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends after the batch that is being applied; what waits stays for the next start."""
        wake.bell(self.service.db, wake.INBOX).leave(self._woken)
        self._stopping.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join()

    def take(self, bodies: Sequence[bytes]) -> Received:
        """Receives from the local bus, which has no dead-letter queue: what cannot be taken is held for people."""
        received = receive(self.service, bodies, system=streams.LOCAL)
        if received.poisoned:
            with self.service.db.transaction() as tx:
                for position, reason in received.poisoned.items():
                    held.hold_undecodable(tx, bodies[position], reason)
        return received

    def apply_waiting(self, limit: int = BATCH) -> int:
        """Takes one batch and returns how many events it acted on, also those now held. 0: none is due."""
        events: list[Row[Any]] = []
        try:
            with self.service.db.transaction() as tx:
                events += _take(tx, limit)
                done = self._act_on_all(tx, events)
                _settle(tx, done)
        except Exception as error:
            if not events:
                raise
            log.debug("batch undone", extra={"fields": {"service": self.service.name, "error": type(error).__name__}})
            return sum(self._apply_alone(event.id) for event in events)
        return len(done) + sum(self._apply_alone(event.id) for event in events if event.was_held)

    def _act_on_all(self, tx: Tx, events: Iterable[Row[Any]]) -> list[_Done]:
        """Acts in order for as long as a batch may take. What failed before is left for a transaction of its own."""
        until = time.monotonic() + BATCH_S
        last: dict[Line, int] = {}
        done: list[_Done] = []
        for event in events:
            line = _line(event)
            if event.was_held or event.seq != last.get(line, event.last_seq) + 1:
                continue
            done.append(_Done(event, copy_context().run(self._act, tx, event)))
            last[line] = event.seq
            if time.monotonic() > until:
                break
        return done

    def _apply_alone(self, event_id: int) -> bool:
        """Acts on one event. False when it is not its turn: the one before it is held, or another applier has it."""
        with self.service.db.transaction() as tx:
            event = tx.conn.execute(_TAKE_ONE, {"now": tx.now, "id": event_id}).one_or_none()
            if event is None:
                return False
            outcome = self._try(tx, event)
            if outcome is not None:
                _settle(tx, [_Done(event, outcome)])
                if event.was_held:
                    held.close_retried(tx, [event])
        return True

    def _try(self, tx: Tx, event: Row[Any]) -> str | None:
        """The outcome; None when the event is now held. In either case no effect of a failed listener is left."""
        after = len(tx.after)
        try:
            with tx.savepoint():
                return copy_context().run(self._act, tx, event)
        except StaleEpoch as refusal:
            del tx.after[after:]
            held.hold(tx, event, held.STALE_EPOCH, refusal.reason)
        except Refusal as refusal:
            del tx.after[after:]
            fields = {"type": event.type, "event_id": event.event_id, "reason": refusal.reason}
            log.info("event refused", extra={"fields": fields})
            return REFUSED
        except Exception as error:
            del tx.after[after:]
            held.hold(tx, event, held.ERROR, where_it_failed(error))
        return None

    def _act(self, tx: Tx, event: Row[Any]) -> str:
        """Runs in a copied context, so that the identity ends with the event."""
        envelope = Envelope.FromString(event.envelope)
        tx.identity = identity.system(self.service.name, self.service.settings.tier, envelope.on_behalf_of)
        identity.set_current(tx.identity)
        tracer = telemetry.tracer_of(self.service.name)
        with spans.process_span(
            tracer, self._queue, event.type, event.event_id, envelope.traceparent, system=streams.SYSTEM
        ):
            subscription = self.service.listeners.of(event.type)
            if subscription is None or subscription.source != event.source:
                return UNKNOWN
            if envelope.HasField("valid_until") and envelope.valid_until.ToDatetime(tx.now.tzinfo) <= tx.now:
                return EXPIRED
            # Only types of the contracts are timed: a sender cannot invent labels.
            with telemetry.timed_event(self.service.name, event.type):
                _deliver(tx, subscription, envelope)
            return APPLIED

    def _run(self) -> None:
        pause = POLL_S
        while not self._stopping.is_set():
            rung = self._woken.wait(pause)
            self._woken.clear()
            try:
                if rung or self._anything_due():
                    self._drain()
                pause = POLL_S
            except Exception as error:  # its database is away: what is committed there waits
                pause = min(LONGEST_PAUSE_S, pause * 2)
                fields = {"service": self.service.name, "error": type(error).__name__}
                log.warning("cannot apply events", extra={"fields": fields})

    def _drain(self) -> None:
        # An event that failed is not due again at once, so this ends.
        while not self._stopping.is_set() and self.apply_waiting():
            pass

    def _anything_due(self) -> bool:
        """Asked without the write lock, as it is asked twice a second."""
        with self.service.db.reading() as conn:
            return bool(conn.execute(_ANY_DUE, {"now": clock.now()}).scalar())


def _take(tx: Tx, limit: int) -> list[Row[Any]]:
    """Locks up to `limit` aggregates whose turn it is, and returns their next events; of a few aggregates, several."""
    given = {"now": tx.now, "most": limit, "look": LOOK}
    first = list(tx.conn.execute(_TAKE, given)) or list(tx.conn.execute(_TAKE_ANY, given))
    lines = {_line(event) for event in first if not event.was_held}
    deep = limit // len(lines) if lines else 0
    behind = tx.conn.execute(_FOLLOWING, names_of(lines) | {"deep": deep}) if deep > 1 else ()
    return first + [event for event in behind if _line(event) in lines]


def _line(event: Row[Any]) -> Line:
    return Line(event.from_tier, event.source, event.aggregate_id)


def _deliver(tx: Tx, subscription: Subscription, envelope: Envelope) -> None:
    delivery = Delivery(
        event_id=envelope.id, source=envelope.source, from_tier=envelope.from_tier,
        occurred_at=envelope.time.ToDatetime(tx.now.tzinfo), on_behalf_of=envelope.on_behalf_of,
    )  # fmt: skip
    subscription.act(tx, subscription.event.FromString(envelope.data), delivery)


def _settle(tx: Tx, done: list[_Done]) -> None:
    """Writes down what became of the events, and how far their aggregates have come."""
    for outcome in {one.outcome for one in done}:
        settled = [one.event.id for one in done if one.outcome == outcome]
        tx.conn.execute(_SETTLE, {"settled": settled, "at": tx.now, "how": outcome})
    last = {_line(event): event.seq for event, _ in done}
    if last:
        rows = [{f"of_{k}": v for k, v in line._asdict().items()} | {"to_seq": seq} for line, seq in last.items()]
        tx.conn.execute(_ADVANCE, rows)
