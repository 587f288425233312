"""Time limits as they are kept, and the questions that screens ask about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from services.chassis import deadline_store
from services.chassis.calendar import WorkCalendar
from services.chassis.clock import day_end, day_start
from services.chassis.database import Database
from services.chassis.deadline import Colour, Deadline, Limit, State, Unit
from services.chassis.tables import deadlines

CALENDAR = WorkCalendar.published()
MONDAY = date(2026, 3, 2)
REPLY = Limit("reply", 15, Unit.WORKDAY, "信访工作条例 第二十二条", "答复期限", "reply")
FINISH = Limit("finish", 60, Unit.DAY, "信访工作条例 第三十四条", "办结期限", "finish")


def open_one(db: Database, limit: Limit, subject: str, on: date = MONDAY) -> Deadline:
    with db.transaction() as tx:
        return deadline_store.open_deadline(tx, limit, "petition", subject, on, CALENDAR)


def of(db: Database, subject: str) -> list[Deadline]:
    with db.reading() as conn:
        return deadline_store.of_subject(conn, subject)


class TestDeadlineStore:
    def test_a_clock_is_kept_as_the_law_counts_it(self, db: Database) -> None:
        opened = open_one(db, REPLY, "s-1")
        assert of(db, "s-1") == [opened]
        assert (opened.due_on, opened.source) == (date(2026, 3, 23), REPLY.source)

    def test_its_crossings_are_kept_as_instants_for_the_sweeper(self, db: Database) -> None:
        opened = open_one(db, REPLY, "s-1")
        with db.reading() as conn:
            row = conn.execute(select(deadlines.c.amber_at, deadlines.c.red_at)).one()
        assert tuple(row) == (day_start(opened.amber_on), day_end(opened.due_on))

    def test_every_move_is_kept(self, db: Database) -> None:
        opened = open_one(db, FINISH, "s-1")
        with db.transaction() as tx:
            deadline = deadline_store.find(tx, "s-1", "finish")
            assert deadline == opened
            deadline.suspend(date(2026, 3, 10))
            deadline_store.save(tx, deadline)
        assert of(db, "s-1") == [deadline]
        with db.transaction() as tx:
            deadline.resume(date(2026, 3, 20), CALENDAR)
            deadline.extend(30, CALENDAR)
            deadline.red_told_at = tx.now
            deadline_store.save(tx, deadline)
        assert of(db, "s-1") == [deadline]
        with db.reading() as conn:
            assert conn.scalar(select(deadlines.c.red_at)) == day_end(deadline.due_on)

    @pytest.mark.parametrize(("on", "late"), [(date(2026, 3, 23), False), (date(2026, 3, 24), True)])
    def test_whether_a_duty_was_done_late_is_known_afterwards(self, db: Database, on: date, late: bool) -> None:
        open_one(db, REPLY, "s-1")
        with db.transaction() as tx:
            deadline_store.meet(tx, "s-1", "reply", on)
        (met,) = of(db, "s-1")
        assert (met.state, met.met_on, met.met_late) == (State.MET, on, late)

    def test_work_done_during_a_suspension_is_in_time(self, db: Database) -> None:
        open_one(db, REPLY, "s-1")
        with db.transaction() as tx:
            deadline = deadline_store.find(tx, "s-1", "reply")
            assert deadline
            deadline.suspend(date(2026, 3, 10))
            deadline_store.save(tx, deadline)
            deadline_store.meet(tx, "s-1", "reply", date(2026, 5, 6))
        assert [d.met_late for d in of(db, "s-1")] == [False]

    def test_meeting_a_duty_that_nobody_has_changes_nothing(self, db: Database) -> None:
        with db.transaction() as tx:
            deadline_store.meet(tx, "s-1", "reply", MONDAY)
        open_one(db, REPLY, "s-1")
        for day in (MONDAY, MONDAY + timedelta(days=30)):
            with db.transaction() as tx:
                deadline_store.meet(tx, "s-1", "reply", day)
        assert [d.met_on for d in of(db, "s-1")] == [MONDAY]

    def test_the_open_clock_of_a_kind_is_found_before_closed_ones_and_the_newest_of_those(self, db: Database) -> None:
        first = open_one(db, REPLY, "s-1")
        with db.transaction() as tx:
            deadline_store.meet(tx, "s-1", "reply", MONDAY)
        second = open_one(db, REPLY, "s-1")
        with db.transaction() as tx:
            found = deadline_store.find(tx, "s-1", "reply")
            assert found
            assert found.id == second.id
            deadline_store.meet(tx, "s-1", "reply", MONDAY)
            again = deadline_store.find(tx, "s-1", "reply")
            assert again
            assert (again.id, first.id < second.id) == (second.id, True)
            assert deadline_store.find(tx, "s-1", "finish") is None

    def test_cancelling_ends_open_clocks_of_that_case_only(self, db: Database) -> None:
        for limit, subject in [(REPLY, "s-1"), (FINISH, "s-1"), (FINISH, "s-2")]:
            open_one(db, limit, subject)
        with db.transaction() as tx:
            deadline_store.meet(tx, "s-1", "reply", MONDAY)
            deadline_store.cancel_running(tx, "s-1")
        assert [d.state for d in of(db, "s-1")] == [State.MET, State.CANCELLED]
        assert [d.state for d in of(db, "s-2")] == [State.RUNNING]

    def test_the_clocks_of_several_cases_are_read_at_once(self, db: Database) -> None:
        for limit, subject in [(REPLY, "s-1"), (FINISH, "s-1"), (FINISH, "s-2")]:
            open_one(db, limit, subject)
        with db.reading() as conn:
            found = deadline_store.of_subjects(conn, ["s-1", "s-2", "s-3"])
            assert {subject: [d.kind for d in found[subject]] for subject in ("s-1", "s-2", "s-3")} == {
                "s-1": ["reply", "finish"], "s-2": ["finish"], "s-3": [],
            }  # fmt: skip
            assert deadline_store.of_subjects(conn, []) == {}


class TestColours:
    """On 25 March 2026: clocks of every colour, and cases that have several."""

    AT = datetime(2026, 3, 25, 4, tzinfo=UTC)
    EXPECTED = {
        Colour.RED: {"red", "red and green", "red and met"},
        Colour.AMBER: {"amber", "amber and suspended"},
        Colour.GREEN: {"green"},
        Colour.SUSPENDED: {"suspended", "suspended and met"},
        Colour.MET: {"met", "met and cancelled"},
        Colour.CANCELLED: {"cancelled"},
    }  # fmt: skip
    STARTS = {
        "red": date(2026, 3, 2), "amber": date(2026, 3, 10), "green": date(2026, 3, 24), "met": date(2026, 3, 24),
        "suspended": date(2026, 3, 24), "cancelled": date(2026, 3, 24),
    }  # fmt: skip

    @pytest.fixture
    def cases(self, db: Database) -> Database:
        for name in (name for names in self.EXPECTED.values() for name in names):
            for colour in name.split(" and "):
                limit = Limit(colour, 15, Unit.WORKDAY, "source", "题", "title")
                open_one(db, limit, name, self.STARTS[colour])
            self._close(db, name)
        return db

    def _close(self, db: Database, name: str) -> None:
        with db.transaction() as tx:
            for deadline in deadline_store.of_subject(tx.conn, name):
                if deadline.kind == "met":
                    deadline.meet(date(2026, 3, 25))
                elif deadline.kind == "cancelled":
                    deadline.cancel()
                elif deadline.kind == "suspended":
                    deadline.suspend(date(2026, 3, 25))
                deadline_store.save(tx, deadline)

    @pytest.mark.parametrize("colour", list(Colour))
    def test_a_case_has_the_colour_of_its_worst_clock(self, cases: Database, colour: Colour) -> None:
        with cases.reading() as conn:
            subjects = deadline_store.with_colour(conn, colour, self.AT)
            found: Sequence[str] = conn.scalars(
                select(deadlines.c.subject_id).where(deadlines.c.subject_id.in_(subjects))
            ).all()
            assert set(found) == self.EXPECTED[colour]

    def test_they_are_counted_by_case(self, cases: Database) -> None:
        with cases.reading() as conn:
            counted = deadline_store.count_colours(conn, self.AT)
            assert counted == {"red": 3, "amber": 2, "green": 1, "suspended": 2}
            among = select(deadlines.c.subject_id).where(deadlines.c.subject_id.in_(["red", "green", "met"]))
            counted = deadline_store.count_colours(conn, self.AT, among)
            assert counted == {"red": 1, "amber": 0, "green": 1, "suspended": 0}

    def test_a_clock_turns_at_the_very_instant(self, db: Database) -> None:
        opened = open_one(db, REPLY, "s-1")
        for instant, before, after in [
            (opened.amber_at, Colour.GREEN, Colour.AMBER), (opened.red_at, Colour.AMBER, Colour.RED),
        ]:  # fmt: skip
            for at, colour in [(instant - timedelta(microseconds=1), before), (instant, after)]:
                assert opened.colour(at) is colour
                with db.reading() as conn:
                    assert list(conn.scalars(deadline_store.with_colour(conn, colour, at))) == ["s-1"]
                    assert deadline_store.count_colours(conn, at)[colour] == 1
