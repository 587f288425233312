"""What the mediation centre answers, and what a clock does, to a petition. Every step locks the petition first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from services.chassis.deadline import Deadline
from services.chassis.masking import mask_text
from services.chassis.referral import Referral, ReferralState
from services.chassis.refusal import NotFound
from services.petition.application.ports import Work
from services.petition.domain.limits import CONCLUDE, LIMITS
from services.petition.domain.petition import Petition, PetitionClockCrossed

FORM_ZH = {"oral": "口头", "written": "书面"}
COLOUR_ZH = {"amber": "黄灯", "red": "红灯"}
MEDIATED = "《信访工作条例》第三十三条"


@dataclass(frozen=True)
class Answer:
    """What every answer of the mediation centre carries."""

    petition_id: str
    referral_id: str
    owner_epoch: int
    reason: str = ""


def mediation_accepted(work: Work, answer: Answer) -> None:
    """The parties agreed to mediate, so the centre owns the case. This wins over a withdrawal that was on its way."""
    petition, referral = _asked(work, answer, "已接收", "accepted")
    if referral is None or _known(petition, referral, answer):
        return
    withdrawing = referral.state is ReferralState.WITHDRAWING
    petition.hand_over(answer.owner_epoch)
    referral.accept(work.now, answer.owner_epoch)
    _save(work, petition, referral)
    zh = "调解中心已接收" + (",撤回请求未生效" if withdrawing else "")
    en = "The mediation centre accepted the case" + ("; the withdrawal came too late" if withdrawing else "")
    work.tell(petition.id, "mediation.accepted", zh, en)
    work.record("petition.handed_over", petition.id, referral_id=referral.id, owner_epoch=answer.owner_epoch)


def mediation_refused(work: Work, answer: Answer) -> None:
    """A party does not agree to mediate (人民调解法 art. 3, 17): back to the hall, and the clock runs on."""
    petition, referral = _asked(work, answer, "当事人不同意调解", "refused")
    if referral is None:
        return
    petition.check_untransferred(answer.owner_epoch)
    referral.refuse(work.now, answer.reason)
    petition.come_back(answer.reason)
    _came_back(work, petition, referral, "mediation.refused", "当事人不同意调解,退回", "A party refused mediation")


def mediation_failed(work: Work, answer: Answer) -> None:
    """Mediation ended without agreement (人民调解法 art. 26): back to the hall, and the clock runs on."""
    petition, referral = _asked(work, answer, "调解不成", "failed")
    if referral is None:
        return
    petition.come_back(answer.reason, answer.owner_epoch)
    referral.finish(work.now, answer.reason)
    _came_back(work, petition, referral, "mediation.failed", "调解不成,退回", "Mediation failed")


def mediation_returned(work: Work, answer: Answer) -> None:
    """The centre gives a withdrawn request back; it had not accepted it."""
    petition, referral = _asked(work, answer, "已退回", "given back")
    if referral is None:
        return
    petition.check_untransferred(answer.owner_epoch)
    referral.give_back(work.now)
    petition.come_back("")
    _came_back(work, petition, referral, "mediation.returned", "转办已撤回", "The referral was withdrawn")


def mediation_settled(work: Work, answer: Answer, agreement_no: str, form: str) -> None:
    """The parties agreed (人民调解法 art. 28-31), so the petition is concluded and its 60-day clock met."""
    petition, referral = _asked(work, answer, "达成协议", "settled")
    if referral is None:
        return
    opinion = f"双方经人民调解达成{FORM_ZH.get(form, '')}协议,协议编号:{agreement_no}。"
    petition.settle(opinion, MEDIATED, answer.owner_epoch)
    referral.finish(work.now, agreement_no)
    _save(work, petition, referral)
    work.clocks.meet(petition.id, CONCLUDE.kind, work.today)
    zh = f"调解达成协议({agreement_no}),已办结"
    work.tell(petition.id, "mediation.settled", zh, f"Concluded by agreement {agreement_no}")
    work.record("petition.settle", petition.id, referral_id=referral.id, owner_epoch=answer.owner_epoch)


def mediation_clock_crossed(work: Work, petition_id: str, colour: str, due_on: str) -> None:
    """The mediation centre's own clock turned; the hall's screen shows it."""
    petition = work.petitions.get(petition_id)
    zh = f"调解期限{COLOUR_ZH.get(colour, colour)},截止 {due_on}"
    work.tell(petition.id, f"mediation.clock_{colour}", zh, f"The mediation clock turned {colour}, due on {due_on}")


def clock_crossed(work: Work, clock: Deadline, colour: str) -> None:
    """A statutory clock turned amber or red; a mediator who has the case is told how much time the hall has left."""
    petition = work.petitions.get(clock.subject_id)
    zh = f"{_title(clock)}{COLOUR_ZH[colour]},截止 {clock.due_on}"
    work.tell(petition.id, f"clock.{colour}", zh, f"The clock `{clock.kind}` turned {colour}, due on {clock.due_on}")
    work.record(f"petition.clock_{colour}", petition.id, kind=clock.kind, due_on=_iso(clock.due_on))
    if work.referrals.open_of(petition.id) is not None:
        work.announce(PetitionClockCrossed(petition.id, clock.id, clock.kind, colour, clock.due_on))


def clock_moved(work: Work, clock: Deadline, before: date) -> None:
    """Holidays were published and a clock was counted again: its last day is another one now."""
    petition = work.petitions.get(clock.subject_id)
    zh = f"{_title(clock)}按新公布的节假日安排重新计算,截止日期由 {before} 改为 {clock.due_on}"
    en = f"The clock `{clock.kind}` was counted again with the published holidays: due on {clock.due_on}, not {before}"
    work.tell(petition.id, "clock.moved", zh, en)
    work.record("petition.clock_moved", petition.id, kind=clock.kind, due_on=_iso(clock.due_on), before=_iso(before))


def _asked(work: Work, answer: Answer, zh: str, en: str) -> tuple[Petition, Referral | None]:
    """The petition, and its referral when that still waits for an answer; a late answer is written down and no more."""
    petition = work.petitions.get(answer.petition_id)
    referral = work.referrals.find(answer.referral_id)
    if referral is None or referral.subject_id != petition.id:
        raise NotFound.thing("该转办", "referral", answer.referral_id)
    if referral.is_open:
        return petition, referral
    told = mask_text(answer.reason, petition.names)
    late_zh = f"迟到的答复:调解中心答复“{zh}”,该转办已结束,案件不变" + (f"。理由:{told}" if told else "")
    late_en = f"Late answer: `{en}`; the referral is closed, nothing changes" + (f". {told}" if told else "")
    work.tell(petition.id, "mediation.late_answer", late_zh, late_en)
    return petition, None


def _known(petition: Petition, referral: Referral, answer: Answer) -> bool:
    # The same acceptance again says nothing new; another epoch would, and is refused further on.
    return referral.state is ReferralState.ACCEPTED and petition.owner_epoch == answer.owner_epoch


def _came_back(work: Work, petition: Petition, referral: Referral, kind: str, zh: str, en: str) -> None:
    _save(work, petition, referral)
    told = mask_text(petition.reason, petition.names)
    work.tell(petition.id, kind, zh + (f",理由:{told}" if told else ""), en + (f": {told}" if told else ""))
    work.record("petition.came_back", petition.id, referral_id=referral.id, kind=kind, owner_epoch=petition.owner_epoch)


def _save(work: Work, petition: Petition, referral: Referral) -> None:
    work.petitions.save(petition)
    work.referrals.save(referral)


def _title(clock: Deadline) -> str:
    limit = LIMITS.get(clock.kind)
    return limit.title_zh if limit else clock.kind


def _iso(day: date) -> str:
    return day.isoformat()
