"""What the hall's events do, however often and in whatever order they come."""

from __future__ import annotations

from typing import Any

import pytest

from protos.mediation.v1 import events_pb2 as answers
from protos.mediation.v1 import mediation_pb2 as pb
from services.chassis.inbox import receive
from services.chassis.referral import ReferralState
from services.chassis.refusal import StaleEpoch
from services.mediation.tests.centre import (
    COMMAND,
    JUSTICE,
    TIER,
    TOWN,
    Centre,
    a_crossing,
    a_mediator,
    a_party,
    a_request,
    a_withdrawal,
    by_mail,
    refused,
)

READER = a_mediator(COMMAND, more="read_all")


class TestARequest:
    def test_it_opens_a_mediation_in_which_all_parties_are_asked(self, centre: Centre):
        request = a_request()
        centre.hear(request)
        found = centre.of(request)
        assert (found.state, found.unit, found.owner_epoch) == (pb.MEDIATION_STATE_APPLIED, JUSTICE, 3)
        assert [(p.id, p.side, p.consent) for p in found.parties] == [
            (p.id, p.side, pb.CONSENT_ASKED) for p in request.parties
        ]
        assert centre.kinds(found.id) == ["mediation.applied"]
        assert centre.referral(request.referral_id).state is ReferralState.SENT
        assert centre.told() == []

    def test_the_case_is_the_asking_tiers_until_all_agree_and_answers_go_there(self, centre: Centre):
        request = a_request()
        centre.hear(request, from_tier=TOWN)
        asked = centre.of(request)
        assert asked.owner_tier == TOWN
        assert centre.accept(asked).owner_tier == TIER
        assert centre.settle(asked.id).owner_tier == TOWN
        assert {(e.from_tier, e.to_tier) for e in centre.envelopes()} == {(TIER, TOWN)}

    def test_the_halls_clock_has_no_colour_until_the_hall_tells_one(self, centre: Centre):
        found = centre.open()
        assert (found.petition_due_on, found.petition_colour) == ("2026-12-31", "")

    def test_a_case_can_come_again_and_its_agreements_have_different_numbers(self, centre: Centre):
        first = a_request()
        centre.hear(first)
        centre.refuse(centre.of(first))
        again = a_request(petition_id=first.petition_id, case_number=first.case_number)
        centre.hear(again)
        opened = centre.of(again)
        centre.accept(opened)
        assert centre.settle(opened.id).agreement_no == f"{first.case_number}-2"

    def test_one_from_before_the_case_changed_hands_is_stale(self, centre: Centre):
        request = a_request()
        centre.hear(request)
        centre.fail(centre.accept(centre.of(request)).id)
        with pytest.raises(StaleEpoch):
            centre.hear(a_request(petition_id=request.petition_id, owner_epoch=request.owner_epoch))


class TestARequestThatCannotBeAsked:
    @pytest.mark.parametrize(
        ("parties", "reason"),
        [
            ([], "申请人信息不全,无法征询意愿"),
            (["respondent"], "申请人信息不全,无法征询意愿"),
            (["applicant"], "被申请人信息不全,无法征询意愿"),
        ],
    )
    def test_without_one_side_it_goes_back_at_once_and_nothing_is_accepted(
        self, centre: Centre, parties: list[str], reason: str
    ):
        request = a_request(parties=[a_party(side) for side in parties])
        centre.hear(request)
        centre.hear(request)
        found = centre.of(request)
        assert (found.state, found.reason, found.owner_epoch) == (pb.MEDIATION_STATE_REFUSED, reason, 3)
        (told,) = centre.announced(answers.MediationRefused)
        assert (told.reason, told.owner_epoch, told.referral_id) == (reason, 3, request.referral_id)
        assert centre.told() == ["MediationRefused"]
        referral = centre.referral(request.referral_id)
        assert (referral.state, referral.answer) == (ReferralState.REFUSED, reason)
        assert centre.kinds(found.id) == ["mediation.applied", "mediation.refused"]

    def test_a_complaint_against_the_centre_itself_goes_back(self, centre: Centre):
        centre.hear(a_request(accused_unit=JUSTICE))
        (told,) = centre.announced(answers.MediationRefused)
        assert "被检举控告" in told.reason


