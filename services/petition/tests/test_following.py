"""Following a case by public code: what is shown, what needs a proof, and when the door closes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from protos.petition.v1 import following_pb2 as pb
from protos.petition.v1 import petition_pb2 as petition_pb
from services.chassis import clock
from services.chassis.codes import CROCKFORD, display_public_code, new_public_code
from services.chassis.ids import uuid7
from services.chassis.refusal import AlreadyExists, Exhausted, IllegalMove, Invalid, NotFound
from services.petition.tests.citizen import DIGITS, Door, a_filing
from services.petition.tests.hall import (
    ANSWERS,
    COMMAND,
    HALL,
    LABOUR,
    NEIGHBOUR,
    PETITIONER,
    TIER,
    TOWN,
    a_registration,
    an_officer,
    days_ago,
    refused,
)

NOON = datetime(2026, 11, 24, 4, tzinfo=UTC)
SECRETS = [*PETITIONER.values(), *NEIGHBOUR.values(), "宅基地", "越界砌墙", "clerk"]


@pytest.fixture
def door(hall):
    """The open door of the hall."""
    opened = Door(hall)
    yield opened
    opened.watch.stop()


@pytest.fixture
def at(monkeypatch):
    """Sets the clock."""

    def set_to(moment: datetime) -> datetime:
        monkeypatch.setattr(clock, "now", lambda: moment)
        return moment

    return set_to


def another_code(code: str) -> str:
    """A well-formed code that nobody has."""
    while (made := display_public_code(new_public_code())) == code:
        pass
    return made


class TestTrack:
    def test_a_code_shows_stage_office_and_clock(self, door):
        _, code = door.registered(received_on=days_ago(0))
        shown = door.track(code)
        assert shown.stage == "已登记,正在审查是否受理"
        assert shown.office.title == "贵池区信访局"
        assert (shown.clock.length, shown.clock.unit, shown.clock.colour) == (15, "day", petition_pb.COLOUR_GREEN)
        assert shown.clock.due_on in shown.clock.text
        assert "15 日" in shown.clock.text
        assert [step.text for step in shown.steps] == ["已登记"]
        assert [one.step for one in shown.next] == [pb.NEXT_STEP_WAIT, pb.NEXT_STEP_ADD_MATERIAL]

    def test_nothing_of_persons_papers_or_officers_is_shown_by_the_code_alone(self, door):
        petition, code = door.registered()
        door.conclude(petition.id)
        shown = str(door.track(code))
        assert not [secret for secret in [*SECRETS, "已责令拆除", petition.case_number] if secret in shown]

    @pytest.mark.parametrize(
        "typed",
        [
            str.lower,
            lambda code: code.replace("-", " "),
            lambda code: code.replace("-", ""),
            lambda code: code.replace("0", "O").replace("1", "l"),
        ],
    )
    def test_a_code_may_be_typed_as_people_type(self, door, typed):
        _, code = door.registered()
        assert door.track(typed(code)).stage

    def test_the_case_is_followed_from_step_to_step(self, door):
        hall = door.hall
        petition, code = door.registered()
        hall.accept(petition.id)
        assert door.track(code).stage == "已受理,正在办理"
        assert door.track(code).clock.length == 60
        referred = hall.refer(petition.id)
        assert door.track(code).stage == "已转人民调解,正在征求各方意见"
        hall.hear(ANSWERS["accepted"](referred, 2))
        assert (door.track(code).stage, door.track(code).office.title) == ("正在调解", "贵池区司法局")
        hall.hear(ANSWERS["settled"](referred, 3))
        shown = door.track(code)
        assert shown.stage == "已达成调解协议,已办结,请评价"
        assert not shown.HasField("clock")
        assert [step.text for step in shown.steps] == [
            "已登记", "已受理", "已转人民调解", "各方同意,调解开始", "已达成调解协议,办结"
        ]  # fmt: skip

    def test_another_unit_that_handles_the_case_is_named(self, door):
        petition, code = door.registered()
        door.hall.accept(petition.id, LABOUR)
        assert door.track(code).office.title == "贵池区人力资源和社会保障局"

    def test_a_written_answer_opens_the_way_to_a_review_for_thirty_days(self, door, at):
        at(NOON)
        petition, code = door.registered()
        door.conclude(petition.id)
        steps = {one.step: one for one in door.track(code).next}
        assert set(steps) == {pb.NEXT_STEP_READ_DOCUMENTS, pb.NEXT_STEP_EVALUATE, pb.NEXT_STEP_ASK_REVIEW}
        assert steps[pb.NEXT_STEP_ASK_REVIEW].until == "2026-12-24"
        assert steps[pb.NEXT_STEP_EVALUATE].needs_proof

    def test_who_is_declined_is_told_of_the_lawful_route(self, door):
        petition, code = door.registered()
        door.hall.decline(petition.id)
        shown = door.track(code)
        assert shown.stage.startswith("不予受理")
        assert pb.NEXT_STEP_LAWFUL_ROUTE in [one.step for one in shown.next]
        assert "属于诉讼事项" not in str(shown)

    def test_a_voided_registration_says_so(self, door):
        petition, code = door.registered()
        door.hall.void(petition.id)
        shown = door.track(code)
        assert "已作废" in shown.stage
        assert not shown.HasField("clock")

    def test_a_clock_that_has_run_out_says_so(self, door):
        _, code = door.registered(received_on=days_ago(40))
        shown = door.track(code)
        assert shown.clock.colour == petition_pb.COLOUR_RED
        assert "已超过期限" in shown.clock.text


class TestAccusation:
    @pytest.fixture
    def accusation(self, door):
        return door.registered(petition_class=petition_pb.PETITION_CLASS_ACCUSATION, accused_unit=LABOUR)

    def test_of_an_accusation_only_that_it_is_handled_is_shown(self, door, accusation):
        petition, code = accusation
        door.hall.accept(petition.id, COMMAND)
        shown = door.track(code)
        assert shown.stage == "已收到,正在依法办理"
        assert shown.office.title == "贵池区信访局"
        assert shown.state == petition_pb.PETITION_STATE_REGISTERED
        assert [step.text for step in shown.steps] == ["已登记"]

    def test_its_result_is_given_at_the_hall_alone(self, door, accusation):
        petition, code = accusation
        door.conclude(petition.id)
        assert door.track(code).stage == "已办理完毕,请到窗口查询结果"
        with pytest.raises(IllegalMove) as told:
            door.documents(code)
        assert told.value.reason == "HALL_ONLY"


class TestFailures:
    def test_a_typing_error_is_told_and_costs_nothing(self, door):
        _, code = door.registered()
        wrong = code[:-1] + CROCKFORD[(CROCKFORD.index(code[-1]) + 1) % 32]
        for typed in [wrong, "ABC", code + "7"] * 5:
            with pytest.raises(Invalid) as told:
                door.track(typed)
            assert typed not in told.value.message
        assert door.track(code).stage

    def test_after_ten_failures_the_door_is_closed_to_this_source_for_an_hour(self, door, at):
        _, code = door.registered()
        now = at(NOON)
        for minute in range(10):
            at(NOON + timedelta(minutes=minute))
            with pytest.raises(NotFound):
                door.track(another_code(code))
        for right_or_wrong in (another_code(code), code):
            with pytest.raises(Exhausted) as told:
                door.track(right_or_wrong)
        assert told.value.reason == "TRACK_CLOSED"
        assert int(told.value.details["retry_after_s"]) == 51 * 60
        assert door.track(code, source="10.1.1.2").stage
        at(now + timedelta(minutes=59, seconds=59))
        with pytest.raises(Exhausted):
            door.track(code)
        # The first of the ten is an hour old: one try is free again.
        at(now + timedelta(hours=1))
        assert door.track(code).stage
        with pytest.raises(NotFound):
            door.track(another_code(code))
        with pytest.raises(Exhausted):
            door.track(code)

    def test_a_wrong_proof_counts_like_an_unknown_code_and_sounds_alike(self, door):
        _, code = door.registered()
        said = set()
        for _ in range(5):
            for typed, proof in ((code, "0000"), (another_code(code), DIGITS)):
                with pytest.raises(NotFound) as told:
                    door.documents(typed, proof)
                said.add((told.value.reason, told.value.message))
        assert len(said) == 1
        with pytest.raises(Exhausted):
            door.documents(code)

    def test_guesses_at_one_case_from_many_sources_close_its_proof(self, door):
        petition, code = door.registered()
        for number in range(30):
            with pytest.raises(NotFound):
                door.documents(code, "0000", source=f"10.2.0.{number}")
        with pytest.raises(Exhausted) as told:
            door.documents(code, source="10.3.0.1")
        assert told.value.reason == "PROOF_CLOSED"
        assert door.track(code, source="10.3.0.1").stage

    def test_neither_address_nor_code_is_kept(self, door):
        _, code = door.registered()
        with pytest.raises(NotFound):
            door.track(another_code(code), source="203.0.113.77")
        with door.hall.db.reading() as conn:
            kept = [str(row) for row in conn.exec_driver_sql("SELECT * FROM attempts")]
        assert len(kept) == 1
        assert "203.0.113.77" not in kept[0]
        assert code not in kept[0]


class TestProof:
    def test_the_phones_last_digits_open_the_written_answer(self, door):
        petition, code = door.registered()
        door.conclude(petition.id)
        shown = door.documents(code)
        (paper,) = shown.documents
        assert (paper.title, paper.outcome) == ("信访处理意见书", petition_pb.OUTCOME_SUPPORTED)
        assert "已责令拆除" in paper.content
        assert "13900005678" not in str(shown)
        assert shown.case_number == petition.case_number

    def test_the_other_sides_phone_opens_nothing(self, door):
        petition, code = door.registered()
        door.hall.accept(petition.id)
        door.hall.refer(petition.id)
        with pytest.raises(NotFound):
            door.documents(code, NEIGHBOUR["phone"][-4:])

    def test_without_phone_and_pin_no_proof_is_right(self, door):
        _, code = door.registered(representatives=[], channel=petition_pb.CHANNEL_LETTER)
        for proof in ("0000", "1234"):
            with pytest.raises(NotFound):
                door.documents(code, proof)

    def test_the_petitioner_evaluates_once(self, door):
        petition, code = door.registered()
        request = pb.EvaluateByCodeRequest(
            public_code=code, proof=DIGITS, satisfaction=petition_pb.SATISFACTION_SATISFIED, comment="王小明:很快"
        )
        with pytest.raises(IllegalMove):
            door.call("EvaluateByCode", request)
        door.conclude(petition.id)
        assert door.call("EvaluateByCode", request).stage == "已办结,已收到您的评价"
        with pytest.raises(IllegalMove):
            door.call("EvaluateByCode", request)
        seen = door.hall.get(petition.id)
        assert seen.satisfaction == petition_pb.SATISFACTION_SATISFIED
        assert seen.evaluation_comment == "王**:很快"

    def test_the_petitioner_adds_facts_and_the_office_reads_them_masked(self, door):
        petition, code = door.registered()
        request = pb.AddMaterialByCodeRequest(
            public_code=code, proof=DIGITS, request_id=uuid7(), content="王小明补充:李某电话 13900005678"
        )
        first = door.call("AddMaterialByCode", request)
        assert first.steps[-1].text == "已收到您补充的材料"
        assert door.call("AddMaterialByCode", request) == first
        (kept,) = door.clerk("ListMaterials", pb.ListMaterialsRequest(id=petition.id)).materials
        assert kept.content == "王**补充:李某电话 139****5678"

    def test_further_facts_are_listed_newest_first_in_pages_and_only_to_who_sees_the_case(self, door):
        petition, code = door.registered()
        for number in range(3):
            add(door, code, f"补充 {number}")
        found, token = [], ""
        while True:
            page = door.clerk("ListMaterials", pb.ListMaterialsRequest(id=petition.id, page_size=2, page_token=token))
            found += [one.content for one in page.materials]
            token = page.next_page_token
            if not token:
                break
        assert found == ["补充 2", "补充 1", "补充 0"]
        with door.hall.as_(an_officer(COMMAND)), pytest.raises(NotFound):
            door.clerk("ListMaterials", pb.ListMaterialsRequest(id=petition.id))

    def test_a_closed_case_takes_no_further_facts_and_an_open_one_ten_a_day(self, door):
        petition, code = door.registered()
        for number in range(10):
            add(door, code, f"补充 {number}")
        with pytest.raises(Exhausted):
            add(door, code, "再补充")
        door.conclude(petition.id)
        with pytest.raises(IllegalMove):
            add(door, code, "又补充")


def add(door, code, content):
    request = pb.AddMaterialByCodeRequest(public_code=code, proof=DIGITS, request_id=uuid7(), content=content)
    return door.call("AddMaterialByCode", request)


class TestFiling:
    def test_a_citizen_files_without_an_account_and_the_hall_of_the_tier_registers_it(self, door):
        answer = door.file()
        assert door.track(answer.public_code).stage == "已登记,正在审查是否受理"
        assert answer.clock.length == 15
        assert "个人信息保护法" in answer.notice
        (petition,) = door.hall.call("ListPetitions", petition_pb.ListPetitionsRequest()).petitions
        assert petition.case_number == answer.case_number
        assert petition.channel == petition_pb.CHANNEL_ONLINE
        assert petition.registered_unit == HALL
        (entry, *_) = door.hall.call("ListTimeline", petition_pb.ListTimelineRequest(id=petition.id)).entries
        assert (entry.actor, entry.unit) == ("public", HALL)

    def test_repeating_it_gives_the_first_answer_code_included(self, door):
        request = a_filing()
        first = door.call("FilePetitionOnline", request)
        assert door.call("FilePetitionOnline", request, source="10.9.9.9") == first
        request.subject = "别的"
        with pytest.raises(AlreadyExists):
            door.call("FilePetitionOnline", request)

    @pytest.mark.parametrize(
        ("over", "field"),
        [
            ({"notice_read": False}, "notice_read"),
            ({"representatives": []}, "representatives"),
            ({"representatives": [{"name": "王小明"}]}, "representatives[0].phone"),
            ({"representatives": [{"phone": "13800001234"}]}, "representatives[0].name"),
            ({"website": "http://spam"}, "website"),
            ({"division_code": "341702999999"}, "division_code"),
            ({"division_code": "110101001000"}, "division_code"),
            ({"accused_unit": HALL, "petition_class": petition_pb.PETITION_CLASS_ACCUSATION}, "accused_unit"),
            ({"accused_unit": "none"}, "accused_unit"),
        ],
    )
    def test_what_is_wrong_names_the_field_and_writes_nothing(self, door, over, field):
        with pytest.raises(Invalid) as told:
            door.file(**over)
        assert field in [one.field for one in told.value.violations]
        assert not door.hall.call("ListPetitions", petition_pb.ListPetitionsRequest()).petitions

    def test_a_suggestion_may_be_without_name_and_is_followed_with_a_pin(self, door):
        answer = door.file(representatives=[], petition_class=petition_pb.PETITION_CLASS_SUGGESTION, pin="246813")
        assert door.documents(answer.public_code, "246813").case_number == answer.case_number
        with pytest.raises(NotFound):
            door.documents(answer.public_code, "246814")

    def test_one_source_files_five_times_an_hour_and_twenty_a_day(self, door, at):
        request = a_filing()
        at(NOON)
        first = door.call("FilePetitionOnline", request)
        for _ in range(4):
            door.file()
        with pytest.raises(Exhausted) as told:
            door.file()
        assert told.value.details["retry_after_s"] == "3600"
        # A repeat is no new filing, and another source is another.
        assert door.call("FilePetitionOnline", request) == first
        assert door.file(source="10.1.1.2").case_number
        for hour in range(1, 4):
            at(NOON + timedelta(hours=hour))
            for _ in range(5):
                door.file()
        at(NOON + timedelta(hours=4))
        with pytest.raises(Exhausted):
            door.file()
        at(NOON + timedelta(hours=24))
        assert door.file().case_number

    def test_the_limits_are_settings(self, hall):
        door = Door(hall, filings_per_hour=1)
        door.file()
        with pytest.raises(Exhausted):
            door.file()


    def test_the_form_offers_the_divisions_that_this_tier_serves(self, door):
        found, token = [], ""
        while True:
            page = door.call("ListFilingDivisions", pb.ListFilingDivisionsRequest(page_size=100, page_token=token))
            found += page.divisions
            token = page.next_page_token
            if not token:
                break
        assert len(found) > 240
        assert [one.code for one in found] == sorted({one.code for one in found})
        towns = door.call("ListFilingDivisions", pb.ListFilingDivisionsRequest(parent_code=TIER)).divisions
        assert {one.parent_code for one in towns} == {TIER}
        assert TOWN in [one.code for one in towns]


class TestReissue:
    def request(self, petition_id, **over):
        values = {"id": petition_id, "request_id": uuid7(), "reason": "回执遗失", "identity_checked": pb.IDENTITY_CHECK_ID_CARD}
        return pb.ReissueCodeRequest(**{**values, **over})

    def test_a_new_code_ends_the_old_one_and_the_case_remembers_what_was_checked(self, door):
        petition, old = door.registered()
        request = self.request(petition.id, reason="王小明遗失回执")
        new = door.clerk("ReissueCode", request).public_code
        assert new != old
        assert door.track(new).stage
        with pytest.raises(NotFound):
            door.track(old)
        assert door.clerk("ReissueCode", request).public_code == new
        entries = door.hall.call("ListTimeline", petition_pb.ListTimelineRequest(id=petition.id)).entries
        assert entries[-1].text == "已换发查询码(第 1 次),已核对居民身份证,理由:王**遗失回执"
        (row,) = door.hall.audited("petition.reissue_code")
        assert new not in str(row)
        assert "ID_CARD" in row.details

    def test_a_pin_may_be_chosen_with_it(self, door):
        petition, _ = door.registered(representatives=[], channel=petition_pb.CHANNEL_LETTER)
        code = door.clerk("ReissueCode", self.request(petition.id, pin="8642")).public_code
        assert door.documents(code, "8642").case_number

    def test_only_who_sees_the_case_gives_out_its_code(self, door):
        petition, code = door.registered()
        with door.hall.as_(an_officer(COMMAND)), pytest.raises(NotFound):
            door.clerk("ReissueCode", self.request(petition.id))
        assert door.track(code).stage


def test_every_kind_of_step_that_the_hall_writes_is_public_or_meant_not_to_be(door):
    from services.petition.domain.public_page import STEPS

    assert {kind.partition(".")[0] for kind in STEPS} == {"petition", "mediation", "clock"}
    with refused("FIELD_INVALID"):
        door.clerk("PrintSlip", pb.PrintSlipRequest(id=door.registered()[0].id, public_code=a_registration().request_id))
