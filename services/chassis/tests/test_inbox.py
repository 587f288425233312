"""What is received is stored once, applied once, in order per aggregate, and one that fails holds only its own."""

from __future__ import annotations

import logging
import random
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import delete

from protos.link.v1.envelope_pb2 import Envelope
from services.chassis import clock, held, inbox, tables, telemetry
from services.chassis.applier import Applier
from services.chassis.database import Database, Tx
from services.chassis.refusal import IllegalMove, StaleEpoch
from services.chassis.tests.mail import TIER, Mediation, announce, bodies, changed, crossed, requested, rows


def mail(petition_db: Database, *events: tuple[str, str]) -> list[bytes]:
    """Envelopes of events (petition, text), as the sender's outbox holds them."""
    announce(petition_db, *(requested(petition, text) for petition, text in events))
    return bodies(petition_db)


def outcomes(mediation: Mediation) -> list[tuple[str, int, str | None]]:
    """What became of each event."""
    return [(row.aggregate_id, row.seq, row.outcome) for row in rows(mediation.db, tables.inbox)]


def refuse(*_: Any) -> None:
    raise IllegalMove("CLOSED", "案件已办结。", "The case is closed.")


def break_down(*_: Any) -> None:
    raise KeyError("张三 13812345678")


def test_an_event_takes_effect_on_behalf_of_the_officer_whose_deed_it_was(
    petition_db: Database, mediation: Mediation
) -> None:
    inbox.receive(mediation.service, mail(petition_db, ("p1", "one")))
    mediation.apply_all()
    assert mediation.effects("p1") == ["one"]
    _, __, who = mediation.seen[0]
    assert (who.account, who.tier, who.on_behalf_of) == ("system:mediation", TIER, "demo")
    (delivery,) = mediation.deliveries
    assert (delivery.source, delivery.from_tier, delivery.on_behalf_of) == ("petition", TIER, "demo")
    assert clock.now() - delivery.occurred_at < timedelta(seconds=10)
    assert outcomes(mediation) == [("p1", 1, "applied")]


@pytest.mark.parametrize("size", [1, 3, 200])
def test_every_event_twice_and_in_reverse_order_ends_the_same(
    petition_db: Database, mediation: Mediation, size: int
) -> None:
    events = [(f"p{n % 5}", str(n)) for n in range(30)]
    backwards = [body for body in reversed(mail(petition_db, *events)) for _ in range(2)]
    for start in range(0, len(backwards), size):
        inbox.receive(mediation.service, backwards[start : start + size])
        mediation.apply_all()
    for petition in range(5):
        assert mediation.effects(f"p{petition}") == [str(n) for n in range(30) if n % 5 == petition]


@pytest.mark.parametrize("seed", range(5))
def test_any_order_ends_the_same(petition_db: Database, mediation: Mediation, seed: int) -> None:
    events = [(f"p{n % 3}", str(n)) for n in range(20)]
    mixed = mail(petition_db, *events) * 2
    random.Random(seed).shuffle(mixed)
    for body in mixed:
        inbox.receive(mediation.service, [body])
        if random.Random(seed + len(body)).random() < 0.5:
            mediation.apply_all()
    mediation.apply_all()
    assert [mediation.effects(f"p{p}") for p in range(3)] == [
        [text for petition, text in events if petition == f"p{p}"] for p in range(3)
    ]


def test_more_events_than_one_transaction_takes_are_all_stored(petition_db: Database, mediation: Mediation) -> None:
    mixed = mail(petition_db, *((f"p{n % 50}", str(n)) for n in range(450)))
    assert inbox.receive(mediation.service, mixed).stored == 450
    assert inbox.receive(mediation.service, mixed).stored == 0
    mediation.apply_all()
    assert mediation.all_effects() == 450


def test_many_more_events_than_a_batch_that_arrive_backwards_are_all_applied(
    petition_db: Database, mediation: Mediation
) -> None:
    for body in reversed(mail(petition_db, *((f"p{n % 2}", str(n)) for n in range(300)))):
        inbox.receive(mediation.service, [body])
    mediation.apply_all()
    assert mediation.all_effects() == 300


