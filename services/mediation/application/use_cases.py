"""What the mediation centre does. Each function is one deed in an open transaction; the edge commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from services.chassis.deadline import Deadline
from services.chassis.masking import mask_text
from services.chassis.refusal import Invalid, NotFound, StaleEpoch, Violation
from services.mediation.application.ports import Transaction
from services.mediation.domain.limits import LIMITS, MEDIATE
from services.mediation.domain.mediation import Form, Mediation, Party, State

REVEALABLE = ("name", "phone", "id_no", "address", "content")
COLOUR_ZH = {"amber": "黄灯", "red": "红灯"}


@dataclass(frozen=True)
class Revealed:
    """Personal data in clear; only the fields that were asked for are filled."""

    parties: tuple[Party, ...]
    content: str


def open_mediation(tx: Transaction, mediation: Mediation) -> None:
    """A request of the hall arrives and the parties will be asked, or it goes back at once when nobody can be asked."""
    if tx.mediations.by_referral(mediation.referral_id) is not None:
        return
    earlier = tx.mediations.of_petition(mediation.petition_id)
    _check_epoch(mediation, earlier)
    mediation.round = len(earlier) + 1
    tx.mediations.add(mediation)
    tx.referral_came_in(mediation)
    _note(tx, mediation, "mediation.applied", "收到调解委托。", "The request to mediate arrived.")
    if mediation.obstacle:
        _refuse_request(tx, mediation)


def record_consent(tx: Transaction, mediation_id: str, party_id: str, given: bool, reason: str) -> Mediation:
    """A party says whether to mediate: all must agree, one refusing sends the case back (人民调解法 art. 3, 17)."""
    mediation = tx.mediations.get(mediation_id)
    if not mediation.consent(party_id, given, reason.strip(), tx.now):
        return mediation
    mediation.take_in_hand(tx.identity.account)
    if mediation.state is State.MEDIATING:
        tx.referral_accepted(mediation)
        tx.start_clock(mediation, MEDIATE)
        _note(
            tx,
            mediation,
            "mediation.accepted",
            "各方同意调解,调解中心接收案件。",
            "All agree; the centre takes the case.",
        )
    elif mediation.state is State.REFUSED:
        tx.referral_refused(mediation, mediation.reason)
        _note(
            tx,
            mediation,
            "mediation.refused",
            "一方当事人不同意调解,案件退回。",
            "A party does not agree; it goes back.",
        )
    else:
        _note(tx, mediation, "mediation.consent", "一方当事人同意调解。", "A party agrees to mediate.")
    tx.mediations.save(mediation)
    return mediation


def settle(tx: Transaction, mediation_id: str, form: Form, terms: str, perform_by: date | None) -> Mediation:
    """The parties reached an agreement; the hall concludes the petition (人民调解法 art. 28-31)."""
    mediation = tx.mediations.get(mediation_id)
    mediation.settle(form, terms, perform_by, tx.identity.account, tx.today, tx.now)
    tx.referral_done(mediation, mediation.agreement_no)
    tx.stop_clock(mediation, MEDIATE)
    _note(tx, mediation, "mediation.settled", "各方达成调解协议。", "The parties reached an agreement.")
    tx.mediations.save(mediation)
    return mediation


def fail(tx: Transaction, mediation_id: str, reason: str) -> Mediation:
    """Mediation ends without agreement; the case goes back to the hall with the reason (人民调解法 art. 26)."""
    mediation = tx.mediations.get(mediation_id)
    mediation.fail(reason.strip(), tx.identity.account, tx.now)
    tx.referral_done(mediation, mediation.reason)
    tx.stop_clock(mediation, MEDIATE)
    zh = "调解不成,已告知当事人法定途径,案件退回。"
    _note(
        tx, mediation, "mediation.failed", zh, "No agreement; the parties were told their legal routes; it goes back."
    )
    tx.mediations.save(mediation)
    return mediation


def hand_over(
    tx: Transaction, mediation_ids: Sequence[str], from_officer: str, to_officer: str, reason: str
) -> int:  # fmt: skip
    """A leaving officer's mediations go to a colleague; returns how many moved."""
    moved = 0
    for mediation_id in mediation_ids:
        mediation = tx.mediations.get(mediation_id)
        if mediation.officer != from_officer or not mediation.is_in_hand:
            continue
        mediation.change_officer(to_officer)
        tx.mediations.save(mediation)
        zh, en = f"经办人由 {from_officer} 移交 {to_officer}。", f"Handed over from {from_officer} to {to_officer}."
        tx.tell(mediation, "mediation.handed_over", zh, en)
        tx.record(
            "mediation.hand_over", mediation, from_officer=from_officer, to_officer=to_officer, reason=reason
        )  # fmt: skip
        moved += 1
    return moved


