"""What the mediation centre's answers do to a petition, also when they come late, twice, or out of turn."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from protos.link.v1.envelope_pb2 import Envelope
from protos.grid.v1.events_pb2 import DirectoryPublished
from protos.mediation.v1 import events_pb2 as mediation
from protos.petition.v1 import petition_pb2 as pb
from services.chassis import clock
from services.chassis.applier import Applier
from services.chassis.ids import uuid7
from services.chassis.inbox import receive
from services.chassis.tables import inbox, timeline
from services.petition.tests.hall import ANSWERS, TIER, an_answer, refused

EVENTS = (
    mediation.MediationAccepted, mediation.MediationRefused, mediation.MediationSettled, mediation.MediationFailed,
    mediation.MediationReturned, mediation.MediationClockCrossed,
)  # fmt: skip
# How a referral is closed, as (answer, epoch) in order.
CLOSED_BY = {
    "refused": [("refused", 1)],
    "returned": [("returned", 1)],
    "failed": [("accepted", 2), ("failed", 3)],
    "settled": [("accepted", 2), ("settled", 3)],
}


def referred(hall):
    return hall.refer(hall.accept(hall.register().id).id)


def hear(hall, petition, *answers):
    for name, epoch in answers:
        hall.hear(ANSWERS[name](petition, epoch))
    return hall.get(petition.id)


def test_petition_listens_to_everything_that_mediation_and_the_directory_announce(hall):
    announced = {event.DESCRIPTOR.full_name for event in (*EVENTS, DirectoryPublished)}
    assert hall.service.listeners.types() == announced


def test_acceptance_makes_the_mediation_centre_the_owner_and_the_clock_runs_on(hall):
    petition = referred(hall)
    after = hear(hall, petition, ("accepted", 2))
    assert after.state == pb.PETITION_STATE_MEDIATING
    assert (after.owner_service, after.owner_epoch) == ("mediation", 2)
    assert after.referrals[0].state == pb.REFERRAL_STATE_ACCEPTED
    assert list(after.clocks) == list(petition.clocks)
    assert hall.kinds(petition.id)[-1] == "mediation.accepted"
    assert hall.timeline(petition.id)[-1].actor == "system:petition"


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_refusal_gives_the_case_back_with_the_reason_on_the_same_clock(hall, epoch):
    petition = referred(hall)
    after = hear(hall, petition, ("refused", epoch))
    assert after.state == pb.PETITION_STATE_ACCEPTED
    assert (after.owner_service, after.owner_epoch) == ("petition", 1)
    assert after.referrals[0].state == pb.REFERRAL_STATE_REFUSED
    assert after.reason == "李**不同意调解"
    assert after.referrals[0].answer == "李**不同意调解"
    assert list(after.clocks) == list(petition.clocks)


def test_an_agreement_concludes_the_petition_and_meets_its_clock(hall):
    after = hear(hall, referred(hall), ("accepted", 2), ("settled", 3))
    assert (after.state, after.outcome) == (pb.PETITION_STATE_CONCLUDED, pb.OUTCOME_SETTLED)
    assert (after.owner_service, after.owner_epoch) == ("petition", 3)
    assert after.referrals[0].state == pb.REFERRAL_STATE_DONE
    assert "书面协议" in after.opinion
    assert "贵池-1" in after.opinion
    conclude = next(c for c in after.clocks if c.kind == "conclude")
    assert (conclude.colour, conclude.met_late) == (pb.COLOUR_MET, False)
    assert hall.evaluate(after.id).state == pb.PETITION_STATE_EVALUATED


def test_failure_gives_the_case_back_on_the_same_clock_and_it_may_be_referred_again(hall):
    petition = referred(hall)
    after = hear(hall, petition, ("accepted", 2), ("failed", 3))
    assert after.state == pb.PETITION_STATE_ACCEPTED
    assert (after.owner_service, after.owner_epoch) == ("petition", 3)
    assert after.referrals[0].state == pb.REFERRAL_STATE_DONE
    assert list(after.clocks) == list(petition.clocks)
    again = hear(hall, hall.refer(petition.id), ("accepted", 4), ("settled", 5))
    assert (again.state, again.owner_epoch) == (pb.PETITION_STATE_CONCLUDED, 5)


def test_a_case_that_mediation_owns_is_not_concluded_by_the_hall(hall):
    petition = hear(hall, referred(hall), ("accepted", 2))
    with refused("PETITION_STATE") as info:
        hall.conclude(petition.id)
    assert info.value.details == {"state": "MEDIATING", "allowed_states": "ACCEPTED"}


def test_a_withdrawn_request_that_comes_back_ends_the_referral(hall):
    petition = referred(hall)
    hall.withdraw(petition.id)
    after = hear(hall, petition, ("returned", 1))
    assert after.state == pb.PETITION_STATE_ACCEPTED
    assert after.referrals[0].state == pb.REFERRAL_STATE_WITHDRAWN


def test_an_acceptance_wins_over_a_withdrawal_on_its_way_and_the_timeline_says_so(hall):
    petition = referred(hall)
    hall.withdraw(petition.id)
    after = hear(hall, petition, ("accepted", 2))
    assert after.referrals[0].state == pb.REFERRAL_STATE_ACCEPTED
    assert after.owner_service == "mediation"
    assert "撤回请求未生效" in hall.timeline(petition.id)[-1].text


@pytest.mark.parametrize("closed", sorted(CLOSED_BY))
@pytest.mark.parametrize("late", sorted(ANSWERS))
def test_an_answer_to_a_closed_referral_changes_nothing_and_stands_on_the_timeline(hall, closed, late):
    petition = referred(hall)
    before = hear(hall, petition, *CLOSED_BY[closed])
    after = hear(hall, petition, (late, 1))
    assert after == before
    last = hall.timeline(petition.id)[-1]
    assert last.kind == "mediation.late_answer"
    assert "迟到的答复" in last.text
    assert "Late answer" in last.text_en


@pytest.mark.parametrize("epoch", [0, 1, 3, 9])
def test_an_acceptance_out_of_turn_is_held_and_changes_nothing(hall, epoch):
    petition = referred(hall)
    with refused("STALE_EPOCH"):
        hall.hear(ANSWERS["accepted"](petition, epoch))
    assert hall.get(petition.id) == petition


@pytest.mark.parametrize(("name", "epoch"), [("failed", 2), ("settled", 1), ("settled", 2), ("settled", 4)])
def test_an_end_out_of_turn_is_held_and_changes_nothing(hall, name, epoch):
    petition = referred(hall)
    before = hear(hall, petition, ("accepted", 2))
    with refused("STALE_EPOCH"):
        hall.hear(ANSWERS[name](petition, epoch))
    assert hall.get(petition.id) == before


@pytest.mark.parametrize(("name", "epoch"), [("refused", 0), ("refused", 7), ("returned", 3)])
def test_a_return_of_another_transfer_is_held(hall, name, epoch):
    petition = referred(hall)
    with refused("STALE_EPOCH"):
        hall.hear(ANSWERS[name](petition, epoch))
    assert hall.get(petition.id) == petition


def test_an_answer_about_an_unknown_petition_or_referral_is_a_recorded_refusal(hall):
    petition = referred(hall)
    stranger = an_answer(mediation.MediationAccepted, petition, 2)
    stranger.petition_id = uuid7()
    with refused("NOT_FOUND"):
        hall.hear(stranger)
    stranger.petition_id, stranger.referral_id = petition.id, uuid7()
    with refused("NOT_FOUND"):
        hall.hear(stranger)
    assert hall.get(petition.id) == petition


def test_an_answer_never_moves_another_petition(hall):
    one, other = referred(hall), referred(hall)
    crossed = an_answer(mediation.MediationAccepted, one, 2)
    crossed.petition_id = other.id
    with refused("NOT_FOUND"):
        hall.hear(crossed)
    assert hall.get(other.id) == other


def test_the_mediation_clock_stands_on_the_timeline(hall):
    petition = referred(hall)
    hall.hear(
        mediation.MediationClockCrossed(
            referral_id=petition.referrals[0].id, mediation_id="m", petition_id=petition.id, kind="mediate",
            colour="amber", due_on="2026-12-24",
        )
    )  # fmt: skip
    last = hall.timeline(petition.id)[-1]
    assert last.kind == "mediation.clock_amber"
    assert "2026-12-24" in last.text


def test_names_in_an_answer_are_masked_on_the_timeline(hall):
    petition = referred(hall)
    hear(hall, petition, ("refused", 1))
    assert "李**不同意调解" in hall.timeline(petition.id)[-1].text


def test_the_timeline_keeps_no_name_of_the_case_even_inside_of_the_database(hall):
    petition = referred(hall)
    hall.withdraw(petition.id)
    hear(hall, petition, ("refused", 1), ("failed", 1))
    hall.reveal(petition.id, "name", reason="回访王小明和李大河")
    with hall.db.reading() as conn:
        kept = " ".join(row.text_zh + row.text_en for row in conn.execute(select(timeline)))
    assert "李**" in kept
    assert "王小明" not in kept
    assert "李大河" not in kept


def test_a_name_that_becomes_known_later_is_masked_on_older_lines_too(hall):
    petition = hall.refer(hall.accept(hall.register().id).id, respondents=[{"name": "赵一帆"}])
    hear(hall, petition, ("refused", 1))
    assert "李大河" in hall.timeline(petition.id)[-1].text
    hall.refer(petition.id)
    assert "李大河" not in " ".join(entry.text + entry.text_en for entry in hall.timeline(petition.id))


def test_the_same_acceptance_again_changes_nothing(hall):
    petition = referred(hall)
    before = hear(hall, petition, ("accepted", 2))
    assert hear(hall, petition, ("accepted", 2)) == before


@pytest.mark.parametrize("story", sorted(CLOSED_BY))
def test_every_event_delivered_twice_is_applied_once(hall, story):
    petition = referred(hall)
    bodies = [
        envelope(ANSWERS[name](petition, epoch), seq) for seq, (name, epoch) in enumerate(CLOSED_BY[story], start=1)
    ]
    receive(hall.service, bodies + bodies)
    applier = Applier(hall.service)
    while applier.apply_waiting():
        pass
    after, told = hall.get(petition.id), hall.kinds(petition.id)
    receive(hall.service, bodies)
    while applier.apply_waiting():
        pass
    assert hall.get(petition.id) == after
    assert hall.kinds(petition.id) == told
    assert told[3:] == [f"mediation.{name}" for name, _ in CLOSED_BY[story]]
    with hall.db.reading() as conn:
        assert {row.outcome for row in conn.execute(select(inbox))} == {"applied"}


def envelope(event, seq):
    sent = Envelope(
        id=uuid7(), source="mediation", type=event.DESCRIPTOR.full_name, from_tier=TIER, to_tier=TIER,
        to_service="petition", aggregate_type="mediation", aggregate_id=event.mediation_id, seq=seq, schema_version=1,
        data=event.SerializeToString(),
    )  # fmt: skip
    sent.time.FromDatetime(clock.now())
    return sent.SerializeToString()