def test_events_behind_a_thousand_that_wait_for_a_missing_one_are_applied(
    petition_db: Database, mediation: Mediation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.chassis.applier.LOOK", 20)
    mixed = mail(petition_db, *(("p1", str(n)) for n in range(40)), ("p2", "1"))
    inbox.receive(mediation.service, mixed[1:])
    mediation.apply_all()
    assert (mediation.effects("p1"), mediation.effects("p2")) == ([], ["1"])


def test_an_event_waits_for_the_one_before_it(petition_db: Database, mediation: Mediation) -> None:
    first, second, third = mail(petition_db, ("p1", "1"), ("p1", "2"), ("p1", "3"))
    inbox.receive(mediation.service, [third, first])
    mediation.apply_all()
    assert mediation.effects("p1") == ["1"]
    inbox.receive(mediation.service, [second])
    mediation.apply_all()
    assert mediation.effects("p1") == ["1", "2", "3"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\xff\xff", id="not an envelope"),
        pytest.param({"to_service": "grid"}, id="another service"),
        pytest.param({"to_tier": "341702001000"}, id="another tier"),
        pytest.param({"seq": 0}, id="no seq"),
        pytest.param({"id": "1"}, id="no id"),
        pytest.param({"source": "x" * 31}, id="a source too long"),
        pytest.param({"aggregate_id": "p\x00"}, id="a character that PostgreSQL does not store"),
    ],
)
def test_a_body_that_cannot_be_taken_is_told_and_does_not_keep_the_others(
    petition_db: Database, mediation: Mediation, body: bytes | dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    first, second = mail(petition_db, ("p1", "秘密"), ("p1", "2"))
    bad = body if isinstance(body, bytes) else changed(first, **body)
    with caplog.at_level(logging.WARNING):
        received = inbox.receive(mediation.service, [first, bad, second])
    assert (received.stored, list(received.poisoned)) == (2, [1])
    assert "event cannot be taken" in caplog.text
    assert "秘密" not in caplog.text + repr([record.__dict__ for record in caplog.records])


def test_a_listener_that_refuses_leaves_no_effect_and_is_not_asked_again(
    petition_db: Database, mediation: Mediation, caplog: pytest.LogCaptureFixture
) -> None:
    inbox.receive(mediation.service, mail(petition_db, ("p1", "1"), ("p2", "1"), ("p1", "2")))
    mediation.fails["p1"] = lambda _, event, __: refuse() if event.reason == "1" else None
    with caplog.at_level(logging.INFO):
        mediation.apply_all()
    assert (mediation.effects("p1"), mediation.effects("p2")) == (["2"], ["1"])
    assert sorted(outcomes(mediation)) == [("p1", 1, "refused"), ("p1", 2, "applied"), ("p2", 1, "applied")]
    assert [r.fields["reason"] for r in caplog.records if r.message == "event refused"] == ["CLOSED"]  # type: ignore[attr-defined]
    assert not held.list_held(mediation.db)


def test_one_poisoned_aggregate_holds_only_itself_while_failures_and_successes_alternate(
    petition_db: Database, mediation: Mediation
) -> None:
    events = [(f"p{n % 7}", str(n)) for n in range(70)]
    inbox.receive(mediation.service, mail(petition_db, *events))
    mediation.fails["p3"] = break_down
    mediation.fails["p5"] = lambda _, event, __: break_down() if event.reason == "26" else None
    mediation.apply_all()
    for petition in range(7):
        expected = {3: [], 5: ["5", "12", "19"]}.get(petition, [str(n) for n in range(70) if n % 7 == petition])
        assert mediation.effects(f"p{petition}") == expected
    assert sorted((h.aggregate_id, h.seq, h.kind) for h in held.list_held(mediation.db)) == [
        ("p3", 1, "error"), ("p5", 4, "error"),
    ]  # fmt: skip


def test_an_unknown_type_is_kept_and_the_next_one_goes_on(petition_db: Database, mediation: Mediation) -> None:
    announce(petition_db, requested("p1", "1"), crossed("p1"), requested("p1", "3"))
    inbox.receive(mediation.service, bodies(petition_db))
    mediation.apply_all()
    assert outcomes(mediation) == [("p1", 1, "applied"), ("p1", 2, "unknown"), ("p1", 3, "applied")]
    assert mediation.effects("p1") == ["1", "3"]


def test_a_known_type_from_a_service_that_does_not_own_it_is_unknown(
    petition_db: Database, mediation: Mediation
) -> None:
    inbox.receive(mediation.service, [changed(mail(petition_db, ("p1", "1"))[0], source="grid")])
    mediation.apply_all()
    assert (outcomes(mediation), mediation.effects("p1")) == ([("p1", 1, "unknown")], [])


@pytest.mark.parametrize(("hours", "outcome"), [(-1, "expired"), (1, "applied")])
def test_an_event_past_its_validity_says_so_instead_of_acting(
    petition_db: Database, mediation: Mediation, hours: int, outcome: str
) -> None:
    until = Timestamp()
    until.FromDatetime(clock.now() + timedelta(hours=hours))
    envelope = Envelope.FromString(mail(petition_db, ("p1", "1"))[0])
    envelope.valid_until.CopyFrom(until)
    inbox.receive(mediation.service, [envelope.SerializeToString()])
    mediation.apply_all()
    assert outcomes(mediation) == [("p1", 1, outcome)]


def test_a_known_number_with_another_event_is_held_as_a_conflict_and_overwrites_nothing(
    petition_db: Database, mediation: Mediation
) -> None:
    first, second = mail(petition_db, ("p1", "1"), ("p1", "2"))
    other = changed(first, data=requested("p1", "other").SerializeToString())
    inbox.receive(mediation.service, [first])
    inbox.receive(mediation.service, [other])
    inbox.receive(mediation.service, [other, second])
    mediation.apply_all()
    assert mediation.effects("p1") == []  # which of both is right is for a person to say
    (conflict,) = held.list_held(mediation.db)
    assert (conflict.kind, conflict.aggregate_id, conflict.seq) == ("conflict", "p1", 1)
    held.discard(mediation.db, conflict.id, "demo", "来自恢复前的备份")
    mediation.apply_all()
    assert mediation.effects("p1") == ["1", "2"]
    inbox.receive(mediation.service, [other])
    assert not held.list_held(mediation.db)


def test_a_conflict_is_seen_after_the_first_was_applied_and_inside_one_batch(
    petition_db: Database, mediation: Mediation
) -> None:
    first, second = mail(petition_db, ("p1", "1"), ("p2", "1"))
    inbox.receive(mediation.service, [first])
    mediation.apply_all()
    again = changed(first, id="0190f3f0-0000-7000-8000-000000000001")
    inbox.receive(mediation.service, [again, second, changed(second, id="0190f3f0-0000-7000-8000-000000000002")])
    assert sorted((h.aggregate_id, h.kind) for h in held.list_held(mediation.db)) == [
        ("p1", "conflict"), ("p2", "conflict"),
    ]  # fmt: skip


def test_an_event_applied_so_long_ago_that_its_row_is_gone_is_known(
    petition_db: Database, mediation: Mediation
) -> None:
    first, second = mail(petition_db, ("p1", "1"), ("p1", "2"))
    inbox.receive(mediation.service, [first])
    mediation.apply_all()
    with mediation.db.transaction() as tx:
        tx.conn.execute(delete(tables.inbox))
    assert inbox.receive(mediation.service, [first]).stored == 0
    inbox.receive(mediation.service, [second])
    mediation.apply_all()
    assert mediation.effects("p1") == ["1", "2"]


def test_a_crash_between_commit_and_acknowledgement_has_one_effect(petition_db: Database, mediation: Mediation) -> None:
    """Whatever was stored or applied before the crash comes again, because nothing was acknowledged."""
    mixed = mail(petition_db, ("p1", "1"), ("p2", "1"), ("p1", "2"))
    for received in range(len(mixed) + 1):
        inbox.receive(mediation.service, mixed[:received])
        mediation.apply_all()
        restarted = Applier(mediation.service)
        inbox.receive(mediation.service, mixed)
        while restarted.apply_waiting():
            pass
    assert (mediation.effects("p1"), mediation.effects("p2")) == (["1", "2"], ["1"])


def test_a_crash_inside_the_transaction_leaves_nothing_and_the_event_is_applied_later(
    petition_db: Database, mediation: Mediation, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.receive(mediation.service, mail(petition_db, ("p1", "1")))

    class Crash(BaseException):
        """What no handler of errors catches, like the end of the process."""

    def crash(*_: Any) -> None:
        raise Crash

    mediation.fails["p1"] = crash
    with pytest.raises(Crash):
        mediation.applier.apply_waiting()
    assert mediation.effects("p1") == []
    mediation.fails.clear()
    mediation.apply_all()
    assert mediation.effects("p1") == ["1"]


def test_deeds_after_the_commit_are_forgotten_with_the_effects_they_belong_to(
    petition_db: Database, mediation: Mediation
) -> None:
    told: list[str] = []

    def tell_and_fail(tx: Tx, event: Any, _: Any) -> None:
        tx.after_commit(lambda: told.append(event.petition_id))
        if event.petition_id == "p1":
            raise StaleEpoch("STALE_EPOCH", "案件已移交。", "The case changed hands.")

    mediation.fails = {"p1": tell_and_fail, "p2": tell_and_fail}
    inbox.receive(mediation.service, mail(petition_db, ("p1", "1"), ("p2", "1")))
    mediation.apply_all()
    assert told == ["p2"]


def test_two_appliers_share_the_work_and_apply_each_event_once_in_order(
    petition_db: Database, mediation: Mediation
) -> None:
    events = [(f"p{n % 20}", str(n)) for n in range(400)]
    inbox.receive(mediation.service, mail(petition_db, *events))
    failures: list[BaseException] = []

    def work() -> None:
        applier = Applier(mediation.service)
        try:
            while len(outcomes(mediation)) > sum(o is not None for *_, o in outcomes(mediation)):
                applier.apply_waiting(limit=10)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    for petition in range(20):
        assert mediation.effects(f"p{petition}") == [str(n) for n in range(400) if n % 20 == petition]


def test_the_event_is_processed_in_the_trace_of_the_deed_that_caused_it(
    petition_db: Database, mediation: Mediation
) -> None:
    tracer = telemetry.configure("test", TIER, endpoint=None, version="0").tracer("petition")
    with tracer.start_as_current_span("deed") as span:
        announce(petition_db, requested("p1", "1"))
    traces: list[str] = []
    mediation.fails["p1"] = lambda *_: traces.append(telemetry.current_traceparent())
    inbox.receive(mediation.service, bodies(petition_db))
    mediation.apply_all()
    assert traces[0].split("-")[1] == f"{span.get_span_context().trace_id:032x}"


def test_a_started_applier_applies_what_is_there_and_what_comes(petition_db: Database, mediation: Mediation) -> None:
    came = threading.Event()
    mediation.fails["p2"] = lambda *_: came.set()
    first, second = mail(petition_db, ("p1", "1"), ("p2", "1"))
    inbox.receive(mediation.service, [first])
    mediation.applier.start()
    inbox.receive(mediation.service, [second])
    assert came.wait(60)
    mediation.applier.stop()
    assert (mediation.effects("p1"), mediation.effects("p2")) == (["1"], ["1"])


def test_times_are_the_receivers_own(petition_db: Database, mediation: Mediation) -> None:
    inbox.receive(mediation.service, mail(petition_db, ("p1", "1")))
    (row,) = rows(mediation.db, tables.inbox)
    assert abs(row.received_at - datetime.now(UTC)) < timedelta(seconds=10)
