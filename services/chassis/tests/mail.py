"""Two services that hold nothing but the chassis tables and write each other: what tests of messages stand on."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, func, select

from protos.link.v1.envelope_pb2 import Envelope
from protos.petition.v1.events_pb2 import MediationRequested, MediationWithdrawn, PetitionClockCrossed
from services.chassis import identity, outbox, tables, timeline
from services.chassis.applier import Applier
from services.chassis.database import Database, Tx
from services.chassis.listeners import Delivery, Listeners
from services.chassis.service import Service
from services.chassis.settings import Settings

TIER = "341702000000"
OFFICER = identity.Identity(account="demo", tier=TIER, scope="341702", unit="341702-XFJ")

Step = Callable[[Tx, MediationRequested, Delivery], None]


class Mediation:
    """A receiver that writes one timeline entry per event, and fails where a test tells it to."""

    def __init__(self, db: Database, tier: str = TIER) -> None:
        self.db = db
        # By petition: what to do instead of succeeding, after the effect was written.
        self.fails: dict[str, Step] = {}
        self.seen: list[tuple[str, str, identity.Identity]] = []
        self.deliveries: list[Delivery] = []
        self.service = fake_service("mediation", db, self._listeners(), tier)
        self.applier = Applier(self.service)

    def _listeners(self) -> Listeners:
        listeners = Listeners()
        listeners.on("petition", MediationRequested)(self.act)
        listeners.on("petition", MediationWithdrawn)(self.act)
        return listeners

    def act(self, tx: Tx, event: Any, delivery: Delivery) -> None:
        """The effect first, then the failure: what is left of the effect shows whether it was undone."""
        timeline.add(tx, event.petition_id, "event", event.reason, event.reason)
        self.seen.append((event.petition_id, event.reason, identity.current()))
        self.deliveries.append(delivery)
        if fail := self.fails.get(event.petition_id):
            fail(tx, event, delivery)

    def apply_all(self) -> None:
        """Applies until nothing moves any more."""
        while self.applier.apply_waiting():
            pass

    def effects(self, petition_id: str) -> list[str]:
        """What was written for a petition, in the order in which it was written."""
        chosen = select(tables.timeline.c.text_zh).where(tables.timeline.c.subject_id == petition_id)
        with self.db.reading() as conn:
            return list(conn.execute(chosen.order_by(tables.timeline.c.seq)).scalars())

    def all_effects(self) -> int:
        """How many entries there are."""
        with self.db.reading() as conn:
            return int(conn.execute(select(func.count()).select_from(tables.timeline)).scalar_one())


def fake_service(name: str, db: Database, listeners: Listeners | None = None, tier: str = TIER) -> Service:
    """A service of the chassis alone."""
    settings = Settings(tier=tier)
    return Service(name, settings, db, lambda _: None, (f"test.{name}",), listeners or Listeners(), lambda *_: None)


def announce(
    db: Database, *events: Any, tier: str = TIER, to_tier: str | None = None, valid_until: datetime | None = None
) -> None:
    """Petition announces events in one transaction, as the officer."""
    with db.transaction(OFFICER) as tx:
        for event in events:
            outbox.announce(tx, event, source="petition", from_tier=tier, to_tier=to_tier, valid_until=valid_until)


def requested(petition_id: str, text: str = "1") -> MediationRequested:
    """A request for mediation; `reason` tells one event of a petition from the next."""
    return MediationRequested(referral_id=str(uuid4()), petition_id=petition_id, owner_epoch=1, reason=text)


def crossed(petition_id: str) -> PetitionClockCrossed:
    """An event that this receiver knows no listener for."""
    return PetitionClockCrossed(petition_id=petition_id, deadline_id=str(uuid4()), kind="answer", colour="amber")


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Waits for a condition; fails when it does not come true in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def rows(db: Database, table: Any) -> list[Row[Any]]:
    """Everything in a table, in the order of its ids."""
    with db.reading() as conn:
        return list(conn.execute(select(table).order_by(table.c.id)))


def bodies(db: Database) -> list[bytes]:
    """Every envelope that waits in or went through the outbox."""
    return [row.envelope for row in rows(db, tables.outbox)]


def changed(body: bytes, **fields: Any) -> bytes:
    """The same envelope with other fields."""
    envelope = Envelope.FromString(body)
    for name, value in fields.items():
        setattr(envelope, name, value)
    return bytes(envelope.SerializeToString())
