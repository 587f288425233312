"""What a service announces: one row per listener, written in the transaction of the deed and sent after its commit.

A crash at any moment loses neither the deed nor its announcement, and announces nothing that was not committed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import bindparam, func, insert, select, update

from protos.link.v1.envelope_pb2 import Envelope
from protos.options.v1 import options_pb2
from services.chassis import clock, ids, spans, streams, telemetry, wake
from services.chassis.database import Database, Tx
from services.chassis.identity import Identity
from services.chassis.streams import Mailbox
from services.chassis.tables import outbox, outbox_seq
from services.chassis.upserts import Upsert
from services.chassis.writes import Write

# PostgreSQL's channel by which `work` and other replicas wake the relay.
CHANNEL = "zongzhi_outbox"
SCHEMA_VERSION = 1
# Generated stubs type an extension as a plain field descriptor.
_EVENT: Any = options_pb2.event
RESEND_BATCH = 2000

_KEY = ("to_tier", "to_service", "aggregate_id")
# Also the lock that keeps two writers of one aggregate in order.
_NEXT_SEQ = Upsert(
    outbox_seq,
    lambda insert_: (
        insert_.values({name: bindparam(name) for name in _KEY} | {"last_seq": 1})
        .on_conflict_do_update(index_elements=_KEY, set_={"last_seq": outbox_seq.c.last_seq + 1})
        .returning(outbox_seq.c.last_seq)
    ),
).write
_INSERT = Write(insert(outbox).inline())
_NOTIFY = select(func.pg_notify(CHANNEL, bindparam("destination")))
_DEPTH = (
    select(outbox.c.destination, func.count().label("rows"), func.min(outbox.c.created_at).label("oldest"))
    .where(outbox.c.sent_at.is_(None))
    .group_by(outbox.c.destination)
)


@dataclass(frozen=True)
class _Policy:
    """What the event's option says."""

    type_name: str
    listeners: tuple[str, ...]
    aggregate: str


@dataclass(frozen=True)
class Depth:
    """What waits for one destination."""

    rows: int
    oldest: datetime


def announce(
    tx: Tx,
    message: Message,
    *,
    source: str,
    from_tier: str,
    to_tier: str | None = None,
    valid_until: datetime | None = None,
) -> None:
    """Tells each service that listens to this event, once `tx` is committed. Raises ValueError when it is no event."""
    policy = _policy(message.DESCRIPTOR)
    aggregate_id: str = getattr(message, policy.aggregate)
    if not aggregate_id:
        raise ValueError(f"{policy.type_name} is announced without {policy.aggregate}")
    for listener in policy.listeners:
        envelope = Envelope(
            id=ids.uuid7(), source=source, type=policy.type_name, time=_timestamp(tx.now), from_tier=from_tier,
            to_tier=to_tier or from_tier, to_service=listener, aggregate_type=policy.aggregate.removesuffix("_id"),
            aggregate_id=aggregate_id, schema_version=SCHEMA_VERSION, on_behalf_of=_on_behalf_of(tx.identity),
            data=message.SerializeToString(), valid_until=_timestamp(valid_until) if valid_until else None,
        )  # fmt: skip
        _write(tx, envelope)


def _write(tx: Tx, envelope: Envelope) -> None:
    destination = streams.destination(envelope.from_tier, envelope.to_tier)
    queue = Mailbox(envelope.to_tier, envelope.to_service).queue
    with spans.create_span(
        telemetry.tracer_of(envelope.source), envelope.type, queue, event_id=envelope.id, system=streams.SYSTEM
    ):
        envelope.traceparent = telemetry.current_traceparent()
        given = tx.fetch(_NEXT_SEQ, {key: getattr(envelope, key) for key in _KEY})
        envelope.seq = given[0] if given else 0
        tx.put(_INSERT, _row(tx, envelope, destination))
    _wake_relay(tx, destination)


def _row(tx: Tx, envelope: Envelope, destination: str) -> dict[str, Any]:
    return {
        "event_id": envelope.id, "destination": destination, "to_tier": envelope.to_tier,
        "to_service": envelope.to_service, "aggregate_id": envelope.aggregate_id, "seq": envelope.seq,
        "type": envelope.type, "envelope": envelope.SerializeToString(), "created_at": tx.now,
    }  # fmt: skip


def _wake_relay(tx: Tx, destination: str) -> None:
    """NOTIFY lets commits pass one at a time, so it is sent only where the relay runs in another process."""
    bell = wake.bell(tx.db, wake.outbox(destination))

    def notify() -> None:
        if bell.heard:
            tx.after_commit(bell.ring)
        elif not tx.db.is_sqlite:
            tx.conn.execute(_NOTIFY, {"destination": destination})

    tx.before_commit(wake.outbox(destination), notify)


@cache
def _policy(descriptor: Descriptor) -> _Policy:
    options = descriptor.GetOptions()
    if not options.HasExtension(_EVENT):
        raise ValueError(f"{descriptor.full_name} does not declare itself an event")
    event: options_pb2.EventPolicy = options.Extensions[_EVENT]
    # Sorted, so that two transactions never lock two streams in opposite order.
    return _Policy(str(descriptor.full_name), tuple(sorted(event.listeners)), event.aggregate)


def _on_behalf_of(identity: Identity) -> str:
    """The officer whose deed it is, also when the system carries it on."""
    return identity.on_behalf_of if identity.account.startswith("system:") else identity.account


def _timestamp(at: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp


def waiting(db: Database) -> dict[str, Depth]:
    """What is not yet confirmed, by destination."""
    with db.reading() as conn:
        return {row.destination: Depth(row.rows, row.oldest) for row in conn.execute(_DEPTH)}


_OF_SPAN = (
    select(outbox.c.id)
    .where(outbox.c.sent_at >= bindparam("since"), outbox.c.sent_at < bindparam("until"))
    .limit(RESEND_BATCH)
)
_OF_SPAN_TO = _OF_SPAN.where(outbox.c.to_service == bindparam("service"))
_AGAIN, _AGAIN_TO = (
    update(outbox).where(outbox.c.id.in_(chosen)).values(sent_at=None).returning(outbox.c.destination)
    for chosen in (_OF_SPAN, _OF_SPAN_TO)
)


def resend(db: Database, since: datetime, until: datetime, to_service: str | None = None) -> int:
    """Sends again what was sent in [since, until), while it is kept. Receivers absorb what they have already."""
    # What is sent again while this runs must not be taken a second time.
    span = {"since": since, "until": min(until, clock.now()), "service": to_service}
    total = 0
    while True:
        with db.transaction() as tx:
            rows = tx.conn.execute(_AGAIN_TO if to_service else _AGAIN, span).all()
            for destination in {row.destination for row in rows}:
                _wake_relay(tx, destination)
        total += len(rows)
        if len(rows) < RESEND_BATCH:
            return total
