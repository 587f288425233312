"""The rules of the directory alone: forms of codes, words of tables, units that follow from divisions."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.directory_entries import DIVISIONS, UNITS, Entry
from services.chassis.directory_shipped import DATA, read, shipped
from services.chassis.refusal import Invalid
from services.grid.domain import kinds, plan
from services.grid.domain.derived import is_derived, units_of, village_name
from services.grid.domain.plan import Draft

DAY = date(2026, 6, 1)


@pytest.mark.parametrize("entry", shipped(DIVISIONS), ids=lambda entry: f"{entry.code}-{entry.text_of('valid_from')}")
def test_every_shipped_division_has_the_level_and_parent_of_its_code(entry):
    values = {name: entry.text_of(name) for name in ("code", "level", "parent", "mca_code")}
    assert list(kinds.wrong_form(DIVISIONS, values)) == []


def test_the_shipped_units_are_those_that_follow_from_the_shipped_divisions():
    assert list(read(UNITS, DATA / "units_derived.csv")) == units_of(shipped(DIVISIONS))


@pytest.mark.parametrize(
    ("name", "level", "shown"),
    [
        ("里山村委会", "village", "里山村"), ("曹村村委会", "village", "曹村"), ("秀山居委会", "community", "秀山社区"),
        ("滨江社区居民委员会", "community", "滨江社区"), ("象山", "village", "象山村"),
        ("平天湖社区", "community", "平天湖社区"),
    ],
)  # fmt: skip
def test_a_village_is_called_as_people_call_it(name, level, shown):
    assert village_name(Entry(DIVISIONS, "341702003200", name=name, level=level)) == shown


def test_zones_have_no_unit():
    zones = [entry for entry in shipped(DIVISIONS) if entry.level.endswith("_like")]
    assert zones
    assert units_of(zones) == []
    assert is_derived("341702001-ZX")
    assert not is_derived("341702-ZX")


@pytest.mark.parametrize(
    ("written", "meant"), [("周一、周三", "1 3"), ("星期日", "7"), ("3,1", "1 3"), ("周二 周四", "2 4"), ("1", "1")]
)
def test_weekdays_are_read_as_people_write_them(written, meant):
    assert kinds.read(kinds.column(UNITS, "rota"), written) == meant


@pytest.mark.parametrize(
    ("kind", "field", "text"),
    [
        (UNITS, "rota", "周八"), (UNITS, "code", "信访局"), (UNITS, "level", "办公室"), (UNITS, "name", "甲" * 101),
        (UNITS, "name", ""), (DIVISIONS, "code", "3417"), ("staff", "phone", "12"), ("posts", "roles", "接访"),
        ("calendars", "code", "元旦"), (UNITS, "name", "甲\x07"),
    ],
)  # fmt: skip
def test_what_a_column_cannot_hold_is_refused_in_both_languages(kind, field, text):
    with pytest.raises(Invalid) as info:
        kinds.read(kinds.column(kind, field), text)
    assert info.value.zh
    assert info.value.en


def a_draft(name="甲", since=None, until=None, says_end=False):
    values = {"name": name, "level": "department", "parent": "341702000000", "presence": "on_call"}
    return Draft(2, "U", values, since, until, says_end)


@given(st.lists(st.tuples(st.sampled_from("甲乙丙"), st.integers(0, 40)), min_size=1, max_size=12))
def test_whatever_is_taken_periods_never_overlap_and_nothing_of_the_past_is_lost(steps):
    one = plan.begin(UNITS, [])
    said: dict[int, str] = {}
    last = 0
    for name, offset in steps:
        before = len(one.wrong)
        on = date.fromordinal(DAY.toordinal() + offset)
        plan.take(one, a_draft(name), on)
        if len(one.wrong) == before and offset >= last:
            said = {day: what for day, what in said.items() if day < offset} | {offset: name}
            last = offset if one.after["U"][-1].valid_from == on else last
    periods = one.after["U"]
    assert [p.valid_from for p in periods] == sorted({p.valid_from for p in periods})
    for earlier, later in zip(periods, periods[1:], strict=False):
        assert earlier.valid_to is not None
        assert earlier.valid_to < later.valid_from
    for offset, name in said.items():
        holding = one.on("U", date.fromordinal(DAY.toordinal() + offset))
        assert holding is not None
        assert holding.name == name


def test_a_row_that_reopens_what_had_ended_begins_a_new_period():
    one = plan.begin(UNITS, [])
    plan.take(one, a_draft(until=date(2026, 6, 30), says_end=True), DAY)
    plan.take(one, a_draft(), date(2026, 9, 1))
    assert [(p.valid_from, p.valid_to) for p in one.after["U"]] == [
        (DAY, date(2026, 6, 30)), (date(2026, 9, 1), None),
    ]  # fmt: skip