class TestAWithdrawal:
    def test_before_the_answer_the_request_is_given_back(self, centre: Centre):
        request = a_request()
        centre.hear(request)
        centre.hear(a_withdrawal(request))
        found = centre.of(request)
        assert (found.state, found.owner_epoch) == (pb.MEDIATION_STATE_WITHDRAWN, 3)
        (told,) = centre.announced(answers.MediationReturned)
        assert (told.referral_id, told.owner_epoch) == (request.referral_id, 3)
        assert centre.referral(request.referral_id).state is ReferralState.WITHDRAWN

    @pytest.mark.parametrize("answer", ["accept", "refuse"])
    def test_after_the_answer_the_answer_stands_and_the_timeline_says_so(self, centre: Centre, answer: str):
        request = a_request()
        centre.hear(request)
        answered = getattr(centre, answer)(centre.of(request))
        before = centre.told()
        centre.hear(a_withdrawal(request))
        now = centre.get(answered.id)
        assert (now.state, now.reason, now.owner_epoch) == (answered.state, answered.reason, answered.owner_epoch)
        assert centre.told() == before
        assert centre.kinds(now.id)[-1] == "mediation.withdrawal_late"

    def test_after_one_party_agreed_it_still_comes_in_time(self, centre: Centre):
        request = a_request()
        centre.hear(request)
        opened = centre.of(request)
        centre.answer(opened.id, opened.parties[0])
        centre.hear(a_withdrawal(request))
        assert centre.of(request).state == pb.MEDIATION_STATE_WITHDRAWN

    def test_of_an_unknown_request_is_refused(self, centre: Centre):
        with refused("NOT_FOUND"):
            centre.hear(a_withdrawal(a_request()))


class TestTheHallsClock:
    def test_its_colour_is_shown_while_the_mediation_is_open(self, centre: Centre):
        request = a_request()
        centre.hear(request)
        centre.hear(a_crossing(request, "amber"))
        assert centre.of(request).petition_colour == "amber"
        centre.hear(a_crossing(request, "red"))
        assert centre.of(request).petition_colour == "red"
        assert centre.kinds(centre.of(request).id)[-2:] == ["petition.clock_amber", "petition.clock_red"]

    def test_after_the_end_it_changes_nothing(self, centre: Centre):
        request = a_request()
        centre.hear(request)
        refused_one = centre.refuse(centre.of(request))
        centre.hear(a_crossing(request))
        assert centre.get(refused_one.id) == refused_one

    def test_of_a_petition_that_never_came_here_it_is_nobodys_concern(self, centre: Centre):
        centre.hear(a_crossing(a_request()))
        assert centre.told() == []


def a_story() -> list[Any]:
    """All that the hall says of one petition, in order."""
    request = a_request()
    return [request, a_crossing(request, "amber"), a_crossing(request, "red"), a_withdrawal(request)]


class TestRepetitionAndOrder:
    def test_every_event_twice_gives_the_same_end_as_once(self, centre: Centre):
        once, twice = a_story(), a_story()
        centre.hear(*once)
        for event in twice:
            centre.hear(event)
            centre.hear(event)
        first, second = centre.of(once[0]), centre.of(twice[0])
        assert end(first) == end(second)
        assert centre.kinds(first.id) == centre.kinds(second.id)
        assert centre.told() == ["MediationReturned"] * 2

    def test_a_late_withdrawal_twice_is_noted_once(self, centre: Centre):
        request = a_request()
        centre.hear(request)
        accepted = centre.accept(centre.of(request))
        centre.hear(a_withdrawal(request), a_withdrawal(request))
        assert centre.kinds(accepted.id).count("mediation.withdrawal_late") == 1

    def test_through_the_inbox_reverse_order_and_every_event_twice_give_the_same_end(self, centre: Centre):
        straight, reverse = a_story(), a_story()
        receive(centre.service, by_mail(*straight))
        assert centre.apply_all() == ["applied"] * 4
        for body in reversed(by_mail(*reverse)):
            receive(centre.service, [body, body])
            centre.apply_all()
        assert centre.apply_all() == ["applied"] * 8
        first, second = centre.of(straight[0]), centre.of(reverse[0])
        assert end(first) == end(second)
        assert centre.kinds(first.id) == centre.kinds(second.id)
        assert centre.told() == ["MediationReturned"] * 2

    def test_through_the_inbox_an_unknown_referral_is_a_recorded_outcome(self, centre: Centre):
        receive(centre.service, by_mail(a_withdrawal(a_request())))
        assert centre.apply_all() == ["refused"]

    def test_through_the_inbox_a_request_that_cannot_be_asked_is_applied_and_answered(self, centre: Centre):
        receive(centre.service, by_mail(a_request(parties=[])))
        assert centre.apply_all() == ["applied"]
        assert centre.told() == ["MediationRefused"]

    def test_the_officer_of_the_hall_stands_in_the_audit_as_the_one_acted_for(self, centre: Centre):
        receive(centre.service, by_mail(a_request()))
        centre.apply_all()
        (row,) = centre.audited("mediation.applied")
        assert (row.actor, row.on_behalf_of) == ("system:mediation", "clerk")


def end(mediation: pb.Mediation) -> pb.Mediation:
    """What two equal stories have in common."""
    same = pb.Mediation()
    same.CopyFrom(mediation)
    for field in ("id", "referral_id", "petition_id", "applied_at", "closed_at"):
        same.ClearField(field)
    for party in same.parties:
        party.ClearField("id")
    return same


def test_the_reader_above_sees_what_was_refused_against_the_centre(centre: Centre):
    request = a_request(accused_unit=JUSTICE)
    centre.hear(request)
    assert centre.find() == []
    with centre.as_(READER):
        assert centre.of(request).state == pb.MEDIATION_STATE_REFUSED
