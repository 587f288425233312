from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from services.chassis.calendar import WorkCalendar
from services.chassis.clock import day_start
from services.chassis.deadline import Colour, Deadline, Limit, State, Unit, start
from services.chassis.refusal import IllegalMove, Invalid

CALENDAR = WorkCalendar.published()
SECOND = timedelta(seconds=1)
MARCH_2 = date(2026, 3, 2)


def a_deadline(length: int = 15, unit: Unit = Unit.DAY, on: date = MARCH_2) -> Deadline:
    limit = Limit("register", length, unit, "信访工作条例 22", "登记", "register")
    return start(limit, "d-1", "petition", "p-1", on, CALENDAR)


def a_deadline_in(state: State) -> Deadline:
    deadline = a_deadline()
    if state is State.SUSPENDED:
        deadline.suspend(MARCH_2 + timedelta(days=3))
    elif state is State.MET:
        deadline.meet(MARCH_2 + timedelta(days=3))
    elif state is State.CANCELLED:
        deadline.cancel()
    return deadline


def test_the_start_day_is_not_counted() -> None:
    assert a_deadline(15, on=MARCH_2).due_on == date(2026, 3, 17)


@pytest.mark.parametrize(
    ("length", "unit", "on", "due"),
    [
        (15, Unit.DAY, date(2026, 2, 6), date(2026, 2, 24)),  # the 21st falls into the Spring Festival
        (60, Unit.DAY, date(2026, 8, 2), date(2026, 10, 8)),  # the National Day week
        (5, Unit.WORKDAY, date(2026, 2, 11), date(2026, 2, 25)),  # Saturday 14 is worked, then nine days off
        (1, Unit.DAY, date(2026, 2, 13), date(2026, 2, 14)),  # a Saturday that is worked is no day off
        (10, Unit.WORKDAY, date(2026, 3, 2), date(2026, 3, 16)),
    ],
)
def test_a_limit_ends_on_a_working_day(length: int, unit: Unit, on: date, due: date) -> None:
    assert a_deadline(length, unit, on).due_on == due


@pytest.mark.parametrize(
    ("length", "amber"), [(15, date(2026, 3, 12)), (1, date(2026, 3, 3)), (2, date(2026, 3, 4)), (5, date(2026, 3, 6))]
)
def test_the_reminder_comes_at_two_thirds_rounded_up(length: int, amber: date) -> None:
    assert a_deadline(length).amber_on == amber


@pytest.mark.parametrize(
    ("at", "colour"),
    [
        (day_start(date(2026, 3, 12)) - SECOND, Colour.GREEN),
        (day_start(date(2026, 3, 12)), Colour.AMBER),
        (day_start(date(2026, 3, 18)) - SECOND, Colour.AMBER),
        (day_start(date(2026, 3, 18)), Colour.RED),
    ],
)
def test_colours_change_at_midnight_in_shanghai(at: datetime, colour: Colour) -> None:
    assert a_deadline().colour(at) == colour


def test_a_limit_carries_its_legal_source_into_every_deadline() -> None:
    deadline = a_deadline()
    assert (deadline.kind, deadline.length, deadline.unit) == ("register", 15, "day")
    assert (deadline.source, deadline.subject_type, deadline.subject_id) == ("信访工作条例 22", "petition", "p-1")


def test_the_days_of_a_suspension_are_given_back() -> None:
    deadline = a_deadline(30, on=MARCH_2)
    deadline.suspend(date(2026, 3, 10))
    assert deadline.colour(datetime(2030, 1, 1, tzinfo=UTC)) == Colour.SUSPENDED
    deadline.resume(date(2026, 3, 20), CALENDAR)
    assert (deadline.state, deadline.suspended_on, deadline.suspended_days) == (State.RUNNING, None, 10)
    assert deadline.due_on == date(2026, 4, 13)  # 11 April is a Saturday
    assert deadline.amber_on == date(2026, 4, 1)


def test_working_days_of_a_suspension_are_counted_in_working_days() -> None:
    deadline = a_deadline(10, Unit.WORKDAY, MARCH_2)
    deadline.suspend(date(2026, 3, 6))
    deadline.resume(date(2026, 3, 10), CALENDAR)
    assert (deadline.suspended_days, deadline.due_on) == (2, date(2026, 3, 18))


def test_a_suspension_that_ends_the_day_it_began_changes_nothing() -> None:
    deadline = a_deadline()
    deadline.suspend(date(2026, 3, 6))
    deadline.resume(date(2026, 3, 6), CALENDAR)
    assert deadline == a_deadline()


def test_a_suspension_in_the_days_off_after_the_last_day_leaves_a_working_day_to_act() -> None:
    deadline = a_deadline(5, on=MARCH_2)  # the fifth day is Saturday 7 March, so it ends on Monday 9
    deadline.suspend(date(2026, 3, 8))
    deadline.resume(date(2026, 3, 18), CALENDAR)
    assert deadline.due_on == date(2026, 3, 18)


def test_a_limit_that_has_passed_cannot_be_stopped() -> None:
    deadline = a_deadline()
    with pytest.raises(IllegalMove) as refused:
        deadline.suspend(date(2026, 3, 18))
    assert refused.value.reason == "DEADLINE_EXPIRED"
    assert deadline == a_deadline()


