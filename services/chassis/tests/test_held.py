"""What cannot be applied is held, visible, tried again by itself, and given up only by a person with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from services.chassis import clock, held, inbox, tables
from services.chassis.database import Database
from services.chassis.held import HeldEvent
from services.chassis.refusal import IllegalMove, Invalid, NotFound, StaleEpoch
from services.chassis.tests.mail import Mediation, announce, bodies, requested, rows, until


def stale(*_: Any) -> None:
    raise StaleEpoch("STALE_EPOCH", "案件已移交。", "The case changed hands.")


def break_down(*_: Any) -> None:
    raise KeyError("张三 13812345678")


def deliver(petition_db: Database, mediation: Mediation, *events: tuple[str, str]) -> None:
    """Announces, receives and applies."""
    announce(petition_db, *(requested(petition, text) for petition, text in events))
    inbox.receive(mediation.service, bodies(petition_db))
    mediation.apply_all()


def only(mediation: Mediation) -> HeldEvent:
    """The one event that is held."""
    (event,) = held.list_held(mediation.db)
    return event


def make_due(mediation: Mediation) -> None:
    """Lets the time until the next try pass."""
    with mediation.db.transaction() as tx:
        due = tables.held.c.next_try_at.is_not(None)
        tx.conn.execute(update(tables.held).where(due).values(next_try_at=clock.now() - timedelta(seconds=1)))


def test_a_held_event_says_what_failed_and_where_but_quotes_nothing(
    petition_db: Database, mediation: Mediation, caplog: pytest.LogCaptureFixture
) -> None:
    mediation.fails["p1"] = break_down
    deliver(petition_db, mediation, ("p1", "1"))
    event = only(mediation)
    assert (event.kind, event.from_tier, event.source, event.aggregate_id, event.seq, event.tries) == (
        "error", "341702000000", "petition", "p1", 1, 1,
    )  # fmt: skip
    assert event.reason.startswith("KeyError at services.chassis.tests.test_held:")
    assert "张三" not in event.reason + caplog.text + repr([record.__dict__ for record in caplog.records])
    assert mediation.effects("p1") == []
    shown = event.shown(event.first_at + timedelta(minutes=2))
    assert (shown["age_s"], shown["kind"]) == (120, "error")
    assert json.dumps(shown)


def test_it_is_tried_again_by_itself_later_and_later(petition_db: Database, mediation: Mediation) -> None:
    mediation.fails["p1"] = break_down
    deliver(petition_db, mediation, ("p1", "1"), ("p1", "2"))
    for tries, seconds in enumerate([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600], start=1):
        event = only(mediation)
        assert event.tries == tries
        assert event.next_try_at is not None
        assert event.next_try_at - clock.now() < timedelta(seconds=seconds)
        assert held.backoff(tries) == timedelta(seconds=seconds)
        attempts = len(mediation.seen)
        mediation.apply_all()
        assert len(mediation.seen) == attempts  # not before its time
        make_due(mediation)
        mediation.apply_all()
        assert len(mediation.seen) == attempts + 1


def test_when_a_retry_succeeds_it_closes_and_what_waited_follows(petition_db: Database, mediation: Mediation) -> None:
    mediation.fails["p1"] = break_down
    deliver(petition_db, mediation, ("p1", "1"), ("p1", "2"), ("p1", "3"))
    mediation.fails.clear()
    make_due(mediation)
    mediation.apply_all()
    assert mediation.effects("p1") == ["1", "2", "3"]
    assert not held.list_held(mediation.db)
    assert [(row.state, row.closed_at is not None) for row in rows(mediation.db, tables.held)] == [("retried", True)]


def test_a_person_may_have_it_tried_at_once(petition_db: Database, mediation: Mediation) -> None:
    mediation.fails["p1"] = break_down
    deliver(petition_db, mediation, ("p1", "1"))
    mediation.fails.clear()
    mediation.apply_all()
    assert mediation.effects("p1") == []
    held.retry(mediation.db, only(mediation).id, by="demo")
    mediation.apply_all()
    assert mediation.effects("p1") == ["1"]
    (entry,) = rows(mediation.db, tables.audit)
    assert (entry.actor, entry.action) == ("demo", "held.retry")


def test_a_stale_epoch_waits_for_a_person(petition_db: Database, mediation: Mediation) -> None:
    mediation.fails["p1"] = stale
    deliver(petition_db, mediation, ("p1", "1"), ("p2", "1"))
    event = only(mediation)
    assert (event.kind, event.next_try_at, event.reason) == ("stale_epoch", None, "STALE_EPOCH")
    assert (mediation.effects("p1"), mediation.effects("p2")) == ([], ["1"])
    held.retry(mediation.db, event.id, by="demo")
    mediation.apply_all()
    assert (only(mediation).tries, only(mediation).next_try_at) == (2, None)


@pytest.mark.parametrize("fail", [stale, break_down])
def test_a_discard_moves_on_behind_the_event_and_is_audited_with_its_reason(
    petition_db: Database, mediation: Mediation, fail: Callable[..., None]
) -> None:
    mediation.fails["p1"] = lambda *given: fail() if given[1].reason == "2" else None
    deliver(petition_db, mediation, ("p1", "1"), ("p1", "2"), ("p1", "3"))
    held.discard(mediation.db, only(mediation).id, by="demo", reason="案件已另行处理")
    mediation.apply_all()
    assert mediation.effects("p1") == ["1", "3"]
    assert [row.outcome for row in rows(mediation.db, tables.inbox)] == ["applied", "discarded", "applied"]
    (row,) = rows(mediation.db, tables.held)
    assert (row.state, row.closed_by, row.close_reason) == ("discarded", "demo", "案件已另行处理")
    (entry,) = rows(mediation.db, tables.audit)
    assert (entry.actor, entry.action, entry.subject_id) == ("demo", "held.discard", row.event_id)
    assert json.loads(entry.details)["reason"] == "案件已另行处理"
    inbox.receive(mediation.service, bodies(petition_db))
    mediation.apply_all()
    assert mediation.effects("p1") == ["1", "3"]


def test_what_is_closed_unknown_or_without_a_reason_is_refused(petition_db: Database, mediation: Mediation) -> None:
    mediation.fails["p1"] = stale
    deliver(petition_db, mediation, ("p1", "1"))
    event = only(mediation)
    with pytest.raises(Invalid):
        held.discard(mediation.db, event.id, by="demo", reason=" ")
    with pytest.raises(NotFound):
        held.retry(mediation.db, "no-such-id", by="demo")
    held.discard(mediation.db, event.id, by="demo", reason="重复")
    with pytest.raises(IllegalMove):
        held.retry(mediation.db, event.id, by="demo")
    with pytest.raises(IllegalMove):
        held.discard(mediation.db, event.id, by="demo", reason="重复")


def test_what_the_local_bus_brings_and_nobody_can_read_is_held_once_and_may_only_be_discarded(
    petition_db: Database, mediation: Mediation
) -> None:
    for _ in range(2):
        mediation.applier.take([b"\xff\xff"])
    event = only(mediation)
    assert (event.kind, event.reason) == ("undecodable", "not an envelope")
    with pytest.raises(IllegalMove):
        held.retry(mediation.db, event.id, by="demo")
    held.discard(mediation.db, event.id, by="demo", reason="来源不明")
    mediation.applier.take([b"\xff\xff"])
    assert not held.list_held(mediation.db)


def test_an_aggregate_that_waits_for_a_missing_event_is_listed_as_a_gap(
    petition_db: Database, mediation: Mediation
) -> None:
    announce(petition_db, *(requested("p1", text) for text in "123"), requested("p2", "1"))
    first, second, third, other = bodies(petition_db)
    inbox.receive(mediation.service, [first, third, other])
    mediation.apply_all()
    gap = only(mediation)
    assert (gap.kind, gap.source, gap.aggregate_id, gap.seq, gap.id) == ("gap", "petition", "p1", 2, "")
    assert clock.now() - gap.first_at < timedelta(seconds=10)
    assert json.dumps(gap.shown(clock.now()))
    inbox.receive(mediation.service, [second])
    mediation.apply_all()
    assert not held.list_held(mediation.db)


def test_the_list_is_paged_newest_last(petition_db: Database, mediation: Mediation) -> None:
    names = [f"p{n}" for n in range(5)]
    mediation.fails = dict.fromkeys(names, stale)
    deliver(petition_db, mediation, *((name, "1") for name in names))
    first = held.list_held(mediation.db, limit=3)
    second = held.list_held(mediation.db, after=first[-1].id, limit=3)
    assert sorted(event.aggregate_id for event in first + second) == names
    assert [event.first_at for event in first + second] == sorted(event.first_at for event in first + second)
    assert held.counts(mediation.db) == {"341702000000.petition": 5}


def test_many_held_aggregates_do_not_keep_the_others(petition_db: Database, mediation: Mediation) -> None:
    broken = [f"broken{n}" for n in range(150)]
    mediation.fails = dict.fromkeys(broken, break_down)
    deliver(petition_db, mediation, *((name, "1") for name in broken), ("p1", "1"))
    assert mediation.effects("p1") == ["1"]
    make_due(mediation)
    announce(petition_db, requested("p1", "2"))
    inbox.receive(mediation.service, bodies(petition_db)[-1:])
    mediation.applier.start()
    try:
        until(lambda: mediation.effects("p1") == ["1", "2"])
    finally:
        mediation.applier.stop()
