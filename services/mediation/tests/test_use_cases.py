"""What a mediator does, from the parties' answers to the end, over a real store."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from protos.mediation.v1 import events_pb2 as answers
from protos.mediation.v1 import mediation_pb2 as pb
from services.chassis import clock
from services.chassis.referral import ReferralState
from services.chassis.refusal import Invalid
from services.chassis.sweeper import sweep_once
from services.mediation.tests.centre import Centre, refused


class TestConsent:
    def test_all_agreeing_accepts_the_case_and_starts_thirty_days(self, centre: Centre):
        opened = centre.open()
        waiting = centre.answer(opened.id, opened.parties[0])
        assert (waiting.state, list(waiting.clocks), centre.told()) == (pb.MEDIATION_STATE_APPLIED, [], [])
        accepted = centre.answer(opened.id, opened.parties[1])
        (told,) = centre.announced(answers.MediationAccepted)
        assert (accepted.state, accepted.owner_epoch, told.owner_epoch) == (pb.MEDIATION_STATE_MEDIATING, 4, 4)
        (running,) = accepted.clocks
        assert (running.kind, running.length, running.unit, running.colour) == ("mediate", 30, "day", "green")
        assert centre.referral(opened.referral_id).state is ReferralState.ACCEPTED
        assert centre.kinds(opened.id) == ["mediation.applied", "mediation.consent", "mediation.accepted"]
        assert [p.consent for p in centre.get(opened.id).parties] == [pb.CONSENT_GIVEN] * 2

    def test_one_refusing_sends_the_case_back_with_the_unchanged_epoch_and_the_reason_in_clear(self, centre: Centre):
        opened = centre.open()
        centre.answer(opened.id, opened.parties[0])
        gone = centre.answer(opened.id, opened.parties[1], pb.CONSENT_REFUSED, "李大河已起诉,电话 13900005678")
        (told,) = centre.announced(answers.MediationRefused)
        assert (gone.state, gone.owner_epoch, told.owner_epoch) == (pb.MEDIATION_STATE_REFUSED, 3, 3)
        assert told.reason == "李大河已起诉,电话 13900005678"
        assert "李大河" not in gone.reason
        assert "13900005678" not in gone.reason
        referral = centre.referral(opened.referral_id)
        assert (referral.state, referral.answer) == (ReferralState.REFUSED, told.reason)
        assert list(gone.clocks) == []

    @pytest.mark.parametrize("deed", ["accept", "refuse"])
    def test_the_same_answer_again_changes_and_announces_nothing(self, centre: Centre, deed: str):
        done = getattr(centre, deed)(centre.open())
        story, told = centre.timeline(done.id), centre.told()
        assert getattr(centre, deed)(done) == done
        assert (centre.timeline(done.id), centre.told()) == (story, told)

    def test_after_all_agreed_nobody_refuses_any_more(self, centre: Centre):
        accepted = centre.accept(centre.open())
        with refused("ILLEGAL_MOVE"):
            centre.refuse(accepted)
        assert centre.get(accepted.id) == accepted

    def test_a_refusal_without_a_reason_names_the_field_and_writes_nothing(self, centre: Centre):
        opened = centre.open()
        with pytest.raises(Invalid) as wrong:
            centre.refuse(opened, " ")
        assert wrong.value.violations[0].field == "reason"
        assert centre.get(opened.id) == opened

    def test_asked_is_no_answer(self, centre: Centre):
        opened = centre.open()
        with pytest.raises(Invalid) as wrong:
            centre.answer(opened.id, opened.parties[0], pb.CONSENT_ASKED)
        assert wrong.value.violations[0].field == "consent"

    def test_a_party_of_another_mediation_cannot_answer(self, centre: Centre):
        one, other = centre.open(), centre.open()
        with refused("NOT_FOUND"):
            centre.answer(one.id, other.parties[0])


class TestTheEnd:
    def test_an_agreement_meets_the_clock_and_gives_the_case_back(self, centre: Centre):
        accepted = centre.accept(centre.open())
        today = clock.legal_date(clock.now()).isoformat()
        settled = centre.settle(accepted.id, perform_by=today)
        (told,) = centre.announced(answers.MediationSettled)
        assert (settled.state, settled.owner_epoch, told.owner_epoch) == (pb.MEDIATION_STATE_SETTLED, 5, 5)
        assert (told.agreement_no, told.form) == (settled.agreement_no, "written")
        assert (settled.mediator, settled.perform_by, settled.clocks[0].colour) == ("mediator", today, "met")
        assert centre.referral(accepted.referral_id).state is ReferralState.DONE
        assert centre.get(accepted.id) == settled

    def test_a_failure_gives_the_case_back_with_its_reason(self, centre: Centre):
        accepted = centre.accept(centre.open())
        failed = centre.fail(accepted.id)
        (told,) = centre.announced(answers.MediationFailed)
        assert (failed.state, failed.owner_epoch, told.owner_epoch) == (pb.MEDIATION_STATE_FAILED, 5, 5)
        assert told.reason == "李大河不接受方案"
        assert centre.referral(accepted.referral_id).state is ReferralState.DONE

    @pytest.mark.parametrize("end", ["settle", "fail"])
    def test_before_all_agreed_there_is_nothing_to_end(self, centre: Centre, end: str):
        opened = centre.open()
        with refused("ILLEGAL_MOVE"):
            getattr(centre, end)(opened.id)
        assert (centre.get(opened.id), centre.told()) == (opened, [])

    @pytest.mark.parametrize("again", ["settle", "fail"])
    def test_what_has_ended_cannot_end_again(self, centre: Centre, again: str):
        settled = centre.settle(centre.accept(centre.open()).id)
        with refused("ILLEGAL_MOVE"):
            getattr(centre, again)(settled.id)
        assert centre.told() == ["MediationAccepted", "MediationSettled"]

    def test_an_agreement_to_be_performed_yesterday_is_refused(self, centre: Centre):
        accepted = centre.accept(centre.open())
        yesterday = clock.legal_date(clock.now()) - timedelta(days=1)
        with pytest.raises(Invalid) as wrong:
            centre.settle(accepted.id, perform_by=yesterday.isoformat())
        assert wrong.value.violations[0].field == "perform_by"


class TestTheClock:
    def test_each_colour_is_told_once_to_mediator_and_hall(self, centre: Centre):
        accepted = centre.accept(centre.open())
        for days in (21, 21, 45, 45):
            sweep_once(centre.service, clock.now() + timedelta(days=days))
        told = centre.announced(answers.MediationClockCrossed)
        assert [(t.kind, t.colour) for t in told] == [("mediate", "amber"), ("mediate", "red")]
        assert {(t.petition_id, t.due_on) for t in told} == {(accepted.petition_id, accepted.clocks[0].due_on)}
        assert centre.kinds(accepted.id)[-2:] == ["mediation.clock_amber", "mediation.clock_red"]

    def test_before_all_agreed_and_after_the_end_none_runs(self, centre: Centre):
        centre.open()
        centre.refuse(centre.open())
        centre.settle(centre.accept(centre.open()).id)
        assert sweep_once(centre.service, clock.now() + timedelta(days=60)) == 0


class TestReveal:
    def test_only_the_fields_asked_for_are_shown_and_the_case_remembers_it(self, centre: Centre):
        opened = centre.open()
        shown = centre.reveal(opened.id, "phone", "name", reason="核对王小明 13800001234 的身份")
        assert [(p.name, p.phone) for p in shown.parties] == [("王小明", "13800001234"), ("李大河", "13900005678")]
        assert {(p.id_no, p.address) for p in shown.parties} == {("", "")}
        assert shown.content == ""
        (row,) = centre.audited("mediation.reveal")
        details = json.loads(row.details)
        assert (row.actor, row.subject_id, details["fields"]) == ("mediator", opened.id, ["name", "phone"])
        remembered = row.details + centre.timeline(opened.id)[-1].text + centre.timeline(opened.id)[-1].text_en
        assert "王小明" not in remembered
        assert "13800001234" not in remembered
        assert "核对" in details["reason"]

    def test_the_content_alone_shows_no_party(self, centre: Centre):
        shown = centre.reveal(centre.open().id, "content")
        assert "王小明" in shown.content
        assert list(shown.parties) == []

    def test_an_unknown_field_is_named_by_its_place_and_nothing_is_shown(self, centre: Centre):
        opened = centre.open()
        with pytest.raises(Invalid) as wrong:
            centre.reveal(opened.id, "name", "bank_account")
        assert [v.field for v in wrong.value.violations] == ["fields[1]"]
        assert centre.audited("mediation.reveal") == []
