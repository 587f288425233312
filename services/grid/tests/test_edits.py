"""One entry is changed by hand: nothing is lost, nothing hangs in the air, people stay masked."""

from __future__ import annotations

import zlib
from datetime import date, timedelta

import pytest

from protos.grid.v1 import directory_pb2 as pb
from services.chassis import clock, deployment
from services.chassis.audit import Sealer
from services.chassis.ids import uuid7
from services.grid.adapters.seeds import seed, seed_demo
from services.grid.adapters.store import SqlWork, republish
from services.grid.tests.office import HALL, TIER, a_keeper, refused

TODAY = clock.legal_date(clock.now())
NAME, PHONE = "欧阳试行", "13800001234"


def staff(office, code="R001", **over):
    values = {
        "request_id": uuid7(), "code": code, "name": NAME, "phone": PHONE, "unit": HALL, "expected_revision": 0,
    }  # fmt: skip
    return office.call("UpsertStaff", pb.UpsertStaffRequest(**{**values, **over}))


def post(office, code="P1", **over):
    values = {"request_id": uuid7(), "code": code, "title": "接访员", "unit": HALL, "roles": ["hall"]}
    return office.call("UpsertPost", pb.UpsertPostRequest(**{**values, **over}))


def end(office, method, code, revision, **over):
    values = {"request_id": uuid7(), "code": code, "expected_revision": revision, "reason": "机构调整"}
    return office.call(method, getattr(pb, f"{method}Request")(**{**values, **over}))


def reveal(office, *fields, code="R001", reason="电话通知开会"):
    return office.call("RevealStaff", pb.RevealStaffRequest(code=code, fields=fields, reason=reason))


class TestUnits:
    def test_a_unit_is_added_and_announced(self, office):
        unit = office.change_unit("341702-SLJ")
        assert (unit.name, unit.revision, unit.valid_from) == ("贵池区水利局", 1, TODAY.isoformat())
        assert [event.kind for event in office.announced()] == ["units"]
        assert office.audited("directory.edit")

    def test_a_change_begins_on_its_day_and_the_past_stays(self, office):
        office.change_unit("341702-SLJ", effective_on="2026-01-01")
        changed = office.change_unit("341702-SLJ", name="贵池区水务局", effective_on="2026-06-01", expected_revision=1)
        assert (changed.name, changed.revision) == ("贵池区水务局", 2)
        assert office.unit("341702-SLJ", "2026-05-31").name == "贵池区水利局"
        assert office.unit("341702-SLJ", "2026-05-31").valid_to == "2026-05-31"

    def test_two_who_change_the_same_entry_do_not_overwrite_each_other(self, office):
        office.change_unit("341702-SLJ")
        office.change_unit("341702-SLJ", name="贵池区水务局", expected_revision=1)
        with refused("REVISION_CHANGED") as info:
            office.change_unit("341702-SLJ", name="贵池区水利和湖泊局", expected_revision=1)
        assert info.value.details["revision"] == "2"
        with refused("REVISION_CHANGED"):
            office.change_unit("341702-SLJ", name="又一个水利局")
        assert office.unit("341702-SLJ").name == "贵池区水务局"

    def test_a_shipped_unit_is_at_its_first_revision(self, office):
        assert office.unit(HALL).revision == 1

    def test_what_changes_nothing_makes_no_version(self, office):
        office.change_unit("341702-SLJ")
        office.change_unit("341702-SLJ", expected_revision=1)
        assert len(office.announced("units")) == 1

    def test_the_same_request_is_done_once(self, office):
        request_id = uuid7()
        first = office.change_unit("341702-SLJ", request_id=request_id)
        assert office.change_unit("341702-SLJ", request_id=request_id) == first
        assert len(office.versions("units")) == 2

    @pytest.mark.parametrize(
        ("over", "field"),
        [
            ({"division_code": "341702999000"}, "division_code"),
            ({"superior": "341702-NIX"}, "superior"),
            ({"superior": "341702-SLJ"}, "superior"),
            ({"contact": "R999"}, "contact"),
            ({"presence": pb.PRESENCE_TURNS}, "rota"),
            ({"rota": [1]}, "rota"),
            ({"effective_on": "2026-06-01", "valid_to": "2026-05-01"}, "valid_to"),
        ],
    )
    def test_what_is_wrong_is_named_by_its_field(self, office, over, field):
        with refused("FIELD_INVALID") as info:
            office.change_unit("341702-SLJ", **over)
        assert field in {one.field for one in info.value.violations}
        assert office.announced() == []

    def test_a_unit_outside_of_the_caller_s_subtree_is_not_theirs(self, office):
        with office.as_(a_keeper(scope="341702004")), refused("OUT_OF_SCOPE"):
            office.change_unit("341702-SLJ")
        with office.as_(a_keeper(scope="341702004")), refused("OUT_OF_SCOPE"):
            office.change_unit(HALL, division_code="341702004000", expected_revision=1)

    def test_a_unit_ends_and_is_found_in_the_past_only(self, office):
        ended = end(office, "EndUnit", "341702-MZJ", 1)
        assert ended.valid_to == (TODAY - timedelta(days=1)).isoformat()
        with refused("NOT_FOUND"):
            office.unit("341702-MZJ")
        assert office.unit("341702-MZJ", "2021-06-01").name == "贵池区民政局"
        with refused("NOT_FOUND"):
            end(office, "EndUnit", "341702-MZJ", 2)

    def test_a_unit_with_posts_or_staff_or_units_under_it_cannot_end(self, office):
        with refused("STILL_IN_USE"):
            end(office, "EndUnit", "341702-SFJ", 1)
        post(office, unit="341702-MZJ")
        with refused("STILL_IN_USE") as info:
            end(office, "EndUnit", "341702-MZJ", 1)
        assert "P1" in info.value.zh

    def test_units_cannot_stand_in_a_ring(self, office):
        office.change_unit("341702-A")
        office.change_unit("341702-B", superior="341702-A")
        with refused("FIELD_INVALID") as info:
            office.change_unit("341702-A", superior="341702-B", expected_revision=1)
        assert info.value.violations[0].field == "superior"


