"""The relay sends what is committed, in order, until it is confirmed; whatever is away costs time and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from services.chassis import outbox, tables, wake
from services.chassis.database import Database, InsideTransaction
from services.chassis.pauses import pause
from services.chassis.relay import Relay
from services.chassis.streams import Parcel
from services.chassis.tests.mail import OFFICER, announce, bodies, requested, rows, until

on_postgresql = pytest.mark.parametrize("backend", [pytest.param("postgresql", marks=pytest.mark.servers)])


class FakeBus:
    """Keeps what it is given; may refuse all of it or some."""

    system = "fake"

    def __init__(self) -> None:
        self.sent: list[Parcel] = []
        self.batches: list[int] = []
        self.is_away = False
        self.refused: set[str] = set()
        self.told: list[Callable[[], None]] = []
        self.owners: set[int] = set()

    def publish(self, parcels: Sequence[Parcel]) -> set[str]:
        self.batches.append(len(parcels))
        if self.is_away:
            return set()
        taken = [parcel for parcel in parcels if parcel.event_id not in self.refused]
        self.sent += taken
        self.owners.add(threading.get_ident())
        return {parcel.event_id for parcel in taken}

    def when_ready(self, tell: Callable[[], None]) -> None:
        self.told.append(tell)

    def come_back(self) -> None:
        self.is_away = False
        for tell in self.told:
            tell()


@contextmanager
def running(db: Database, bus: FakeBus) -> Iterator[Relay]:
    relay = Relay(db, "petition", bus)
    relay.start()
    try:
        yield relay
    finally:
        relay.stop()


def unsent(db: Database) -> int:
    return sum(row.sent_at is None for row in rows(db, tables.outbox))


def test_everything_is_sent_in_order_and_marked_what_was_there_before_the_start_too(db: Database) -> None:
    announce(db, *(requested(f"p{n % 3}", str(n)) for n in range(600)))
    bus = FakeBus()
    with running(db, bus):
        announce(db, requested("p0", "600"))
        until(lambda: unsent(db) == 0)
    assert [parcel.body for parcel in bus.sent] == bodies(db)
    assert bus.sent[0].routing_key == "341702000000.341702000000.mediation"
    assert max(bus.batches) == 500


def test_a_commit_is_sent_at_once_and_not_at_the_next_poll(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.chassis.relay.POLL_S", 300)
    bus = FakeBus()
    with running(db, bus):
        until(lambda: wake.bell(db, wake.outbox("local")).heard)
        for n in range(3):
            announce(db, requested("p", str(n)))
            until(lambda n=n: len(bus.sent) == n + 1, seconds=5)  # type: ignore[misc]


@on_postgresql
def test_a_commit_of_another_process_is_sent_at_once(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process knows nothing of this one's bell; PostgreSQL carries the word."""
    monkeypatch.setattr("services.chassis.relay.POLL_S", 300)
    bus = FakeBus()
    with running(db, bus):
        until(lambda: wake.bell(db, wake.outbox("local")).heard)
        monkeypatch.setattr(wake, "bell", lambda *_: wake.Bell())
        announce(db, requested("p", "1"))
        until(lambda: len(bus.sent) == 1)


def test_what_nobody_told_of_is_found_by_the_poll(db: Database) -> None:
    bus = FakeBus()
    with running(db, bus):
        announce(db, requested("p", "1"))
        until(lambda: unsent(db) == 0)
        with db.transaction() as tx:  # neither bell nor NOTIFY
            tx.conn.execute(text("UPDATE outbox SET sent_at = NULL"))
        until(lambda: len(bus.sent) == 2)


def test_a_bus_that_is_away_costs_time_only_and_its_return_wakes_the_relay(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FIRST_S", "LONGEST_S"):
        monkeypatch.setattr(f"services.chassis.pauses.{name}", 300.0)
    bus = FakeBus()
    bus.is_away = True
    with running(db, bus):
        announce(db, requested("p", "1"))
        until(lambda: bool(bus.batches))
        began = time.monotonic()
        announce(db, requested("p", "2"))  # callers do not wait for it
        assert time.monotonic() - began < 60
        bus.come_back()
        until(lambda: unsent(db) == 0)
    assert [parcel.body for parcel in bus.sent] == bodies(db)


def test_only_what_was_confirmed_is_marked_and_the_rest_is_sent_again(db: Database) -> None:
    bus = FakeBus()
    announce(db, *(requested(f"p{n}") for n in range(3)))
    bus.refused = {rows(db, tables.outbox)[1].event_id}
    with running(db, bus):
        until(lambda: unsent(db) == 1)
        bus.refused.clear()
        until(lambda: unsent(db) == 0)
    assert sorted(parcel.body for parcel in bus.sent) == sorted(bodies(db))


def test_a_crash_between_confirm_and_mark_sends_again_and_loses_nothing(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LosesAnswer(FakeBus):
        """Stores what it is given, but the first answers never reach the relay."""

        def publish(self, parcels: Sequence[Parcel]) -> set[str]:
            confirmed = super().publish(parcels)
            if len(self.batches) < 3:
                raise ConnectionError
            return confirmed

    bus = LosesAnswer()
    announce(db, requested("p", "1"))
    with running(db, bus):
        until(lambda: unsent(db) == 0)
    assert [parcel.body for parcel in bus.sent] == bodies(db) * 3


def test_a_resend_goes_out_again(db: Database) -> None:
    bus = FakeBus()
    with running(db, bus):
        announce(db, requested("p", "1"))
        until(lambda: unsent(db) == 0)
        (row,) = rows(db, tables.outbox)
        assert outbox.resend(db, row.created_at, row.sent_at.replace(year=row.sent_at.year + 1)) == 1
        until(lambda: len(bus.sent) == 2)
        until(lambda: unsent(db) == 0)


@on_postgresql
def test_of_two_replicas_one_sends_and_the_other_takes_over_when_it_ends(db: Database) -> None:
    first, second = FakeBus(), FakeBus()
    replica = Database(db.url.render_as_string(hide_password=False))
    relay = Relay(db, "petition", first)
    relay.start()
    announce(db, requested("p", "1"))
    until(lambda: len(first.sent) == 1)
    with running(replica, second):
        announce(replica, requested("p", "2"))
        until(lambda: len(first.sent) == 2)
        assert not second.sent
        relay.stop()
        announce(replica, requested("p", "3"))
        until(lambda: len(second.sent) == 1, seconds=10)
    assert [parcel.body for parcel in first.sent + second.sent] == bodies(db)
    replica.close()


@on_postgresql
def test_a_broken_session_gives_the_lock_up_and_gets_it_again(db: Database) -> None:
    bus = FakeBus()
    with running(db, bus):
        announce(db, requested("p", "1"))
        until(lambda: unsent(db) == 0)
        with db.transaction() as tx:
            tx.conn.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
                     " AND datname = current_database()")
            )  # fmt: skip
        until(lambda: not wake.bell(db, wake.outbox("local")).heard)
        announce(db, requested("p", "2"))
        until(lambda: unsent(db) == 0)


def test_pauses_grow_from_a_fifth_of_a_second_to_half_a_minute_and_spread() -> None:
    for failures, longest in [(1, 0.2), (2, 0.4), (5, 3.2), (9, 30), (1000, 30)]:
        found = {pause(failures) for _ in range(50)}
        assert longest / 2 <= min(found) < max(found) <= longest


def test_handing_over_inside_a_transaction_is_a_programming_error(db: Database) -> None:
    from services.chassis.bus import LocalBus

    with pytest.raises(InsideTransaction), db.transaction(OFFICER):
        LocalBus().publish([])
