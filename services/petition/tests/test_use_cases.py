"""What officers do, over a real database: what is written, what is refused, and that a refusal writes nothing."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta

import pytest
from sqlalchemy import func, select

from protos.petition.v1 import events_pb2 as events
from protos.petition.v1 import petition_pb2 as pb
from services.chassis import clock
from services.chassis.codes import normalise_public_code, parse_case_number
from services.chassis.deadline import Colour
from services.chassis.tables import metadata as chassis
from services.chassis.tables import outbox
from services.petition.adapters.tables import metadata, petition_persons, petitions
from services.petition.tests.hall import (
    ANSWERS,
    COMMAND,
    HALL,
    JUSTICE,
    LABOUR,
    NEIGHBOUR,
    TIER,
    a_registration,
    an_officer,
    days_ago,
    refused,
)

TODAY = days_ago(0)


def rows_of(hall):
    """How many rows every table holds, but for those of case numbers, where gaps are allowed."""
    numbering = {"number_blocks", "deployment"}
    tables = [*metadata.sorted_tables, *(t for t in chassis.sorted_tables if t.name not in numbering)]
    with hall.db.reading() as conn:
        return {table.name: conn.scalar(select(func.count()).select_from(table)) for table in tables}


def clock_of(petition, kind):
    return next(c for c in petition.clocks if c.kind == kind)


def test_a_registration_gives_a_case_number_a_public_code_and_the_fifteen_day_clock(hall):
    answer = hall.call("RegisterPetition", a_registration())
    petition = answer.petition
    number = parse_case_number(petition.case_number)
    assert (number.division, number.service, number.on.isoformat()) == ("341702102000", "X", TODAY)
    assert re.fullmatch(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]", answer.public_code)
    assert normalise_public_code(answer.public_code)
    assert petition.state == pb.PETITION_STATE_REGISTERED
    assert petition.petition_class == pb.PETITION_CLASS_CLAIM
    assert (petition.registered_unit, petition.received_on, petition.person_count) == (HALL, TODAY, 1)
    assert (petition.owner_service, petition.owner_tier, petition.origin_tier, petition.owner_epoch) == (
        "petition", TIER, TIER, 1)  # fmt: skip
    (accept,) = petition.clocks
    assert (accept.kind, accept.length, accept.unit, accept.colour) == ("accept", 15, "day", pb.COLOUR_GREEN)
    assert accept.title
    assert "22" in accept.source


def test_a_registration_is_remembered_by_timeline_audit_and_search_and_announces_nothing(hall):
    petition = hall.register()
    assert hall.kinds(petition.id) == ["petition.registered"]
    (row,) = hall.audited("petition.register")
    assert (row.actor, row.unit, row.subject_id) == ("clerk", HALL, petition.id)
    assert json.loads(row.details)["case_number"] == petition.case_number
    assert [p.id for p in hall.listed(text="界址")] == [petition.id]
    assert rows_of(hall)["outbox"] == 0


def test_the_answer_to_a_registration_is_what_is_read_afterwards(hall):
    assert hall.register() == hall.get(hall.listed()[0].id)


def test_the_public_code_itself_is_kept_nowhere(hall):
    code = hall.call("RegisterPetition", a_registration()).public_code
    with hall.db.reading() as conn:
        for table in (*metadata.sorted_tables, *chassis.sorted_tables):
            for row in conn.execute(select(table)):
                assert normalise_public_code(code) not in str(row)
                assert code not in str(row)


def test_the_clock_runs_from_the_day_of_receipt_however_late_it_is_written_down(hall):
    petition = hall.register(received_on=days_ago(20))
    assert clock_of(petition, "accept").started_on == days_ago(20)
    assert clock_of(petition, "accept").colour == pb.COLOUR_RED


def test_the_same_request_gives_the_first_answer_public_code_included(hall):
    request = a_registration()
    first, before = hall.call("RegisterPetition", request), rows_of(hall)
    assert hall.call("RegisterPetition", request) == first
    assert rows_of(hall) == before


def test_the_same_request_id_with_another_body_is_refused(hall):
    request = a_registration()
    hall.call("RegisterPetition", request)
    request.subject = "另一件事"
    with refused("REQUEST_ID_REUSED"):
        hall.call("RegisterPetition", request)


@pytest.mark.parametrize(
    ("over", "field"),
    [
        ({"division_code": "341702999999"}, "division_code"),
        ({"received_on": "2999-01-01"}, "received_on"),
        ({"received_on": "2026-02-30"}, "received_on"),
        ({"person_count": 1, "representatives": [{"name": "王小明"}, {"name": "李大河"}]}, "person_count"),
        ({"representatives": []}, "representatives"),
        ({"accused_unit": LABOUR}, "accused_unit"),
        ({"accused_unit": "NOBODY", "petition_class": pb.PETITION_CLASS_ACCUSATION}, "accused_unit"),
        ({"earlier_case_number": "1"}, "earlier_case_number"),
    ],
)
def test_a_wrong_registration_names_the_field_and_writes_nothing(hall, over, field):
    before = rows_of(hall)
    with refused("FIELD_INVALID") as info:
        hall.register(**over)
    assert field in [violation.field for violation in info.value.violations]
    assert rows_of(hall) == before


def test_six_representatives_are_refused_with_article_twenty(hall):
    with refused("FIELD_INVALID") as info:
        hall.register(representatives=[{"name": f"代表{number}"} for number in range(6)])
    assert "第二十条" in info.value.zh


def test_a_joint_visit_of_many_persons_has_few_representatives(hall):
    petition = hall.register(person_count=60, representatives=[{"name": "代表甲"}, {"name": "代表乙"}])
    assert (petition.person_count, len(petition.representatives)) == (60, 2)


@pytest.mark.parametrize("channel", [pb.CHANNEL_LETTER, pb.CHANNEL_PHONE, pb.CHANNEL_FAX, pb.CHANNEL_ONLINE])
def test_a_petition_that_is_no_visit_may_be_anonymous(hall, channel):
    assert hall.register(channel=channel, representatives=[]).person_count == 1


def test_nobody_registers_for_a_division_outside_of_their_scope(hall):
    with hall.as_(an_officer(scope="341702001")), refused("OUT_OF_SCOPE"):
        hall.register()


def test_nobody_registers_a_complaint_against_their_own_unit(hall):
    with refused("ACCUSED_UNIT"):
        hall.register(petition_class=pb.PETITION_CLASS_ACCUSATION, accused_unit=HALL)


def test_accepting_names_unit_and_officer_and_exchanges_the_clocks(hall):
    petition = hall.accept(hall.register(received_on=days_ago(3)).id)
    assert petition.state == pb.PETITION_STATE_ACCEPTED
    assert (petition.responsible_unit, petition.officer) == (HALL, "clerk")
    assert clock_of(petition, "accept").met_on == TODAY
    conclude = clock_of(petition, "conclude")
    assert (conclude.length, conclude.unit, conclude.started_on) == (60, "day", TODAY)
    assert hall.kinds(petition.id) == ["petition.registered", "petition.accepted"]
    assert hall.get(petition.id) == petition


def test_a_petition_may_be_handed_to_another_unit_which_then_sees_it(hall):
    petition = hall.accept(hall.register().id, LABOUR)
    with hall.as_(an_officer(LABOUR)):
        assert hall.get(petition.id).responsible_unit == LABOUR


@pytest.mark.parametrize(("unit", "reason"), [("NOBODY", "FIELD_INVALID"), (LABOUR, "ACCUSED_UNIT")])
def test_only_a_known_unit_that_is_not_complained_of_may_handle_it(hall, unit, reason):
    petition = hall.register(petition_class=pb.PETITION_CLASS_ACCUSATION, accused_unit=LABOUR)
    with refused(reason):
        hall.accept(petition.id, unit)
    assert hall.get(petition.id) == petition


def test_declining_names_the_lawful_route_and_meets_the_clock(hall):
    petition = hall.decline(hall.register().id)
    assert petition.state == pb.PETITION_STATE_DECLINED
    assert (petition.route, petition.reason) == (pb.ROUTE_JUDICIAL, "属于诉讼事项")
    assert clock_of(petition, "accept").met_on == TODAY


def test_voiding_keeps_the_registration_and_stops_its_clocks(hall):
    petition = hall.void(hall.accept(hall.register().id).id)
    assert petition.state == pb.PETITION_STATE_VOIDED
    assert clock_of(petition, "conclude").colour == pb.COLOUR_CANCELLED
    assert clock_of(petition, "accept").colour == pb.COLOUR_MET
    assert hall.get(petition.id) == petition


def test_concluding_gives_the_written_opinion_and_meets_the_sixty_days(hall):
    petition = hall.conclude(hall.accept(hall.register().id).id)
    assert petition.state == pb.PETITION_STATE_CONCLUDED
    assert petition.outcome == pb.OUTCOME_SUPPORTED
    assert petition.legal_basis == "民法典第二百八十八条"
    assert clock_of(petition, "conclude").met_on == TODAY


def test_a_settlement_is_not_concluded_by_hand(hall):
    petition = hall.accept(hall.register().id)
    with refused("FIELD_INVALID"):
        hall.conclude(petition.id, pb.OUTCOME_SETTLED)


def test_a_concluded_petition_is_evaluated_once(hall):
    petition = hall.conclude(hall.accept(hall.register().id).id)
    assert hall.evaluate(petition.id).satisfaction == pb.SATISFACTION_SATISFIED
    with refused("PETITION_STATE"):
        hall.evaluate(petition.id)


def test_a_move_that_is_not_drawn_is_refused_with_the_states_and_writes_nothing(hall):
    petition = hall.register()
    before = rows_of(hall)
    for deed in (hall.conclude, hall.evaluate, hall.refer, hall.withdraw):
        with refused("PETITION_STATE") as info:
            deed(petition.id)
        assert info.value.details["state"] == "REGISTERED"
        assert info.value.details["allowed_states"] in ("ACCEPTED", "CONCLUDED", "MEDIATING")
    assert rows_of(hall) == before


def test_referring_asks_the_mediation_centre_with_all_that_it_needs(hall):
    petition = hall.refer(hall.accept(hall.register().id).id)
    (event,) = hall.announced(events.MediationRequested)
    (referral,) = petition.referrals
    assert petition.state == pb.PETITION_STATE_MEDIATING
    assert (petition.owner_service, petition.owner_epoch) == ("petition", 1)
    assert (referral.id, referral.to_service) == (event.referral_id, "mediation")
    assert referral.state == pb.REFERRAL_STATE_SENT
    assert (event.petition_id, event.case_number, event.owner_epoch) == (petition.id, petition.case_number, 1)
    assert [(p.side, p.name) for p in event.parties] == [("applicant", "王小明"), ("respondent", "李大河")]
    assert event.parties[1].phone == NEIGHBOUR["phone"]
    assert (event.dispute_type, event.division_code, event.origin_tier) == ("邻里", petition.division_code, TIER)
    assert "13800001234" in event.content
    assert event.due_on == clock_of(petition, "conclude").due_on


def test_the_parties_of_a_referral_keep_their_ids(hall):
    hall.refer(hall.accept(hall.register().id).id)
    (event,) = hall.announced(events.MediationRequested)
    with hall.db.reading() as conn:
        kept = {row.id: row.name for row in conn.execute(select(petition_persons))}
    assert kept == {party.id: party.name for party in event.parties}


def test_the_clock_of_a_referred_petition_runs_on(hall):
    accepted = hall.accept(hall.register().id)
    assert clock_of(hall.refer(accepted.id), "conclude") == clock_of(accepted, "conclude")


def test_referring_twice_with_one_request_id_asks_once(hall):
    petition = hall.accept(hall.register().id)
    first = hall.refer(petition.id, request_id="018f6f2e-7c1a-7d3b-8a4e-0123456789ab")
    assert hall.refer(petition.id, request_id="018f6f2e-7c1a-7d3b-8a4e-0123456789ab") == first
    assert len(hall.announced(events.MediationRequested)) == 1


def test_one_referral_is_out_at_a_time(hall):
    petition = hall.refer(hall.accept(hall.register().id).id)
    with refused("PETITION_STATE"):
        hall.refer(petition.id)


def test_an_accusation_is_not_mediated(hall):
    petition = hall.accept(hall.register(petition_class=pb.PETITION_CLASS_ACCUSATION, accused_unit=LABOUR).id)
    with refused("ACCUSATION_NOT_REFERRED"):
        hall.refer(petition.id)
    assert hall.get(petition.id) == petition


def test_a_referral_is_asked_back_while_nobody_answered_and_the_case_waits_for_the_answer(hall):
    petition = hall.withdraw(hall.refer(hall.accept(hall.register().id).id).id)
    (event,) = hall.announced(events.MediationWithdrawn)
    assert petition.state == pb.PETITION_STATE_MEDIATING
    assert petition.referrals[0].state == pb.REFERRAL_STATE_WITHDRAWING
    assert (event.referral_id, event.petition_id, event.owner_epoch) == (petition.referrals[0].id, petition.id, 1)
    with refused("REFERRAL_STATE"):
        hall.withdraw(petition.id)


def test_revealing_shows_only_what_was_asked_for_and_remembers_who_looked_and_why(hall):
    petition = hall.register()
    shown = hall.reveal(petition.id, "phone", reason="回访王小明,号码 13800001234")
    assert [(p.name, p.phone, p.id_no) for p in shown.representatives] == [("", "13800001234", "")]
    assert shown.content == ""
    (row,) = hall.audited("petition.reveal")
    details = json.loads(row.details)
    assert details["fields"] == ["phone"]
    assert "王小明" not in row.details
    assert "13800001234" not in row.details
    last = hall.timeline(petition.id)[-1]
    assert last.kind == "petition.revealed"
    assert "13800001234" not in last.text + last.text_en


def test_revealing_everything_shows_what_was_typed(hall):
    shown = hall.reveal(hall.register().id, "name", "phone", "id_no", "address", "content")
    (person,) = shown.representatives
    assert (person.name, person.id_no) == ("王小明", "11010519491231002X")
    assert "13800001234" in shown.content


@pytest.mark.parametrize(
    ("fields", "reason"),
    [(["salary"], "核对来访人"), ([], "核对来访人"), (["name"], "看 ")],
)
def test_revealing_needs_known_fields_and_a_reason(hall, fields, reason):
    petition = hall.register()
    with refused("FIELD_INVALID"):
        hall.reveal(petition.id, *fields, reason=reason)
    assert not hall.audited("petition.reveal")


def test_a_person_is_found_by_phone_name_or_identity_number_however_it_was_typed(hall):
    petition = hall.register()
    hall.register(representatives=[{"name": "赵一帆", "phone": "13700000000"}], content="另一件事")
    for criterion in (
        {"phone": "+86 138-0000-1234"}, {"name": " 王 小明"}, {"id_no": "11010519491231002x"},
    ):  # fmt: skip
        assert [p.id for p in hall.find(**criterion)] == [petition.id]
    assert [json.loads(row.details)["criterion"] for row in hall.audited("petition.find")] == ["phone", "name", "id_no"]


def test_the_other_side_of_a_dispute_did_not_petition_and_is_not_found(hall):
    hall.refer(hall.accept(hall.register().id).id)
    assert hall.find(name="李大河") == []


@pytest.mark.parametrize("criterion", [{}, {"phone": "13800001234", "name": "王小明"}, {"id_no": "123"}])
def test_a_look_up_takes_exactly_one_well_formed_criterion(hall, criterion):
    with refused("FIELD_INVALID"):
        hall.find(**criterion)


def test_an_amber_clock_stands_on_the_timeline_and_tells_nobody_while_nothing_is_out(hall):
    petition = hall.register(received_on=days_ago(11))
    cross(hall, "accept", petition.id, Colour.AMBER)
    assert hall.kinds(petition.id)[-1] == "clock.amber"
    assert "黄灯" in hall.timeline(petition.id)[-1].text
    assert len(hall.audited("petition.clock_amber")) == 1
    assert hall.announced(events.PetitionClockCrossed) == []


def test_the_mediator_is_told_when_the_clock_of_a_referred_petition_turns(hall):
    petition = hall.refer(hall.accept(hall.register().id).id)
    cross(hall, "conclude", petition.id, Colour.RED)
    (event,) = hall.announced(events.PetitionClockCrossed)
    due_on = clock_of(petition, "conclude").due_on
    assert (event.petition_id, event.kind, event.colour, event.due_on) == (petition.id, "conclude", "red", due_on)


def cross(hall, kind, petition_id, colour):
    with hall.db.transaction() as tx:
        deadline = hall.office.work(tx).clocks.find(petition_id, kind)
        hall.service.on_crossing(tx, deadline, colour.value)


@pytest.mark.parametrize(
    "who",
    [an_officer(COMMAND), an_officer(scope="341702001"), an_officer(LABOUR), an_officer(LABOUR, more="read_all"),
     an_officer(scope="")],
)  # fmt: skip
def test_another_unit_another_scope_and_the_accused_unit_see_nothing(hall, who):
    petition = hall.register(petition_class=pb.PETITION_CLASS_ACCUSATION, accused_unit=LABOUR)
    with hall.as_(who):
        for deed in (hall.get, hall.timeline, hall.accept, hall.decline, hall.void, hall.refer, hall.withdraw,
                     hall.conclude, hall.evaluate, lambda key: hall.reveal(key, "name")):  # fmt: skip
            with refused("NOT_FOUND"):
                deed(petition.id)
        assert hall.listed() == []
        assert hall.find(name="王小明") == []
    assert hall.get(petition.id) == petition


def test_a_supervisor_sees_the_whole_subtree(hall):
    petition = hall.register()
    with hall.as_(an_officer(COMMAND, more="read_all")):
        assert hall.get(petition.id).id == petition.id
        assert [p.id for p in hall.listed()] == [petition.id]


def test_what_does_not_exist_is_not_found(hall):
    with refused("NOT_FOUND"):
        hall.get("018f6f2e-7c1a-7d3b-8a4e-0123456789ab")


def test_a_division_of_that_day_is_needed(hall):
    """341702007007 钱溪 stands in the table since 2022-10-31; 341702401200 流坡 ended the day before 2023-06-30."""
    with refused("FIELD_INVALID"):
        hall.register(division_code="341702007007", received_on="2022-10-30")
    assert hall.register(division_code="341702007007", received_on="2022-10-31").division_name == "钱溪居委会"
    assert hall.register(division_code="341702401200", received_on="2023-06-29").division_name == "流坡村委会"
    with refused("FIELD_INVALID"):
        hall.register(division_code="341702401200")


def test_a_case_tells_its_story_in_pages(hall):
    petition = hall.evaluate(hall.conclude(hall.accept(hall.register().id).id).id)
    seqs, token = [], ""
    while True:
        page = hall.call("ListTimeline", pb.ListTimelineRequest(id=petition.id, page_size=3, page_token=token))
        seqs += [entry.seq for entry in page.entries]
        token = page.next_page_token
        if not token:
            break
    assert seqs == [1, 2, 3, 4]


def test_legal_dates_are_shanghai_dates(hall):
    petition = hall.register()
    assert date.fromisoformat(petition.received_on) == clock.legal_date(clock.now())
    assert abs(petition.registered_at.ToDatetime(clock.now().tzinfo) - clock.now()) < timedelta(seconds=30)


def test_nothing_is_half_written_when_a_step_fails(hall, monkeypatch):
    before = rows_of(hall)
    monkeypatch.setattr("services.petition.adapters.store.audit.write", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        hall.register()
    assert rows_of(hall) == before


def test_a_withdrawal_of_a_referral_that_is_with_mediation_already_is_refused(hall):
    petition = hall.refer(hall.accept(hall.register().id).id)
    hall.hear(ANSWERS["accepted"](petition, 2))
    with refused("REFERRAL_STATE"):
        hall.withdraw(petition.id)
    assert hall.announced(events.MediationWithdrawn) == []
    assert JUSTICE not in hall.get(petition.id).responsible_unit
    with hall.db.reading() as conn:
        assert conn.scalar(select(petitions.c.state)) == "MEDIATING"
        assert conn.scalar(select(func.count()).select_from(outbox)) == 1
