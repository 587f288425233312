"""Crossings are told exactly once, the oldest first, and none keeps another from being told."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update

from services.chassis import clock, deadline_store, ids, sweeper, timeline
from services.chassis.calendar import WorkCalendar
from services.chassis.clock import day_end, day_start
from services.chassis.database import Database, Tx
from services.chassis.deadline import Deadline, Limit, Unit, start
from services.chassis.listeners import Listeners
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.chassis.sweeper import Failures, Sweeper, recompute_provisional, sweep_once
from services.chassis.tables import deadlines, outbox_seq
from services.chassis.tests.concurrency import in_threads, wait_until

CALENDAR = WorkCalendar.published()
LIMIT = Limit("reply", 15, Unit.DAY, "source", "题", "title")
STARTED = date(2026, 3, 2)
A_DEADLINE = start(LIMIT, "d", "petition", "s", STARTED, CALENDAR)
AMBER_AT, RED_AT = A_DEADLINE.amber_at, A_DEADLINE.red_at
MOMENT = timedelta(microseconds=1)

Told = list[tuple[str, str]]


class Hearer:
    """A service's reaction to crossings: remembers them, in the transaction and outside of it."""

    def __init__(self, poisoned: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        self.told: Told = []
        self.poisoned = poisoned
        self.tried: list[str] = []

    def __call__(self, tx: Tx, deadline: Deadline, colour: str) -> None:
        self.tried.append(deadline.subject_id)
        timeline.add(tx, deadline.subject_id, f"clock_{colour}", colour, colour)
        tx.after_commit(lambda: self.told.append((deadline.subject_id, colour)))
        if deadline.subject_id in self.poisoned:
            tx.conn.execute(text("SELECT nothing FROM nowhere"))


def a_service(db: Database, hearer: Callable[[Tx, Deadline, str], None], **settings: Any) -> Service:
    return Service(
        "petition", Settings(tier="341702000000", **settings), db, lambda _server: None, (), Listeners(), hearer
    )


def open_clocks(db: Database, *subjects: str, started: date = STARTED, limit: Limit = LIMIT) -> None:
    with db.transaction() as tx:
        for subject in subjects:
            deadline_store.open_deadline(tx, limit, "petition", subject, started, CALENDAR)


def on_timeline(db: Database, subject: str) -> list[str]:
    with db.reading() as conn:
        return [entry.kind for entry in timeline.page(conn, subject, 0, 50)]


class TestSweepOnce:
    def test_amber_and_red_are_told_at_their_instants_and_once(self, db: Database) -> None:
        open_clocks(db, "s")
        hearer = Hearer()
        service = a_service(db, hearer)
        for at, expected in [
            (AMBER_AT - MOMENT, []),
            (AMBER_AT, [("s", "amber")]),
            (RED_AT - MOMENT, [("s", "amber")]),
            (RED_AT, [("s", "amber"), ("s", "red")]),
            (RED_AT + timedelta(days=9), [("s", "amber"), ("s", "red")]),
        ]:
            sweep_once(service, at)
            assert hearer.told == expected
        (deadline,) = clocks_of(db, "s")
        assert (deadline.amber_told_at, deadline.red_told_at) == (AMBER_AT, RED_AT)

    def test_one_that_is_red_before_amber_was_told_is_told_red_only(self, db: Database) -> None:
        open_clocks(db, "s")
        hearer = Hearer()
        assert sweep_once(a_service(db, hearer), RED_AT) == 1
        assert sweep_once(a_service(db, hearer), RED_AT) == 0
        assert hearer.told == [("s", "red")]
        (deadline,) = clocks_of(db, "s")
        assert deadline.amber_told_at == deadline.red_told_at == RED_AT

    @pytest.mark.parametrize("state", ["suspended", "met", "cancelled"])
    def test_a_clock_that_does_not_run_is_not_told(self, db: Database, state: str) -> None:
        open_clocks(db, "s")
        with db.transaction() as tx:
            tx.conn.execute(update(deadlines).values(state=state))
        assert sweep_once(a_service(db, Hearer()), RED_AT) == 0

    def test_what_the_service_writes_and_the_mark_are_one_transaction(self, db: Database) -> None:
        open_clocks(db, "s")
        hearer = Hearer(poisoned={"s"})
        assert sweep_once(a_service(db, hearer), RED_AT) == 0
        assert (hearer.tried, hearer.told, on_timeline(db, "s")) == (["s"], [], [])
        assert [d.red_told_at for d in clocks_of(db, "s")] == [None]
        hearer.poisoned = set()
        assert sweep_once(a_service(db, hearer), RED_AT) == 1
        assert on_timeline(db, "s") == ["clock_red"]

    def test_one_that_fails_keeps_no_other_from_being_told(self, db: Database) -> None:
        for day, subject in enumerate(["a", "b", "c"]):
            open_clocks(db, subject, started=STARTED + timedelta(days=day))
        hearer = Hearer(poisoned={"a"})
        assert sweep_once(a_service(db, hearer), RED_AT + timedelta(days=9)) == 2
        assert hearer.told == [("b", "red"), ("c", "red")]

    def test_it_acts_as_the_system_of_that_service(self, db: Database) -> None:
        open_clocks(db, "s")
        sweep_once(a_service(db, Hearer()), RED_AT)
        with db.reading() as conn:
            assert timeline.page(conn, "s", 0, 1)[0].actor == "system:petition"

    def test_the_oldest_crossing_is_first_whatever_its_colour(self, db: Database) -> None:
        open_clocks(db, "third", started=STARTED + timedelta(days=6))
        open_clocks(db, "second", started=STARTED + timedelta(days=3))
        open_clocks(db, "first", limit=dataclasses.replace(LIMIT, length=30))
        hearer = Hearer()
        service = a_service(db, hearer)
        sweep_once(service, day_start(STARTED + timedelta(days=20)))
        assert hearer.told == [("second", "red"), ("third", "amber"), ("first", "amber")]
        hearer.told.clear()
        for _ in range(3):
            sweep_once(service, RED_AT + timedelta(days=60), limit=1)
        assert hearer.told == [("third", "red"), ("first", "red")]

    def test_ten_thousand_newer_ones_never_keep_the_oldest_waiting(self, db: Database) -> None:
        newer = start(LIMIT, "d", "petition", "s", STARTED + timedelta(days=1), CALENDAR)
        rows = [deadline_store.values_of(dataclasses.replace(newer, id=ids.uuid7(), subject_id=f"s-{n}"))
                for n in range(10_000)]  # fmt: skip
        with db.transaction() as tx:
            tx.conn.execute(insert(deadlines), rows)
        open_clocks(db, "oldest")
        hearer = Hearer()
        assert sweep_once(a_service(db, hearer), RED_AT + timedelta(days=9), limit=10) == 10
        assert hearer.told[0] == ("oldest", "red")

    def test_two_sweepers_at_the_same_time_tell_each_crossing_once(self, db: Database) -> None:
        open_clocks(db, *(f"s-{n}" for n in range(120)))
        hearer = Hearer()
        service = a_service(db, hearer)
        begin = threading.Barrier(2)

        def sweep() -> None:
            begin.wait()
            while sweep_once(service, RED_AT, limit=10):
                pass

        in_threads([sweep, sweep])
        while sweep_once(service, RED_AT):
            pass  # what was locked by the other one when each of the two last looked
        assert sorted(hearer.told) == sorted((f"s-{n}", "red") for n in range(120))
        assert all(on_timeline(db, f"s-{n}") == ["clock_red"] for n in range(120))


class TestOnPostgres:
    pytestmark = pytest.mark.servers

    @pytest.fixture
    def backend(self) -> str:
        return "postgresql"

    def test_a_case_that_somebody_works_on_is_left_for_later_and_no_other_waits_for_it(self, db: Database) -> None:
        open_clocks(db, "busy", "free")
        hearer = Hearer()
        service = a_service(db, hearer)
        with db.engine.connect() as clerk, clerk.begin():
            clerk.execute(select(deadlines).where(deadlines.c.subject_id == "busy").with_for_update())
            assert sweep_once(service, RED_AT) == 1
        assert sweep_once(service, RED_AT) == 1
        assert hearer.told == [("free", "red"), ("busy", "red")]

    def test_it_gives_way_to_a_clerk_who_holds_the_case_and_wants_its_deadline(self, db: Database) -> None:
        open_clocks(db, "s")
        with db.transaction() as tx:
            tx.conn.execute(insert(outbox_seq).values(to_tier="t", to_service="s", aggregate_id="s", last_seq=0))
        case = select(outbox_seq).with_for_update()
        holds_case, wants_deadline = threading.Event(), threading.Event()

        def clerk() -> None:
            with db.engine.connect() as conn, conn.begin():
                conn.execute(case)
                holds_case.set()
                wants_deadline.wait(5)
                conn.execute(select(deadlines).with_for_update())

        def hear(tx: Tx, _deadline: Deadline, _colour: str) -> None:
            holds_case.wait(5)
            wants_deadline.set()
            tx.conn.execute(case)

        service = a_service(db, hear)
        told: list[int] = []
        in_threads([clerk, lambda: told.append(sweep_once(service, RED_AT))])
        assert told == [0]
        assert sweep_once(service, RED_AT) == 1


class TestSweeper:
    def test_it_tells_all_batches_and_tries_failed_ones_later(
        self, db: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sweeper, "BATCH", 3)
        bad = {f"bad-{n}" for n in range(7)}
        open_clocks(db, *sorted(bad))
        open_clocks(db, *(f"good-{n}" for n in range(7)), started=STARTED + timedelta(days=1))
        hearer = Hearer(poisoned=bad)
        one = Sweeper(a_service(db, hearer))
        assert one.sweep() == 7
        assert len(hearer.tried) == 14
        hearer.poisoned = set()
        assert one.sweep() == 0
        later = clock.now() + timedelta(minutes=1)
        monkeypatch.setattr(clock, "now", lambda: later)
        assert one.sweep() == 7
        assert len(hearer.told) == 14

    def test_it_runs_until_it_is_stopped(self, db: Database) -> None:
        open_clocks(db, "s")
        hearer = Hearer()
        one = Sweeper(a_service(db, hearer, sweep_interval_s=0.01))
        one.start()
        wait_until(lambda: hearer.told == [("s", "red")])
        open_clocks(db, "t")
        wait_until(lambda: ("t", "red") in hearer.told)
        one.stop()
        open_clocks(db, "u")
        assert not any(thread.name == "sweeper-petition" for thread in threading.enumerate())
        assert len(hearer.told) == 2

    def test_it_outlives_a_database_that_does_not_answer(self, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        open_clocks(db, "s")
        failures = iter([True, True])
        original = sweeper._due

        def due(*given: Any) -> Any:
            if next(failures, False):
                raise ConnectionError
            return original(*given)

        monkeypatch.setattr(sweeper, "_due", due)
        hearer = Hearer()
        one = Sweeper(a_service(db, hearer, sweep_interval_s=0.01))
        one.start()
        wait_until(lambda: hearer.told == [("s", "red")])
        one.stop()


class TestProvisional:
    """A limit that ends beyond the published holidays is counted again when more are published."""

    LONG = Limit("finish", 60, Unit.WORKDAY, "source", "题", "title")
    LATE = date(2026, 11, 20)

    def longer(self) -> WorkCalendar:
        lines = ["# years: 2027-2027", "date,kind,name", "2027-01-01,holiday,元旦", "2027-01-04,holiday,元旦"]
        return CALENDAR.extended_by(WorkCalendar.from_text("\n".join(lines)))

    def test_it_moves_by_the_new_holidays(self, db: Database) -> None:
        open_clocks(db, "s", started=self.LATE, limit=self.LONG)
        open_clocks(db, "t")
        (before,) = clocks_of(db, "s")
        assert before.provisional
        service = a_service(db, Hearer())
        assert recompute_provisional(service, CALENDAR) == 0
        assert recompute_provisional(service, self.longer()) == 1
        (after,) = clocks_of(db, "s")
        assert (after.provisional, after.due_on > before.due_on) == (False, True)
        assert recompute_provisional(service, self.longer()) == 0

    def test_whose_last_day_moved_is_told_with_the_day_before(self, db: Database) -> None:
        open_clocks(db, "s", started=self.LATE, limit=self.LONG)
        (before,) = clocks_of(db, "s")
        heard: list[tuple[str, date, date]] = []

        def on_moved(_: Tx, deadline: Deadline, due_before: date) -> None:
            heard.append((deadline.subject_id, due_before, deadline.due_on))

        service = dataclasses.replace(a_service(db, Hearer()), on_moved=on_moved)
        recompute_provisional(service, self.longer())
        assert heard == [("s", before.due_on, clocks_of(db, "s")[0].due_on)]

    def test_one_that_cannot_be_told_stays_as_it_is_and_keeps_no_other_from_it(self, db: Database) -> None:
        open_clocks(db, "s", "t", started=self.LATE, limit=self.LONG)

        def on_moved(_: Tx, deadline: Deadline, __: date) -> None:
            if deadline.subject_id == "s":
                raise RuntimeError

        service = dataclasses.replace(a_service(db, Hearer()), on_moved=on_moved)
        assert recompute_provisional(service, self.longer()) == 1
        assert [clocks_of(db, s)[0].provisional for s in ("s", "t")] == [True, False]
        assert recompute_provisional(a_service(db, Hearer()), self.longer()) == 1

    def test_a_new_calendar_is_taken_up_without_waiting_for_tomorrow(self, db: Database) -> None:
        open_clocks(db, "s", started=self.LATE, limit=self.LONG)
        calendars = [CALENDAR]
        one = Sweeper(dataclasses.replace(a_service(db, Hearer()), calendar=lambda: calendars[-1]))
        one._recompute_when_due()
        assert clocks_of(db, "s")[0].provisional
        calendars.append(self.longer())
        one._recompute_when_due()
        assert not clocks_of(db, "s")[0].provisional

    def test_all_of_many_are_counted_again(self, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sweeper, "BATCH", 2)
        open_clocks(db, *(f"s-{n}" for n in range(5)), started=self.LATE, limit=self.LONG)
        assert recompute_provisional(a_service(db, Hearer()), self.longer()) == 5

    def test_the_sweeper_does_it_with_the_operators_own_table_once_a_day(
        self, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(clock, "now", lambda: datetime(2026, 11, 24, 4, tzinfo=UTC))
        open_clocks(db, "s", started=self.LATE, limit=self.LONG)
        table = tmp_path / "holidays.csv"
        shipped = Path(clock.__file__).parent / "data" / "holidays.csv"
        table.write_text(shipped.read_text())
        one = Sweeper(a_service(db, Hearer(), holidays=table))
        one._recompute_when_due()
        table.write_text("# years: 2026-2027\ndate,kind,name\n2026-10-01,holiday,国庆节\n2027-01-01,holiday,元旦\n")
        one._recompute_when_due()
        assert [d.provisional for d in clocks_of(db, "s")] == [True]
        monkeypatch.setattr(clock, "now", lambda: day_end(date(2026, 11, 24)))
        one._recompute_when_due()
        assert [d.provisional for d in clocks_of(db, "s")] == [False]


def test_the_wait_after_failures_doubles_up_to_an_hour() -> None:
    failures = Failures()
    at = RED_AT
    waits = []
    for _ in range(9):
        failures.note("d", at)
        wait = next(s for s in range(0, 7200, 30) if not failures.waiting(at + timedelta(seconds=s)))
        waits.append(wait)
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    failures.forget("d")
    assert not failures.waiting(at)


def clocks_of(db: Database, subject: str) -> list[Deadline]:
    with db.reading() as conn:
        return deadline_store.of_subject(conn, subject)
