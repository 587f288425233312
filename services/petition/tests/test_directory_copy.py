"""The hall's copy of the directory: what grid publishes reaches registration, case, list and clocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from services.chassis import clock, identity
from services.chassis.directory import snapshot
from services.chassis.directory_entries import CALENDARS, CATEGORIES, DIVISIONS, UNITS, Entry
from services.chassis.directory_store import Version, digest_of
from services.chassis.ids import uuid7
from services.chassis.listeners import Delivery
from services.chassis.sweeper import recompute_provisional
from services.petition.tests.hall import TIER, TOWN, refused


def publish(hall, kind, rows, version=2):
    """Grid's event arrives."""
    event = snapshot(Version(kind, version, clock.now(), digest_of(rows)), rows)
    subscription = hall.service.listeners.of(event.DESCRIPTOR.full_name)
    with hall.db.transaction(identity.system("petition", TIER)) as tx:
        subscription.act(tx, event, Delivery(uuid7(), "grid", TIER, clock.now(), "keeper"))


def known(hall, kind):
    return hall.office.directory.entries(kind)


class TestNames:
    def test_a_renamed_town_is_shown_by_its_new_name_from_that_day_on(self, hall):
        petition = hall.register()
        rows = [replace(one, name="涓桥新镇") if one.code == TOWN else one for one in known(hall, DIVISIONS)]
        publish(hall, DIVISIONS, rows)
        assert hall.get(petition.id).division_name == "涓桥新镇"

    def test_a_unit_that_has_ended_takes_no_petition_on_and_a_new_one_does(self, hall):
        yesterday = date.fromordinal(clock.legal_date(clock.now()).toordinal() - 1)
        rows = [replace(one, valid_to=yesterday) if one.code == "341702-RSJ" else one for one in known(hall, UNITS)]
        publish(hall, UNITS, [*rows, Entry(UNITS, "341702-SLJ", name="贵池区水利局", parent=TIER, level="department")])
        petition = hall.register()
        with refused("FIELD_INVALID"):
            hall.accept(petition.id, "341702-RSJ")
        assert hall.accept(petition.id, "341702-SLJ").responsible_unit == "341702-SLJ"


class TestCategories:
    def test_a_petition_keeps_its_category_and_is_found_under_it_and_the_one_above(self, hall):
        property_management = hall.register(category="X0303")
        hall.register()
        assert (property_management.category, property_management.category_title) == ("X0303", "物业管理")
        assert hall.get(property_management.id).category_title == "物业管理"
        for category, count in (("X0303", 1), ("X03", 1), ("X01", 0), ("", 2)):
            assert len(hall.listed(category=category)) == count

    def test_a_code_of_another_set_or_of_none_is_refused(self, hall):
        for code in ("D01", "X9999"):
            with refused("FIELD_INVALID") as info:
                hall.register(category=code)
            assert info.value.violations[0].field == "category"

    def test_a_new_category_is_taken_as_soon_as_it_was_published(self, hall):
        publish(hall, CATEGORIES, [*known(hall, CATEGORIES), Entry(CATEGORIES, "X99", name="新类", level="petition")])
        assert hall.register(category="X99").category_title == "新类"


class TestCalendar:
    @pytest.fixture(autouse=True)
    def late_in_2026(self, monkeypatch):
        """Sixty days on lie in 2027, for which the shipped calendar names no holidays."""
        monkeypatch.setattr(clock, "now", lambda: datetime(2026, 11, 24, 4, tzinfo=UTC))

    def test_a_due_date_beyond_the_calendar_moves_when_next_year_s_holidays_come_and_the_case_says_so(self, hall):
        hall.office = replace(hall.office, own_calendar=None)
        hall.rpc.office = hall.office
        petition = hall.accept(hall.register().id)
        conclude = next(one for one in petition.clocks if one.kind == "conclude")
        due = date.fromisoformat(conclude.due_on)
        assert (conclude.provisional, due > date(2026, 12, 31)) == (True, True)
        # As if the State Council made that day and the next one holidays.
        days = [date.fromordinal(due.toordinal() + n) for n in range(2)]
        rows = known(hall, CALENDARS)
        rows += [Entry(CALENDARS, day.isoformat(), name="春节", level="holiday") for day in days]
        rows.append(Entry(CALENDARS, f"{due.year}-12-31", name="元旦", level="holiday"))
        publish(hall, CALENDARS, rows)
        assert recompute_provisional(hall.service, hall.service.calendar()) >= 1
        after = next(one for one in hall.get(petition.id).clocks if one.kind == "conclude")
        assert not after.provisional
        assert date.fromisoformat(after.due_on) > days[-1]
        told = [line for line in hall.timeline(petition.id) if line.kind == "clock.moved"]
        assert len(told) == 1
        assert conclude.due_on in told[0].text
        assert after.due_on in told[0].text
        assert recompute_provisional(hall.service, hall.service.calendar()) == 0

    def test_new_clocks_count_with_it_at_once(self, hall):
        hall.office = replace(hall.office, own_calendar=None)
        hall.rpc.office = hall.office
        before = hall.register().clocks[0]
        due = date.fromisoformat(before.due_on)
        rows = [*known(hall, CALENDARS), Entry(CALENDARS, due.isoformat(), name="临时", level="holiday")]
        publish(hall, CALENDARS, [one for one in rows if one.code != due.isoformat() or one.name == "临时"])
        assert date.fromisoformat(hall.register().clocks[0].due_on) > due
