"""What a service receives: envelopes are stored as they come, up to 200 a transaction, and acknowledged after it.

Storing decides nothing but whether an envelope is new, known, contradicts a known one, or cannot be read. `applier.py`
acts on what is stored.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError
from sqlalchemy import ColumnElement, and_, bindparam, func, select

from protos.link.v1.envelope_pb2 import Envelope
from services.chassis import held, ids, spans, streams, telemetry, wake
from services.chassis.database import Database, Tx
from services.chassis.digests import body_digest
from services.chassis.service import Service
from services.chassis.streams import Mailbox
from services.chassis.tables import inbox, inbox_cursor
from services.chassis.upserts import Upsert

log = logging.getLogger(__name__)

BATCH = 200

# Also what the columns hold: a longer text would fail the whole batch, again at every redelivery.
_SHAPES = {
    "source": re.compile(r"[a-z][a-z_]{0,29}"),
    "type": re.compile(r"[A-Za-z0-9_.]{1,120}"),
    "from_tier": re.compile(r"\d{12}"),
    "aggregate_id": re.compile(r"[!-~]{1,36}"),
}
_STORE = Upsert(inbox, lambda insert_: insert_.on_conflict_do_nothing().returning(inbox.c.event_id, inbox.c.digest))
_BEGIN = Upsert(inbox_cursor, lambda insert_: insert_.on_conflict_do_nothing())


class Poison(Exception):
    """A body that this service cannot take, and never will: it cannot be decoded, or is for somebody else."""


class Line(NamedTuple):
    """What `seq` counts along: one aggregate as one service of one tier tells of it."""

    from_tier: str
    source: str
    aggregate_id: str


def among(table: Any) -> ColumnElement[bool]:
    """Rows of these lines and perhaps of a few more, found by index on both databases: SQLite has none for pairs."""
    return and_(*(table.c[name].in_(bindparam(f"{name}s", expanding=True)) for name in Line._fields))


def names_of(lines: Iterable[Line]) -> dict[str, list[str]]:
    """The values for `among`."""
    lines = list(lines)
    return {f"{name}s": sorted({getattr(line, name) for line in lines}) for name in Line._fields}


_WAITING = select(func.count().label("rows"), func.min(inbox.c.received_at).label("oldest")).where(
    inbox.c.applied_at.is_(None)
)
_CURSORS = select(inbox_cursor).where(among(inbox_cursor))
_KNOWN = select(*(inbox.c[name] for name in (*Line._fields, "seq", "event_id", "digest"))).where(
    among(inbox), inbox.c.seq.in_(bindparam("seqs", expanding=True))
)


@dataclass(frozen=True)
class Arrival:
    """An envelope that came, and what tells it from another one with the same number."""

    line: Line
    seq: int
    envelope: Envelope
    body: bytes

    @property
    def digest(self) -> str:
        """Of what happened. The way it came (`via`, trace) may differ from one delivery to the next."""
        return body_digest(self.envelope.type.encode() + b"\0" + self.envelope.data)

    @property
    def identity(self) -> tuple[str, str]:
        """Two arrivals of the same event have the same."""
        return self.envelope.id, self.digest

    def row(self, tx: Tx) -> dict[str, Any]:
        """Its row of the inbox."""
        return self.line._asdict() | {
            "event_id": self.envelope.id, "seq": self.seq, "type": self.envelope.type, "envelope": self.body,
            "digest": self.digest, "received_at": tx.now,
        }  # fmt: skip


class Waiting(NamedTuple):
    """How many received events nobody has acted on yet, and since when the oldest waits."""

    rows: int
    oldest: datetime | None


@dataclass(frozen=True)
class Received:
    """What became of a batch: how many were new, and which bodies (by position) cannot be taken, and why."""

    stored: int = 0
    poisoned: dict[int, str] = field(default_factory=dict)


def waiting(db: Database) -> Waiting:
    """What is received and not yet applied."""
    with db.reading() as conn:
        row = conn.execute(_WAITING).one()
    return Waiting(row.rows, row.oldest)


def receive(service: Service, bodies: Sequence[bytes], *, system: str = streams.SYSTEM) -> Received:
    """Stores envelopes for one service. After it, all but the poisoned are committed and may be acknowledged."""
    stored = 0
    poisoned: dict[int, str] = {}
    for start in range(0, len(bodies), BATCH):
        arrivals = list(_open(service, bodies[start : start + BATCH], start, poisoned))
        stored += _receive(service, arrivals, system) if arrivals else 0
    return Received(stored, poisoned)


def _open(service: Service, bodies: Sequence[bytes], start: int, poisoned: dict[int, str]) -> Iterable[Arrival]:
    for position, body in enumerate(bodies, start):
        try:
            yield open_body(body, service.settings.tier, service.name)
        except Poison as poison:
            poisoned[position] = str(poison)
            fields = {"service": service.name, "reason": str(poison), "bytes": len(body)}
            log.warning("event cannot be taken", extra={"fields": fields})


def open_body(body: bytes, tier: str, service: str) -> Arrival:
    """Reads a body. Raises Poison, whose text names fields but quotes nothing."""
    try:
        envelope = Envelope.FromString(body)
    except DecodeError:
        raise Poison("not an envelope") from None
    if wrong := [name for name, shape in _SHAPES.items() if not shape.fullmatch(getattr(envelope, name))]:
        raise Poison(f"malformed {', '.join(wrong)}")
    if not ids.is_uuid(envelope.id) or not 0 < envelope.seq < 1 << 63:
        raise Poison("malformed id or seq")
    if (envelope.to_tier, envelope.to_service) != (tier, service):
        raise Poison("addressed to another tier or service")
    line = Line(envelope.from_tier, envelope.source, envelope.aggregate_id)
    return Arrival(line, envelope.seq, envelope, body)


def _receive(service: Service, arrivals: list[Arrival], system: str) -> int:
    queue = Mailbox(service.settings.tier, service.name).queue
    links = [(a.envelope.id, a.envelope.traceparent) for a in arrivals]
    tracer = telemetry.tracer_of(service.name)
    with spans.receive_span(tracer, queue, links, system=system), service.db.transaction() as tx:
        stored = _store(tx, arrivals)
        tx.after_commit(wake.bell(service.db, wake.INBOX).ring)
    return stored


def _store(tx: Tx, arrivals: list[Arrival]) -> int:
    # In one order for all receivers: two that insert the same rows in different orders would wait for each other.
    arrivals = sorted(arrivals, key=lambda a: (a.line, a.seq))
    cursors = _cursors(tx, arrivals)
    ahead = [a for a in arrivals if a.seq > cursors.get(a.line, 0)]
    new = _insert(tx, ahead, cursors) if ahead else set()
    again = [a for a in arrivals if a.identity not in new]
    if again:
        _compare(tx, again)
    return len(new)


def _cursors(tx: Tx, arrivals: list[Arrival]) -> dict[Line, int]:
    rows = tx.conn.execute(_CURSORS, names_of(a.line for a in arrivals))
    return {Line(row.from_tier, row.source, row.aggregate_id): row.last_seq for row in rows}


def _insert(tx: Tx, ahead: list[Arrival], cursors: dict[Line, int]) -> set[tuple[str, str]]:
    rows = tx.conn.execute(_STORE.of(tx.db), [a.row(tx) for a in ahead])
    new = {(row.event_id, row.digest) for row in rows}
    first = sorted({a.line for a in ahead} - cursors.keys())
    if first:
        tx.conn.execute(_BEGIN.of(tx.db), [line._asdict() | {"last_seq": 0} for line in first])
    return new


def _compare(tx: Tx, again: list[Arrival]) -> None:
    """What is known already is ignored; what says something else under a known number is held for a person."""
    chosen = names_of(a.line for a in again) | {"seqs": sorted({a.seq for a in again})}
    known = {
        (Line(row.from_tier, row.source, row.aggregate_id), row.seq): (row.event_id, row.digest)
        for row in tx.conn.execute(_KNOWN, chosen)
    }
    for arrival in again:
        first = known.get((arrival.line, arrival.seq))
        # None: applied so long ago that the row is gone.
        if first is not None and first != arrival.identity:
            held.hold_conflict(tx, arrival.envelope, arrival.body)
