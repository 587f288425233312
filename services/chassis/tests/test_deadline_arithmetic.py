"""Ten thousand random deadlines, counted day by day over the source of the holiday table itself."""

import random
from datetime import date, timedelta
from functools import cache

import chinese_calendar

from services.chassis.calendar import WorkCalendar
from services.chassis.deadline import Deadline, Limit, Unit, start

CALENDAR = WorkCalendar.published()
FIRST, LAST = date(2004, 1, 1), date(2025, 6, 30)
ONE = timedelta(days=1)

Suspension = tuple[date, date]


@cache
def is_workday(day: date) -> bool:
    return bool(chinese_calendar.is_workday(day))


def walked(unit: Unit, started: date, length: int, suspensions: list[Suspension]) -> date:
    """The last day, found by walking: which days count, and on which may a limit end."""
    day, counted = started, 0
    while True:
        day += ONE
        if any(first <= day < resumed for first, resumed in suspensions):
            continue
        if counted < length and (unit is Unit.DAY or is_workday(day)):
            counted += 1
        if counted == length and is_workday(day):
            return day


def random_deadline(rng: random.Random, number: int) -> tuple[Deadline, list[Suspension]]:
    unit = rng.choice([Unit.DAY, Unit.WORKDAY])
    limit = Limit("P", rng.choice([1, 2, 3, 5, 10, 15, 30, 60, 90]), unit, "XF 22", "登记", "register")
    on = FIRST + timedelta(days=rng.randrange((LAST - FIRST).days))
    deadline = start(limit, str(number), "petition", "p", on, CALENDAR)
    suspensions: list[Suspension] = []
    since = on
    for _ in range(rng.choice([0, 0, 1, 2, 3])):
        first = since + timedelta(days=rng.randrange((deadline.due_on - since).days + 1))
        resumed = first + timedelta(days=rng.randrange(40))
        deadline.suspend(first)
        deadline.resume(resumed, CALENDAR)
        suspensions.append((first, resumed))
        if resumed > deadline.due_on:
            break
        since = resumed
    return deadline, suspensions


def test_ten_thousand_random_deadlines_end_where_walking_day_by_day_ends() -> None:
    rng = random.Random(20040101)  # noqa: S311  # a test that can be repeated
    for number in range(10_000):
        deadline, suspensions = random_deadline(rng, number)
        expected = walked(deadline.unit, deadline.started_on, deadline.length, suspensions)
        assert deadline.due_on == expected, (deadline, suspensions)
        assert is_workday(deadline.due_on)
        assert deadline.started_on < deadline.amber_on <= deadline.due_on
        assert not deadline.provisional
        assert not deadline.recompute(CALENDAR)


def test_ten_thousand_random_reminders_come_at_two_thirds_of_the_limit() -> None:
    rng = random.Random(7)  # noqa: S311  # a test that can be repeated
    for number in range(10_000):
        unit = rng.choice([Unit.DAY, Unit.WORKDAY])
        length = rng.randrange(1, 91)
        on = FIRST + timedelta(days=rng.randrange((LAST - FIRST).days))
        deadline = start(Limit("P", length, unit, "", "", ""), str(number), "petition", "p", on, CALENDAR)
        days = (on + n * ONE for n in range(1, 400))
        counting = [
            day for day, _ in zip((d for d in days if unit is Unit.DAY or is_workday(d)), range(90), strict=False)
        ]
        assert deadline.amber_on == next(day for n, day in enumerate(counting, start=1) if 3 * n >= 2 * length)