class TestDivisions:
    def test_a_division_by_hand_brings_its_unit(self, office):
        request = pb.UpsertDivisionRequest(
            request_id=uuid7(), code="341702003212", name="新开村委会", level=pb.DIVISION_LEVEL_VILLAGE,
            parent_code="341702003000",
        )  # fmt: skip
        assert office.call("UpsertDivision", request).revision == 1
        assert office.unit("341702003212-ZX").name == "里山街道新开村综治中心"

    def test_a_town_takes_its_name_to_the_units_of_its_villages(self, office):
        town = office.division("341702102000")
        request = pb.UpsertDivisionRequest(
            request_id=uuid7(), code=town.code, name="涓桥街道", level=town.level, parent_code=town.parent_code,
            mca_code=town.mca_code, expected_revision=town.revision,
        )  # fmt: skip
        office.call("UpsertDivision", request)
        names = [unit.name for unit in office.units(division_prefix="341702102", page_size=50)]
        assert names
        assert all(name.startswith("涓桥街道") for name in names)

    def test_a_village_ends_with_its_unit(self, office):
        end(office, "EndDivision", "341702003202", 1)
        assert office.counted() == (20, 219)
        with refused("NOT_FOUND"):
            office.unit("341702003202-ZX")


class TestStaff:
    def test_people_are_masked_in_every_reply(self, office):
        made = staff(office)
        listed = office.call("ListStaff", pb.ListStaffRequest(unit=HALL)).staff[0]
        got = office.call("GetStaff", pb.GetStaffRequest(code="R001"))
        for shown in (made, listed, got):
            assert (shown.name, shown.phone) == ("欧阳**", "138****1234")

    def test_neither_event_nor_audit_nor_entry_holds_a_name_or_phone(self, office):
        staff(office)
        staff(office, name="欧阳改名", expected_revision=1)
        told = zlib.decompress(office.announced("staff")[-1].entries).decode()
        written = told + str(office.audited("directory.edit"))
        with office.db.reading() as conn:
            written += str(conn.exec_driver_sql("SELECT * FROM directory_entries WHERE kind = 'staff'").all())
        assert "R001" in written
        for secret in (NAME, PHONE, "欧阳改名"):
            assert secret not in written

    def test_a_name_is_revealed_for_a_reason_that_is_kept(self, office):
        staff(office)
        assert reveal(office, "phone") == pb.RevealStaffResponse(phone=PHONE)
        assert reveal(office, "name", "phone") == pb.RevealStaffResponse(name=NAME, phone=PHONE)
        rows = office.audited("staff.reveal")
        assert len(rows) == 2
        assert "电话通知开会" in rows[0].details

    def test_people_of_other_towns_are_not_seen(self, office):
        staff(office)
        with office.as_(a_keeper(scope="341702004")):
            assert not office.call("ListStaff", pb.ListStaffRequest()).staff
            with refused("NOT_FOUND"):
                office.call("GetStaff", pb.GetStaffRequest(code="R001"))
            with refused("NOT_FOUND"):
                reveal(office, "name")

    def test_a_wrong_number_is_named_and_not_kept(self, office):
        with refused("FIELD_INVALID") as info:
            staff(office, phone="138abc")
        assert info.value.violations[0].field == "phone"

    def test_a_post_that_somebody_holds_cannot_end_and_who_leaves_frees_it(self, office):
        post(office, effective_on="2026-01-01")
        staff(office, post="P1", effective_on="2026-01-01")
        assert [one.code for one in office.call("ListStaff", pb.ListStaffRequest(post="P1")).staff] == ["R001"]
        with refused("STILL_IN_USE"):
            end(office, "EndPost", "P1", 1)
        end(office, "EndStaff", "R001", 1, effective_on=TODAY.isoformat())
        assert not office.call("ListStaff", pb.ListStaffRequest(unit=HALL)).staff
        past = office.call("ListStaff", pb.ListStaffRequest(unit=HALL, as_of="2026-02-01")).staff
        assert [one.name for one in past] == ["欧阳**"]

    def test_a_person_moves_to_another_unit_and_the_past_still_says_where_they_were(self, office):
        staff(office, effective_on="2026-01-01")
        staff(office, unit="341702-SFJ", effective_on="2026-06-01", expected_revision=1)
        assert office.call("GetStaff", pb.GetStaffRequest(code="R001", as_of="2026-05-31")).unit == HALL
        assert office.call("GetStaff", pb.GetStaffRequest(code="R001")).unit == "341702-SFJ"

    def test_the_demo_people_are_marked_and_come_once(self, office):
        assert seed_demo(office.db, TIER) == 12
        assert seed_demo(office.db, TIER) == 0
        posts = office.call("ListPosts", pb.ListPostsRequest()).posts
        assert all("演示" in one.title and one.code.startswith("DEMO-") for one in posts)
        assert reveal(office, "name", code="DEMO-001").name == "端木试一"