def test_an_extension_runs_on_from_the_last_counted_day() -> None:
    deadline = a_deadline(60, on=date(2026, 8, 2))  # the 60th day is 1 October
    deadline.extend(30, CALENDAR)
    assert (deadline.length, deadline.due_on) == (90, date(2026, 11, 2))  # 31 October is a Saturday


def test_an_extension_after_expiry_is_refused_when_its_date_is_given() -> None:
    deadline = a_deadline()
    with pytest.raises(IllegalMove):
        deadline.extend(30, CALENDAR, on=date(2026, 3, 18))
    assert deadline == a_deadline()
    deadline.extend(30, CALENDAR, on=date(2026, 3, 17))
    assert deadline.length == 45


def test_a_reminder_that_was_told_is_told_again_when_an_extension_moves_it_on() -> None:
    deadline = a_deadline(60)
    deadline.amber_told_at = deadline.amber_at
    deadline.extend(30, CALENDAR)
    assert deadline.amber_told_at is None


def test_a_reminder_told_for_a_date_that_did_not_move_is_not_told_again() -> None:
    deadline = a_deadline(60)
    deadline.amber_told_at = deadline.amber_at
    assert not deadline.recompute(CALENDAR)
    assert deadline.amber_told_at is not None


@pytest.mark.parametrize(("on", "late"), [(date(2026, 3, 17), False), (date(2026, 3, 18), True)])
def test_a_deadline_met_after_its_last_day_remembers_that_it_was_late(on: date, late: bool) -> None:
    deadline = a_deadline()
    deadline.meet(on)
    assert (deadline.state, deadline.met_on, deadline.met_late) == (State.MET, on, late)
    assert deadline.colour(datetime(2030, 1, 1, tzinfo=UTC)) == Colour.MET


def test_work_done_during_a_suspension_is_in_time_and_stays_so() -> None:
    deadline = a_deadline()
    deadline.suspend(date(2026, 3, 10))
    deadline.meet(date(2026, 5, 11))
    deadline.recompute(CALENDAR)
    assert not deadline.met_late


def test_a_cancelled_deadline_shows_itself_as_cancelled() -> None:
    assert a_deadline_in(State.CANCELLED).colour(datetime(2030, 1, 1, tzinfo=UTC)) == Colour.CANCELLED


MOVES: dict[str, tuple[Callable[[Deadline], object], set[State]]] = {
    "suspend": (lambda d: d.suspend(date(2026, 3, 10)), {State.RUNNING}),
    "resume": (lambda d: d.resume(date(2026, 3, 10), CALENDAR), {State.SUSPENDED}),
    "extend": (lambda d: d.extend(30, CALENDAR), {State.RUNNING, State.SUSPENDED}),
    "meet": (lambda d: d.meet(date(2026, 3, 10)), {State.RUNNING, State.SUSPENDED}),
    "cancel": (lambda d: d.cancel(), {State.RUNNING, State.SUSPENDED}),
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("name", MOVES)
def test_a_move_is_allowed_only_from_the_states_drawn_and_else_changes_nothing(name: str, state: State) -> None:
    move, allowed = MOVES[name]
    deadline = a_deadline_in(state)
    if state in allowed:
        move(deadline)
        assert deadline != a_deadline_in(state)
        return
    with pytest.raises(IllegalMove) as refused:
        move(deadline)
    assert deadline == a_deadline_in(state)
    assert refused.value.details["state"] == state
    assert set(refused.value.details["allowed_states"].split(",")) == allowed


@pytest.mark.parametrize(
    "move",
    [
        lambda: a_deadline().suspend(date(2026, 3, 1)),
        lambda: a_deadline().meet(date(2026, 3, 1)),
        lambda: a_deadline_in(State.SUSPENDED).resume(date(2026, 3, 4), CALENDAR),
        lambda: a_deadline().extend(0, CALENDAR),
        lambda: a_deadline(length=0),
    ],
)
def test_dates_before_the_start_and_lengths_below_one_are_invalid(move: Callable[[], object]) -> None:
    with pytest.raises(Invalid):
        move()


def with_2027() -> WorkCalendar:
    return CALENDAR.extended_by(WorkCalendar.from_text("# years: 2027-2027\n2027-01-01,holiday,元旦\n"))


def test_a_last_day_beyond_the_published_years_is_provisional_until_they_are_published() -> None:
    deadline = a_deadline(31, on=date(2026, 12, 1))
    assert (deadline.due_on, deadline.provisional) == (date(2027, 1, 1), True)
    deadline.red_told_at = deadline.red_at
    assert deadline.recompute(with_2027())
    assert (deadline.due_on, deadline.provisional) == (date(2027, 1, 4), False)
    assert deadline.red_told_at is None


def test_the_last_published_day_is_firm() -> None:
    assert not a_deadline(30, on=date(2026, 12, 1)).provisional


def test_a_deadline_met_on_the_day_that_turned_out_to_be_the_last_is_in_time_after_all() -> None:
    deadline = a_deadline(31, on=date(2026, 12, 1))
    deadline.meet(date(2027, 1, 4))
    assert deadline.met_late
    deadline.recompute(with_2027())
    assert not deadline.met_late


def test_a_cancelled_deadline_is_not_computed_again() -> None:
    deadline = a_deadline(31, on=date(2026, 12, 1))
    deadline.cancel()
    before = replace(deadline)
    assert not deadline.recompute(with_2027())
    assert deadline == before


def test_units_have_the_words_of_the_law() -> None:
    assert [(unit.zh, unit.en) for unit in Unit] == [("日", "days"), ("工作日", "working days")]