def withdraw(tx: Transaction, referral_id: str, reason: str) -> None:
    """The hall asks a request back. It loses to an answer given before; either way the timeline says so."""
    mediation = tx.mediations.by_referral(referral_id)
    if mediation is None:
        raise NotFound.thing("该委托", "request of this number", referral_id)
    if not mediation.withdraw(reason, tx.now):
        return
    if mediation.state is State.WITHDRAWN:
        tx.referral_given_back(mediation)
        _note(tx, mediation, "mediation.withdrawn", "委托方撤回,案件退回。", "The hall asked it back; it is returned.")
    else:
        zh = "委托方请求撤回,但此前已作答复,以答复为准。"
        _note(
            tx,
            mediation,
            "mediation.withdrawal_late",
            zh,
            "The hall asked it back after the answer; the answer stands.",
        )
    tx.mediations.save(mediation)


def note_petition_clock(tx: Transaction, petition_id: str, colour: str, due_on: date) -> None:
    """The hall's own clock turned; the mediator sees how much time is left."""
    for mediation in tx.mediations.of_petition(petition_id):
        if mediation.petition_clock(colour, due_on):
            zh = f"信访件办理时限{COLOUR_ZH[colour]},到期日 {due_on}。"
            en = f"The petition's clock turned {colour}; due {due_on}."
            _note(tx, mediation, f"petition.clock_{colour}", zh, en)
            tx.mediations.save(mediation)


def clock_crossed(tx: Transaction, clock: Deadline, colour: str) -> None:
    """A clock of the mediation turned amber or red; timeline and hall are told."""
    mediation = tx.mediations.at_any_unit(clock.subject_id)
    mediation.clock_crossed(clock.kind, colour, clock.due_on)
    zh = f"{LIMITS[clock.kind].title_zh}{COLOUR_ZH[colour]},到期日 {clock.due_on}。"
    en = f"The {LIMITS[clock.kind].title_en} turned {colour}; due {clock.due_on}."
    _note(tx, mediation, f"mediation.clock_{colour}", zh, en)
    tx.mediations.save(mediation)


def clock_moved(tx: Transaction, clock: Deadline, before: date) -> None:
    """Holidays were published and a clock was counted again: its last day is another one now."""
    mediation = tx.mediations.at_any_unit(clock.subject_id)
    title = LIMITS[clock.kind]
    zh = f"{title.title_zh}按新公布的节假日安排重新计算,到期日由 {before} 改为 {clock.due_on}。"
    en = f"The {title.title_en} was counted again with the published holidays: due {clock.due_on}, not {before}."
    _note(tx, mediation, "mediation.clock_moved", zh, en)


def reveal(tx: Transaction, mediation_id: str, fields: Sequence[str], reason: str) -> Revealed:
    """An officer looks at personal data in clear, and the case remembers who looked, at what and why."""
    _check_revealable(fields)
    mediation = tx.mediations.get(mediation_id)
    wanted = [name for name in REVEALABLE if name in fields]
    told = mask_text(reason.strip(), mediation.names)
    tx.record("mediation.reveal", mediation, fields=wanted, reason=told)
    zh = f"查看个人信息明文({'、'.join(wanted)}),理由:{told}"
    tx.tell(mediation, "mediation.revealed", zh, f"Revealed {', '.join(wanted)}: {told}")
    parties = tuple(_only(party, wanted) for party in mediation.parties) if set(wanted) - {"content"} else ()
    return Revealed(parties, mediation.content if "content" in wanted else "")


def _only(party: Party, wanted: list[str]) -> Party:
    return replace(
        party,
        name=party.name if "name" in wanted else "",
        phone=party.phone if "phone" in wanted else "",
        id_no=party.id_no if "id_no" in wanted else "",
        address=party.address if "address" in wanted else "",
    )


def _refuse_request(tx: Transaction, mediation: Mediation) -> None:
    reason = mediation.obstacle
    mediation.refuse_request(reason, tx.now)
    tx.referral_refused(mediation, reason)
    _note(tx, mediation, "mediation.refused", f"{reason},案件退回。", "The parties cannot be asked; it goes back.")
    tx.mediations.save(mediation)


def _check_epoch(mediation: Mediation, earlier: list[Mediation]) -> None:
    known = max((other.owner_epoch for other in earlier), default=mediation.owner_epoch)
    if mediation.owner_epoch < known:
        raise StaleEpoch(
            "STALE_EPOCH",
            f"案件归属已变更:当前为第 {known} 次,来件为第 {mediation.owner_epoch} 次。",
            f"The case changed hands: its epoch is {known}, the request carries {mediation.owner_epoch}.",
            owner_epoch=str(known),
            given_epoch=str(mediation.owner_epoch),
        )


def _check_revealable(fields: Sequence[str]) -> None:
    allowed = "、".join(REVEALABLE)
    wrong = [
        Violation(
            f"fields[{n}]",
            f"字段第 {n + 1} 项:只能是 {allowed}。",
            f"fields[{n}]: choose among {', '.join(REVEALABLE)}.",
        )
        for n, name in enumerate(fields)
        if name not in REVEALABLE
    ]
    if wrong:
        raise Invalid.of(wrong)


def _note(tx: Transaction, mediation: Mediation, kind: str, zh: str, en: str) -> None:
    tx.tell(mediation, kind, zh, en)
    tx.record(kind, mediation, referral_id=mediation.referral_id, state=mediation.state.value)