class TestCategories:
    def test_a_category_is_added_and_one_with_others_under_it_cannot_end(self, office):
        request = pb.UpsertCategoryRequest(
            request_id=uuid7(), code="X0305A", name="历史建筑", set=pb.CATEGORY_SET_PETITION, parent_code="X03"
        )
        assert office.call("UpsertCategory", request).parent_code == "X03"
        with refused("STILL_IN_USE"):
            end(office, "EndCategory", "X03", 1)
        assert end(office, "EndCategory", "X0301", 1).code == "X0301"


class TestVersions:
    def test_the_directory_is_changed_while_the_audit_is_sealed(self, office):
        """The sealer holds a lock of the database for as long as it runs; a change must not wait for the same one."""
        sealer = Sealer(office.db)
        sealer.start()
        try:
            assert office.change_unit("341702-SLJ").revision == 1
        finally:
            sealer.stop()

    def test_the_directory_is_sent_again_when_a_copy_was_lost(self, office):
        with office.db.transaction(a_keeper()) as tx:
            made = republish(SqlWork(tx, TIER), ["units"])
        assert made == {"units": 2}
        assert office.announced("units")[0].rows == 255
        assert office.versions("units")[0].origin == "republished"

    def test_after_a_restore_versions_are_ahead_of_all_that_copies_may_know(self, office):
        office.change_unit("341702-SLJ")
        deployment.renew(office.db, TIER)
        office.change_unit("341702-SLJ", name="贵池区水务局", expected_revision=1)
        office.change_unit("341702-SLJ", name="贵池区水利局", expected_revision=2)
        assert [event.version for event in office.announced("units")] == [2, 1002, 1003]

    def test_seeding_again_leaves_what_an_office_changed(self, office):
        office.change_unit(HALL, name="贵池区信访局(新)", kind=pb.UNIT_KIND_HALL, expected_revision=1,
                           presence=pb.PRESENCE_RESIDENT)  # fmt: skip
        assert seed(office.db, TIER) == 0
        assert office.unit(HALL).name == "贵池区信访局(新)"
        assert date.fromisoformat(office.unit(HALL).valid_from) == TODAY
