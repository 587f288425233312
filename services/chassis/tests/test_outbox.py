"""What is announced, is announced once, in order, with everything the receiver and the trace need; or not at all."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from sqlalchemy import update

from protos.link.v1.envelope_pb2 import Envelope
from protos.petition.v1.events_pb2 import MediationRequested, Party
from services.chassis import clock, identity, outbox, streams, tables, telemetry, wake
from services.chassis.database import Database
from services.chassis.tests.mail import OFFICER, TIER, announce, bodies, requested, rows

TOWN = "341702001000"
VILLAGE = "341702001002"


def announce_and_fail(db: Database) -> None:
    """A deed that announces and then fails."""
    with contextlib.suppress(RuntimeError), db.transaction(OFFICER) as tx:
        outbox.announce(tx, requested("p1"), source="petition", from_tier=TIER)
        raise RuntimeError


def test_an_event_becomes_one_row_per_listener_with_all_that_the_receiver_needs(db: Database) -> None:
    event = requested("p1", "纠纷")
    announce(db, event)
    (row,) = rows(db, tables.outbox)
    envelope = Envelope.FromString(row.envelope)
    assert (row.destination, row.to_tier, row.to_service, row.sent_at) == ("local", TIER, "mediation", None)
    assert (row.event_id, row.aggregate_id, row.seq, row.type) == (envelope.id, "p1", 1, envelope.type)
    assert envelope.type == "zongzhi.petition.v1.MediationRequested"
    assert (envelope.source, envelope.from_tier, envelope.to_tier, envelope.to_service) == (
        "petition", TIER, TIER, "mediation",
    )  # fmt: skip
    assert (envelope.aggregate_type, envelope.aggregate_id, envelope.seq) == ("petition", "p1", 1)
    assert (envelope.on_behalf_of, envelope.schema_version) == ("demo", 1)
    assert MediationRequested.FromString(envelope.data) == event
    assert abs(envelope.time.ToDatetime(UTC) - clock.now()) < timedelta(seconds=10)


def test_seq_counts_per_aggregate_and_receiver(db: Database) -> None:
    announce(db, requested("p1"), requested("p2"), requested("p1"))
    announce(db, requested("p1"))
    announce(db, requested("p1"), to_tier=TOWN)
    numbered = [(row.to_tier, row.aggregate_id, row.seq) for row in rows(db, tables.outbox)]
    assert numbered == [(TIER, "p1", 1), (TIER, "p2", 1), (TIER, "p1", 2), (TIER, "p1", 3), (TOWN, "p1", 1)]


def test_nothing_is_announced_that_was_not_committed(db: Database) -> None:
    announce_and_fail(db)
    announce(db, requested("p1"))
    assert [row.seq for row in rows(db, tables.outbox)] == [1]


def test_what_is_no_event_or_has_no_aggregate_is_a_programming_error(db: Database) -> None:
    with pytest.raises(ValueError, match="not declare itself an event"):
        announce(db, Party(id="1"))
    with pytest.raises(ValueError, match="without petition_id"):
        announce(db, MediationRequested(referral_id="r"))
    assert not rows(db, tables.outbox)


def test_the_system_announces_on_behalf_of_the_officer_whose_deed_it_carries_on(db: Database) -> None:
    with db.transaction(identity.system("mediation", TIER, on_behalf_of="demo")) as tx:
        outbox.announce(tx, requested("p1"), source="petition", from_tier=TIER)
    assert Envelope.FromString(bodies(db)[0]).on_behalf_of == "demo"


def test_the_row_carries_the_trace_of_the_deed(db: Database) -> None:
    tracer = telemetry.configure("test", TIER, endpoint=None, version="0").tracer("petition")
    with tracer.start_as_current_span("deed") as span:
        announce(db, requested("p1"))
    traceparent = Envelope.FromString(bodies(db)[0]).traceparent
    assert traceparent.split("-")[1] == f"{span.get_span_context().trace_id:032x}"
    # Its own span: the one that wrote the row.
    assert traceparent.split("-")[2] != f"{span.get_span_context().span_id:016x}"


def test_an_event_may_carry_how_long_it_is_valid(db: Database) -> None:
    until = datetime(2026, 11, 24, 8, tzinfo=UTC)
    announce(db, requested("p1"), valid_until=until)
    announce(db, requested("p1"))
    limited, unlimited = (Envelope.FromString(body) for body in bodies(db))
    assert limited.valid_until.ToDatetime(UTC) == until
    assert not unlimited.HasField("valid_until")


@pytest.mark.parametrize(
    ("from_tier", "to_tier", "destination"),
    [
        (TIER, TIER, "local"),
        (TIER, TOWN, f"down:{TOWN}"),
        (TIER, VILLAGE, f"down:{TOWN}"),
        (TOWN, VILLAGE, f"down:{VILLAGE}"),
        (TOWN, TIER, "up"),
        (VILLAGE, TIER, "up"),
        (VILLAGE, "341702001003", "up"),
        (TOWN, "341702002000", "up"),
    ],
)
def test_an_event_goes_to_the_neighbour_through_which_its_tier_is_reached(
    from_tier: str, to_tier: str, destination: str
) -> None:
    assert streams.destination(from_tier, to_tier) == destination


def test_a_commit_wakes_the_relay_of_this_process_and_a_rollback_does_not(db: Database) -> None:
    woken = Event()
    wake.bell(db, wake.outbox("local")).listen(woken)
    announce_and_fail(db)
    assert not woken.is_set()
    announce(db, requested("p1"))
    assert woken.is_set()
    wake.bell(db, wake.outbox("local")).leave(woken)


@pytest.mark.parametrize("to_service", [None, "mediation", "grid"])
def test_a_resend_takes_what_was_sent_in_the_span_of_time_to_that_service(db: Database, to_service: str | None) -> None:
    announce(db, *(requested(f"p{n}") for n in range(4)))
    began = datetime(2026, 11, 20, tzinfo=UTC)
    for n, row in enumerate(rows(db, tables.outbox)):
        if n < 3:  # the last one was never sent
            with db.transaction() as tx:
                sent = update(tables.outbox).where(tables.outbox.c.id == row.id)
                tx.conn.execute(sent.values(sent_at=began + timedelta(days=n)))
    again = outbox.resend(db, began, began + timedelta(days=2), to_service)
    assert again == (0 if to_service == "grid" else 2)
    unsent = [row.aggregate_id for row in rows(db, tables.outbox) if row.sent_at is None]
    assert unsent == (["p3"] if to_service == "grid" else ["p0", "p1", "p3"])


def test_what_waits_is_counted_by_destination(db: Database) -> None:
    announce(db, requested("p1"), requested("p2"))
    announce(db, requested("p1"), to_tier=TOWN)
    waiting = outbox.waiting(db)
    assert {destination: depth.rows for destination, depth in waiting.items()} == {"local": 2, f"down:{TOWN}": 1}
    assert clock.now() - waiting["local"].oldest < timedelta(seconds=10)
