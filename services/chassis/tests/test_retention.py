"""What is kept only to be sent again or recognised is forgotten in time; what still waits never is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, update

from services.chassis import clock, inbox, outbox, retention, tables
from services.chassis.database import Database
from services.chassis.retention import Retention, prune
from services.chassis.tests.mail import Mediation, announce, bodies, fake_service, requested, rows, until


def age(db: Database, days: dict[int, int]) -> None:
    """Row n of the outbox was sent so many days ago."""
    for n, ago in days.items():
        with db.transaction() as tx:
            row = update(tables.outbox).where(tables.outbox.c.id == n)
            tx.conn.execute(row.values(sent_at=clock.now() - timedelta(days=ago)))


def test_sent_events_are_kept_seven_days_and_unsent_ones_for_ever(
    petition_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    announce(petition_db, *(requested(f"p{n}") for n in range(6)))
    age(petition_db, {1: 8, 2: 8, 3: 8, 4: 6})
    service = fake_service("petition", petition_db)
    later = clock.now() + timedelta(days=1000)
    assert prune(petition_db, service.settings)["outbox"] == 3
    assert [row.aggregate_id for row in rows(petition_db, tables.outbox)] == ["p3", "p4", "p5"]
    assert prune(petition_db, service.settings, later)["outbox"] == 1
    assert outbox.waiting(petition_db)["local"].rows == 2


def test_applied_events_are_kept_ninety_days_and_recognised_after_that(
    petition_db: Database, mediation: Mediation
) -> None:
    announce(petition_db, requested("p1", "1"), requested("p1", "2"))
    first, _ = bodies(petition_db)
    inbox.receive(mediation.service, [first])
    mediation.apply_all()
    settings = mediation.service.settings
    assert prune(mediation.db, settings, clock.now() + timedelta(days=89))["inbox"] == 0
    assert prune(mediation.db, settings, clock.now() + timedelta(days=91))["inbox"] == 1
    inbox.receive(mediation.service, bodies(petition_db))
    mediation.apply_all()
    assert mediation.effects("p1") == ["1", "2"]


def test_first_answers_are_kept_ninety_days(db: Database) -> None:
    now = clock.now()
    with db.transaction() as tx:
        for name, days in (("old", 91), ("new", 89)):
            values = {"account": "demo", "method": "m", "request_id": name, "digest": "", "answer": b""}
            tx.conn.execute(insert(tables.requests), values | {"created_at": now - timedelta(days=days)})
    assert prune(db, fake_service("petition", db).settings, now)["requests"] == 1


def test_the_thread_begins_at_once(petition_db: Database) -> None:
    announce(petition_db, requested("p1"))
    age(petition_db, {1: 8})
    pruning = Retention(fake_service("petition", petition_db))
    pruning.start()
    until(lambda: not rows(petition_db, tables.outbox))
    pruning.stop()
