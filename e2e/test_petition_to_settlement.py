"""A neighbours' quarrel, from the first visit to the rating, on every bus and every database."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from e2e.conftest import LOCAL_SQLITE, RABBIT_POSTGRES, SHAPES, on
from e2e.post import announced, count, crafted, deliver, next_seq
from e2e.refusals import assert_refused
from e2e.story import MEDIATION, Json, Story
from e2e.system import SERVICES, TIER, System, eventually
from protos.mediation.v1.events_pb2 import MediationAccepted
from services.chassis.database import Database
from services.chassis.tables import held, inbox

pytestmark = pytest.mark.e2e

HALL_LINES = [
    "petition.registered", "petition.accepted",
    "petition.referred", "mediation.refused",
    "petition.referred", "mediation.accepted", "mediation.settled",
    "petition.evaluated",
]  # fmt: skip


@on(*SHAPES)
def test_refused_once_then_settled(district: System) -> None:
    story = Story(district)
    clock = refused_once(story)
    settled_at_last(story, clock)
    a_late_answer_changes_nothing(story)
    old_mail_changes_nothing(story)


def refused_once(story: Story) -> Json:
    """Accepted, referred, refused by one party: back in the hall, on the clock that has been running all the time."""
    registered = story.filed().petition()
    assert registered["state"] == "PETITION_STATE_REGISTERED"
    assert [(c["kind"], c["colour"]) for c in registered["clocks"]] == [("accept", "COLOUR_GREEN")]
    accepted = story.accept()
    clock = story.clock("conclude")
    assert (clock["colour"], clock["length"], clock["unit"]) == ("COLOUR_GREEN", 60, "day")
    assert story.clock("accept")["colour"] == "COLOUR_MET"
    referred = story.refer()
    assert (referred["state"], referred["owner_epoch"]) == ("PETITION_STATE_MEDIATING", accepted["owner_epoch"])
    first = story.mediation()
    assert (first["state"], first["petition_due_on"]) == ("MEDIATION_STATE_APPLIED", clock["due_on"])
    assert story.one_refuses()["state"] == "MEDIATION_STATE_REFUSED"
    back = story.becomes("ACCEPTED", owner_epoch=1, owner_service="petition")
    assert back["referrals"][0]["state"] == "REFERRAL_STATE_REFUSED"
    assert "不愿与" in back["referrals"][0]["answer"]
    assert story.clock("conclude") == clock
    return clock


def settled_at_last(story: Story, clock: Json) -> None:
    """Referred again, all agree, settled: concluded on the same clock, and rated. The case changed hands twice."""
    story.refer()
    assert story.mediation()["case_number"] == story.petition()["case_number"]
    assert story.consent_all()["state"] == "MEDIATION_STATE_MEDIATING"
    handed_over = story.becomes("MEDIATING", owner_epoch=2, owner_service="mediation")
    assert [r["state"] for r in handed_over["referrals"]] == ["REFERRAL_STATE_REFUSED", "REFERRAL_STATE_ACCEPTED"]
    running = story.clock("conclude")
    assert running == clock
    (own_clock,) = story.mediation()["clocks"]
    assert (own_clock["kind"], own_clock["colour"], own_clock["length"]) == ("mediate", "green", 30)
    assert story.settle()["state"] == "MEDIATION_STATE_SETTLED"
    concluded = story.becomes("CONCLUDED", owner_epoch=3, owner_service="petition", outcome="OUTCOME_SETTLED")
    assert story.mediation()["agreement_no"] in concluded["opinion"]
    met = story.clock("conclude")
    assert (met["id"], met["due_on"], met["started_on"]) == (clock["id"], clock["due_on"], clock["started_on"])
    assert (met["colour"], met.get("met_late", False)) == ("COLOUR_MET", False)
    assert story.mediation()["clocks"][0]["colour"] == "met"
    assert story.evaluate()["state"] == "PETITION_STATE_EVALUATED"
    the_timelines_read_right(story)


def the_timelines_read_right(story: Story) -> None:
    """Both sides tell the same story, each line in its place and with who did it."""
    lines = story.timeline()
    assert [line["kind"] for line in lines] == HALL_LINES
    assert [int(line["seq"]) for line in lines] == list(range(1, len(lines) + 1))
    assert all(line["text"] and line["text_en"] for line in lines)
    by_mediation = {line["actor"] for line in lines if line["kind"].startswith("mediation.")}
    assert (by_mediation, lines[0]["actor"]) == ({"system:petition"}, "demo")
    first, second = story.mediations()
    assert story.mediation_kinds(first["id"]) == ["mediation.applied", "mediation.refused"]
    assert story.mediation_kinds(second["id"]) == [
        "mediation.applied", "mediation.consent", "mediation.accepted", "mediation.settled",
    ]  # fmt: skip
    assert second["unit"] == MEDIATION


def a_late_answer_changes_nothing(story: Story) -> None:
    """The mediation centre answers the first referral once more, long after it was closed: written down, no more."""
    first, before = story.mediations()[0], story.petition()
    late = MediationAccepted(
        referral_id=first["referral_id"], mediation_id=first["id"], petition_id=story.id, owner_epoch=2
    )
    db = Database(story.system.settings.database_url_of("petition"))
    body = crafted(late, "mediation", TIER, first["id"], next_seq(db, "mediation", first["id"]))
    db.close()
    deliver(story.system, "petition", [body])
    assert story.told("mediation.late_answer") == [*HALL_LINES, "mediation.late_answer"]
    assert story.petition() == before


def old_mail_changes_nothing(story: Story) -> None:
    """Everything that was ever sent about the case comes again, twice and backwards."""
    before = story.petition(), story.timeline(), story.mediations()
    subjects = [story.id, *(m["id"] for m in story.mediations())]
    for sender, receiver in (("petition", "mediation"), ("mediation", "petition")):
        sent = Database(story.system.settings.database_url_of(sender))
        old = announced(sent, *subjects)
        assert len(old) >= 2
        deliver(story.system, receiver, [*reversed(old), *reversed(old)])
        sent.close()
    # A fresh event on each way says that everything before it was taken.
    marker = Story(story.system, story.typed).referred()
    marker.one_refuses()
    marker.becomes("ACCEPTED")
    assert (story.petition(), story.timeline(), story.mediations()) == before
    for name in SERVICES:
        assert count(story.system, name, select(func.count()).where(held.c.state == "held")) == 0
        waiting = select(func.count()).where(inbox.c.applied_at.is_(None))
        eventually(lambda: count(story.system, name, waiting) == 0, "the inbox is empty")  # noqa: B023 - called at once


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_a_referral_that_nobody_answered_is_taken_back(district: System) -> None:
    story = Story(district).referred()
    clock = story.clock("conclude")
    story.withdraw()
    back = story.becomes("ACCEPTED", owner_epoch=1)
    assert back["referrals"][0]["state"] == "REFERRAL_STATE_WITHDRAWN"
    (mediation,) = story.mediations()
    assert mediation["state"] == "MEDIATION_STATE_WITHDRAWN"
    assert story.mediation_kinds(mediation["id"]) == ["mediation.applied", "mediation.withdrawn"]
    assert story.kinds()[2:] == ["petition.referred", "petition.withdrawal_asked", "mediation.returned"]
    assert story.clock("conclude") == clock
    assert story.conclude()["state"] == "PETITION_STATE_CONCLUDED"
    assert story.clock("conclude")["colour"] == "COLOUR_MET"


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_a_referral_that_was_accepted_cannot_be_taken_back(district: System) -> None:
    story = Story(district).referred()
    story.consent_all()
    before = story.becomes("MEDIATING", owner_epoch=2)
    answer = district.call("POST", f"/v1/petitions/{story.id}:withdrawReferral", {"reason": "太迟了的撤回"})
    assert_refused(answer, 409, "REFERRAL_STATE")
    assert story.petition() == before
    story.fail()
    back = story.becomes("ACCEPTED", owner_epoch=3, owner_service="petition")
    assert back["referrals"][0]["state"] == "REFERRAL_STATE_DONE"
    assert story.clock("conclude")["colour"] == "COLOUR_GREEN"


@on(RABBIT_POSTGRES)
def test_an_acceptance_on_its_way_wins_over_a_withdrawal(district: System) -> None:
    story = Story(district).referred()
    district.kill("work-petition")
    story.consent_all()
    assert story.withdraw()["referrals"][0]["state"] == "REFERRAL_STATE_WITHDRAWING"
    mediation = story.mediations()[0]["id"]
    eventually(lambda: "mediation.withdrawal_late" in story.mediation_kinds(mediation), "the withdrawal arrives late")
    district.start("work-petition")
    handed_over = story.becomes("MEDIATING", owner_epoch=2, owner_service="mediation")
    assert handed_over["referrals"][0]["state"] == "REFERRAL_STATE_ACCEPTED"
    assert story.kinds()[3:] == ["petition.withdrawal_asked", "mediation.accepted"]
    story.settle()
    assert story.becomes("CONCLUDED", owner_epoch=3)["outcome"] == "OUTCOME_SETTLED"


@on(LOCAL_SQLITE)
def test_a_petition_is_declined_within_its_clock(district: System) -> None:
    story = Story(district).filed()
    declined = story.decline()
    assert (declined["state"], declined["route"]) == ("PETITION_STATE_DECLINED", "ROUTE_JUDICIAL")
    assert [(c["kind"], c["colour"]) for c in declined["clocks"]] == [("accept", "COLOUR_MET")]
    assert story.kinds() == ["petition.registered", "petition.declined"]
    answer = district.call("POST", f"/v1/petitions/{story.id}:accept", {})
    problem = assert_refused(answer, 409, "PETITION_STATE")
    assert (problem["details"]["state"], problem["details"]["allowed_states"]) == ("DECLINED", "REGISTERED")


@on(LOCAL_SQLITE)
def test_a_voided_registration_is_kept_and_nothing_runs_for_it_any_more(district: System) -> None:
    story = Story(district).filed()
    voided = story.void()
    assert (voided["state"], voided["reason"]) == ("PETITION_STATE_VOIDED", "重复录入的一件")
    assert [c["colour"] for c in voided["clocks"]] == ["COLOUR_CANCELLED"]
    assert story.kinds() == ["petition.registered", "petition.voided"]


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_the_same_request_gets_the_first_answer_and_another_body_is_refused(district: System) -> None:
    story = Story(district)
    form = story.registration()
    first = story.ok("POST", "/v1/petitions", form)
    again = story.ok("POST", "/v1/petitions", form | {"request_id": form["request_id"].upper()})
    assert again == first
    assert first["public_code"]
    other = district.call("POST", "/v1/petitions", form | {"subject": "另一件事"})
    problem = assert_refused(other, 409, "REQUEST_ID_REUSED")
    assert problem["details"]["request_id"] == form["request_id"]
    story.id = first["petition"]["id"]
    assert len(story.kinds()) == 1


@on(LOCAL_SQLITE)
def test_an_overdue_petition_shows_red_and_says_so_once(district: System) -> None:
    story = Story(district).filed(received_on="2020-01-02")
    assert story.clock("accept")["colour"] == "COLOUR_RED"
    story.told("clock.red")
    assert story.accept()["clocks"][0]["met_late"] is True
    assert story.kinds() == ["petition.registered", "clock.red", "petition.accepted"]
