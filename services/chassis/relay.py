"""Sends what is committed: reads the outbox in order, hands it to the bus, marks what the bus confirmed.

A crash between confirm and mark sends again what receivers know already. A broker that is away costs time only: rows
wait, calls are answered, nothing is thrown away.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select, update

from protos.link.v1.envelope_pb2 import Envelope
from services.chassis import spans, streams, telemetry
from services.chassis.database import Database
from services.chassis.ownership import Owner
from services.chassis.pauses import pause
from services.chassis.streams import Bus, Mailbox, Parcel
from services.chassis.tables import outbox

log = logging.getLogger(__name__)

WINDOW = 500
# The net under bell and NOTIFY.
POLL_S = 0.2
# From a batch of several to the next: a busy service would otherwise be kept busy with sending its events one by one.
LEAST_S = 0.025
# A span keeps no more links.
MOST_LINKS = 256

_UNSENT = (
    select(outbox.c.id, outbox.c.event_id, outbox.c.to_tier, outbox.c.to_service, outbox.c.envelope)
    .where(outbox.c.sent_at.is_(None), outbox.c.destination == bindparam("destination"))
    .order_by(outbox.c.id)
    .limit(WINDOW)
)
_MARK = update(outbox).where(outbox.c.id.in_(bindparam("confirmed", expanding=True))).values(sent_at=bindparam("at"))


class _Sent(NamedTuple):
    confirmed: int
    failed: int


class Relay:
    """Sends the events of one service's database. A part of `serve`."""

    def __init__(
        self, db: Database, service_name: str, bus: Bus, destinations: Sequence[str] = (streams.LOCAL,)
    ) -> None:
        self._senders = [_Sender(db, service_name, bus, destination) for destination in destinations]

    def start(self) -> None:
        """Begins; what was left from the last run goes first."""
        for sender in self._senders:
            sender.start()

    def stop(self) -> None:
        """Ends after the batch on its way; what is not confirmed goes at the next start."""
        for sender in self._senders:
            sender.stop()


class _Sender:
    """One destination, on a thread of its own, so that one that is away does not keep the others."""

    def __init__(self, db: Database, service: str, bus: Bus, destination: str) -> None:
        self._db = db
        self._service = service
        self._bus = bus
        self._destination = destination
        self._woken = threading.Event()
        self._bus_is_back = threading.Event()
        self._stopping = threading.Event()
        self._owner = Owner(db, destination, self._woken)
        self._thread = threading.Thread(target=self._run, name=f"relay-{service}-{destination}", daemon=True)
        bus.when_ready(self._bus_is_back.set)

    def start(self) -> None:
        self._owner.start()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._woken.set()
        self._bus_is_back.set()
        self._thread.join()
        self._owner.stop()

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            if not self._owner.owns.wait(POLL_S):
                continue
            began = time.monotonic()
            self._woken.clear()
            self._bus_is_back.clear()
            sent = self._send_or_fail()
            failures = self._told(sent, failures)
            if sent.failed:
                self._bus_is_back.wait(pause(failures))
            elif sent.confirmed < WINDOW:
                self._woken.wait(POLL_S)
                if sent.confirmed > 1:
                    self._stopping.wait(max(0.0, began + LEAST_S - time.monotonic()))

    def _told(self, sent: _Sent, failures: int) -> int:
        """One line when sending begins to fail and one when it goes again. Returns the failures in a row."""
        fields = {"service": self._service, "destination": self._destination, "rows": sent.failed}
        if sent.failed and not failures:
            log.warning("events cannot be sent, they wait", extra={"fields": fields})
        if failures and not sent.failed:
            log.info("events are sent again", extra={"fields": fields})
        return 0 if not sent.failed else 1 if sent.confirmed else failures + 1

    def _send_or_fail(self) -> _Sent:
        try:
            return self._send()
        except Exception as error:  # the database is away
            log.warning("relay failed", extra={"fields": {"service": self._service, "error": type(error).__name__}})
            return _Sent(0, 1)

    def _send(self) -> _Sent:
        with self._db.reading() as conn:
            rows = conn.execute(_UNSENT, {"destination": self._destination}).all()
        if not rows:
            return _Sent(0, 0)
        parcels = [_parcel(row.envelope) for row in rows]
        links = [(parcel.event_id, parcel.traceparent) for parcel in parcels[:MOST_LINKS]]
        tracer = telemetry.tracer_of(self._service)
        with spans.send_span(tracer, self._destination, links, system=self._bus.system):
            confirmed = self._bus.publish(parcels)
        sent = [row.id for row in rows if row.event_id in confirmed]
        if sent:
            with self._db.transaction() as tx:
                tx.conn.execute(_MARK, {"confirmed": sent, "at": tx.now})
        return _Sent(len(sent), len(rows) - len(sent))


def _parcel(body: bytes) -> Parcel:
    envelope = Envelope.FromString(body)
    to = Mailbox(envelope.to_tier, envelope.to_service)
    return Parcel(envelope.id, envelope.from_tier, to, body, envelope.traceparent)
