"""Events as a test handles them: taken out of outboxes, made by hand, brought to a running district."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import Select, func, select

from e2e import broker
from e2e.system import System
from protos.link.v1.envelope_pb2 import Envelope
from services.chassis import clock, ids, inbox
from services.chassis.database import Database
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.chassis.tables import inbox as inbox_table
from services.chassis.tables import outbox

NEIGHBOUR = {"petition": "mediation", "mediation": "petition"}


def build(name: str, settings: Settings, db: Database | None = None) -> Service:
    """One service, wired as its own composition root does it."""
    service: Service = importlib.import_module(f"services.{name}.wiring").build(settings, db=db)
    return service


def announced(db: Database, *aggregates: str) -> list[bytes]:
    """The envelopes in an outbox, in the order in which they were written; of these aggregates, or all."""
    query = select(outbox.c.envelope).order_by(outbox.c.id)
    if aggregates:
        query = query.where(outbox.c.aggregate_id.in_(aggregates))
    with db.reading() as conn:
        return list(conn.scalars(query))


def next_seq(db: Database, source: str, aggregate: str) -> int:
    """The number that the receiver waits for."""
    query = select(func.max(inbox_table.c.seq)).where(
        inbox_table.c.source == source, inbox_table.c.aggregate_id == aggregate
    )
    with db.reading() as conn:
        return int(conn.scalar(query) or 0) + 1


def crafted(message: Message, source: str, tier: str, aggregate: str, seq: int) -> bytes:
    """An envelope as `source` would have sent it."""
    kind = "mediation" if source == "mediation" else "petition"
    envelope = Envelope(
        id=ids.uuid7(), source=source, type=message.DESCRIPTOR.full_name, from_tier=tier, to_tier=tier,
        to_service=NEIGHBOUR[source], aggregate_type=kind, aggregate_id=aggregate, seq=seq, schema_version=1,
        data=message.SerializeToString(),
    )  # fmt: skip
    envelope.time.FromDatetime(clock.now())
    return envelope.SerializeToString()


def deliver(system: System, to_service: str, bodies: Sequence[bytes]) -> None:
    """Brings envelopes to a service of a running district on the bus that the district uses."""
    if system.bus_url != "local:":
        broker.publish(system.bus_url, to_service, bodies)
        return
    service = build(to_service, system.settings)
    inbox.receive(service, bodies)
    service.db.close()


def count(system: System, service: str, query: Select[Any]) -> int:
    """A number out of a running service's own database."""
    db = Database(system.settings.database_url_of(service))
    try:
        with db.reading() as conn:
            return int(conn.scalar(query) or 0)
    finally:
        db.close()
