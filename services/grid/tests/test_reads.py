"""What people find in the directory, today and on any day of the past."""

from __future__ import annotations

import pytest

from protos.grid.v1 import directory_pb2 as pb
from services.grid.tests.office import HALL, TIER, TOWN, refused


@pytest.mark.parametrize(
    ("as_of", "towns", "villages"),
    [("2019-12-31", 20, 219), ("2021-12-31", 20, 219), ("2022-10-30", 20, 219), ("2022-10-31", 20, 220), ("", 20, 220)],
)
def test_twenty_towns_and_as_many_villages_as_the_table_of_the_day_says(office, as_of, towns, villages):
    assert office.counted(as_of) == (towns, villages)


def test_zones_are_counted_apart(office):
    found = office.call("CountDivisions", pb.CountDivisionsRequest())
    by_level = {level.level: level.count for level in found.levels}
    assert by_level == {
        pb.DIVISION_LEVEL_DISTRICT: 1, pb.DIVISION_LEVEL_STREET: 11, pb.DIVISION_LEVEL_TOWN: 9,
        pb.DIVISION_LEVEL_TOWN_LIKE: 6, pb.DIVISION_LEVEL_COMMUNITY: 74, pb.DIVISION_LEVEL_VILLAGE: 146,
        pb.DIVISION_LEVEL_VILLAGE_LIKE: 7,
    }  # fmt: skip


def test_a_town_and_its_villages_are_counted_alone(office):
    assert office.counted(division_prefix="341702007", as_of="2021-01-01") == (1, 15)
    assert office.counted(division_prefix="341702007") == (1, 16)


def test_divisions_are_listed_by_code_in_pages_that_skip_nothing(office):
    found = [division.code for division in office.divisions(page_size=100)]
    assert len(found) == 254
    assert found == sorted(set(found))


def test_the_two_code_systems_are_kept_apart(office):
    """341702008 is 秋江 to the statisticians and 梅龙 to civil affairs."""
    assert [d.name for d in office.divisions(text="341702008", levels=[pb.DIVISION_LEVEL_STREET])] == [
        "梅龙街道", "秋江街道",
    ]  # fmt: skip
    qiujiang = office.division("341702008000")
    assert (qiujiang.name, qiujiang.mca_code) == ("秋江街道", "341702006")


def test_a_renamed_zone_has_each_name_in_its_time(office):
    assert office.division("341702404000", "2020-06-29").name == "安徽省江南产业集中区"
    assert office.division("341702404000", "2020-06-30").name == "皖江江南新兴产业集中区"


def test_what_did_not_exist_is_not_found(office):
    with refused("NOT_FOUND"):
        office.division("341702007007", "2021-12-31")
    with refused("NOT_FOUND"):
        office.division("999999999999")


def test_filters_narrow_the_divisions(office):
    for filters, count in (
        ({"parent_code": TIER}, 26),
        ({"levels": [pb.DIVISION_LEVEL_TOWN]}, 9),
        ({"division_prefix": TOWN[:9], "levels": [pb.DIVISION_LEVEL_TOWN]}, 1),
        ({"text": "双河"}, 2),
        ({"text": "没有"}, 0),
        ({"text": "%"}, 0),
    ):
        assert len(office.divisions(**filters)) == count, filters


def test_the_offices_of_the_district_are_there_with_how_they_are_present(office):
    by_kind = {unit.kind: unit.name for unit in office.units(division_code=TIER, page_size=200)}
    assert by_kind[pb.UNIT_KIND_HALL] == "贵池区信访局"
    assert by_kind[pb.UNIT_KIND_MEDIATION] == "贵池区司法局"
    assert by_kind[pb.UNIT_KIND_COMMAND] == "贵池区委政法委员会"
    turns = office.units(presences=[pb.PRESENCE_TURNS])
    assert turns
    assert all(unit.rota for unit in turns)


def test_every_town_has_its_centre_and_every_village_its_unit_under_it(office):
    centres = office.units(kinds=[pb.UNIT_KIND_TOWN], page_size=200)
    assert len(centres) == 20
    villages = office.units(kinds=[pb.UNIT_KIND_VILLAGE], page_size=200, as_of="2021-12-31")
    villages += list(
        office.call(
            "ListUnits",
            pb.ListUnitsRequest(
                kinds=[pb.UNIT_KIND_VILLAGE], page_size=200, as_of="2021-12-31",
                page_token=office.call("ListUnits", pb.ListUnitsRequest(
                    kinds=[pb.UNIT_KIND_VILLAGE], page_size=200, as_of="2021-12-31")).next_page_token,
            ),
        ).units
    )  # fmt: skip
    assert len(villages) == 219
    assert {unit.superior for unit in villages} == {unit.code for unit in centres}


def test_a_unit_is_found_by_part_of_its_name(office):
    assert [unit.code for unit in office.units(text="信访局")] == [HALL]


def test_the_calendar_names_its_years_and_days(office):
    found = office.call("ListCalendarDays", pb.ListCalendarDaysRequest(year=2026, page_size=200))
    assert (found.first_year, found.last_year) == (2004, 2026)
    assert {day.day[:4] for day in found.days} == {"2026"}
    assert found.days[0] == pb.CalendarDay(day="2026-01-01", kind=pb.DAY_KIND_HOLIDAY, name="元旦")


def test_there_are_eighteen_types_of_disputes_and_two_levels_of_petition_categories(office):
    disputes = office.call("ListCategories", pb.ListCategoriesRequest(set=pb.CATEGORY_SET_DISPUTE)).categories
    assert len(disputes) == 18
    under = office.call("ListCategories", pb.ListCategoriesRequest(parent_code="X03")).categories
    assert "物业管理" in [category.name for category in under]


def test_the_first_version_of_each_kind_is_the_shipped_one(office):
    assert [(v.version, v.origin) for v in office.versions("divisions")] == [(1, "shipped")]


@pytest.mark.parametrize("token", ["x", "e30", "!!"])
def test_a_damaged_token_is_refused(office, token):
    with refused("FIELD_INVALID"):
        office.units(page_token=token)


def test_a_token_of_another_day_is_refused(office):
    token = office.call("ListUnits", pb.ListUnitsRequest(page_size=1)).next_page_token
    with refused("FIELD_INVALID"):
        office.units(page_token=token, as_of="2021-01-01")
