"""What a citizen does by public code: look, read the answers, rate, add facts; and how the code is given out anew.

A refusal that must leave a trace (a failed look-up is counted) cannot be raised inside the transaction that counts it,
so these deeds return their refusal and the edge raises it after the commit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from services.chassis.deadline import Deadline
from services.chassis.masking import mask_text
from services.chassis.refusal import IllegalMove, NotFound, Refusal
from services.petition.application import attempts
from services.petition.application.following_ports import Following, PublicOffice, PublicOffices
from services.petition.application.masked import MaskedCase, mask
from services.petition.application.ports import Reads, Work
from services.petition.application.use_cases import seen
from services.petition.domain import public_page
from services.petition.domain.limits import ACCEPT, CONCLUDE
from services.petition.domain.petition import Petition
from services.petition.domain.public_page import NextStep, Step
from services.petition.domain.terms import SATISFACTION_ZH, Satisfaction, State


@dataclass(frozen=True)
class Citizen:
    """Somebody at the door: where the call comes from, the code, and the proof if one was given."""

    source: str
    public_code: str
    proof: str | None = None


@dataclass(frozen=True)
class Desk:
    """What the citizen's deeds need, in one open transaction."""

    work: Work
    reads: Reads
    following: Following
    offices: PublicOffices
    # All clocks of a petition, as they stand in this transaction.
    clocks: Callable[[str], list[Deadline]]


@dataclass(frozen=True)
class Tracked:
    """A case as its public page shows it."""

    petition: Petition
    stage: public_page.Words
    office: PublicOffice
    clock: Deadline | None
    steps: tuple[Step, ...]
    next: tuple[NextStep, ...]
    at: datetime


@dataclass(frozen=True)
class Papers:
    """The written answers of a case, masked."""

    case: MaskedCase
    answered_on: date | None


def track(desk: Desk, citizen: Citizen) -> Tracked | Refusal:
    """Stage, office and clock of the case that the code opens."""
    petition = opened(desk, citizen)
    return petition if isinstance(petition, Refusal) else tracked(desk, petition)


def documents(desk: Desk, citizen: Citizen) -> Papers | Refusal:
    """The written answers; those of an accusation are handed over at the hall alone (信访工作条例 art. 30)."""
    petition = opened(desk, citizen)
    if isinstance(petition, Refusal):
        return petition
    if public_page.is_sealed(petition):
        return IllegalMove(
            "HALL_ONLY",
            "检举控告的办理结果不在网上提供,请持身份证件到窗口查询(信访工作条例第三十条)。",
            "The result of an accusation is not given online; ask at the hall with your identity card (art. 30).",
            state=petition.state.value,
            allowed_states="",
        )
    case = desk.reads.case(petition.id)
    assert case is not None  # noqa: S101 - it was read a moment ago in this transaction
    return Papers(mask(case), answered_on(desk, petition))


def evaluate(desk: Desk, citizen: Citizen, satisfaction: Satisfaction, comment: str) -> Tracked | Refusal:
    """The petitioner rates the office's work, once."""
    petition = opened(desk, citizen)
    if isinstance(petition, Refusal):
        return petition
    locked = desk.work.petitions.get(petition.id)
    locked.evaluate(satisfaction, comment)
    desk.work.petitions.save(locked)
    zh = f"信访人凭查询码评价:{SATISFACTION_ZH[satisfaction]}"
    desk.work.tell(petition.id, "petition.evaluated", zh, f"Evaluated by code: {satisfaction}")
    desk.work.record("petition.evaluate", petition.id, satisfaction=satisfaction.value, by="public_code")
    return tracked(desk, locked)


def add_material(desk: Desk, petition_id: str, content: str) -> Tracked:
    """The petitioner, who has proved themselves, adds facts to an open case."""
    petition = desk.work.petitions.get(petition_id)
    if petition.state in public_page.CLOSED:
        raise _closed(petition)
    attempts.MATERIALS.check(desk.following, f"case:{petition.id}", desk.work.now)
    desk.following.tried(attempts.MATERIALS.purpose, f"case:{petition.id}")
    desk.following.add_material(petition.id, content)
    desk.work.tell(petition.id, "petition.material_added", "信访人补充了材料", "The petitioner added material")
    desk.work.record("petition.add_material", petition.id, characters=len(content))
    return tracked(desk, petition)


def reissue_code(
    desk: Desk, petition_id: str, new_code: str, reason: str, checked: tuple[str, str], pin: str = ""
) -> None:
    """The clerk, having checked who asks, gives the citizen a new code; the old one ends."""
    petition = seen(desk.work, petition_id)
    times = desk.following.set_code(petition.id, new_code)
    if pin:
        desk.following.set_pin(petition.id, pin)
    name, zh_checked = checked
    told = mask_text(reason, petition.names)
    zh = f"已换发查询码(第 {times} 次),{zh_checked},理由:{told}"
    desk.work.tell(petition.id, "petition.code_reissued", zh, f"New public code no. {times}, checked by {name}: {told}")
    desk.work.record("petition.reissue_code", petition.id, times=times, identity_checked=name, reason=told, pin=bool(pin))


def opened(desk: Desk, citizen: Citizen) -> Petition | Refusal:
    """The petition that code and proof open. A failure is counted, and unknown code and wrong proof sound alike."""
    attempts.FAILURES.check(desk.following, f"source:{citizen.source}", desk.work.now)
    petition_id = desk.following.by_code(citizen.public_code)
    petition = desk.reads.petition(petition_id) if petition_id else None
    if citizen.proof is None:
        return petition or _failed(desk, citizen, no_code)
    if petition is None:
        return _failed(desk, citizen, wrong_proof)
    return _proved(desk, citizen, petition, citizen.proof)


def tracked(desk: Desk, petition: Petition) -> Tracked:
    """What the public page shows of a petition now."""
    clocks = desk.clocks(petition.id)
    return Tracked(
        petition=petition,
        stage=public_page.stage(petition),
        office=office_of(desk, petition),
        clock=public_page.binding(clocks),
        steps=tuple(public_page.public_steps(petition, desk.following.lines(petition.id))),
        next=tuple(public_page.next_steps(petition, _answered_on(clocks, petition))),
        at=desk.work.now,
    )


def office_of(desk: Desk, petition: Petition) -> PublicOffice:
    """The office that has the case now."""
    if public_page.is_in_mediation(petition):
        return desk.offices.mediation()
    return desk.offices.public(public_page.unit_in_charge(petition))


def answered_on(desk: Desk, petition: Petition) -> date | None:
    """The day of the written answer."""
    return _answered_on(desk.clocks(petition.id), petition)


def _proved(desk: Desk, citizen: Citizen, petition: Petition, proof: str) -> Petition | Refusal:
    attempts.PROOFS.check(desk.following, f"case:{petition.id}", desk.work.now)
    if desk.following.opens(petition, proof):
        return petition
    desk.following.tried(attempts.PROOFS.purpose, f"case:{petition.id}")
    return _failed(desk, citizen, wrong_proof)


def _failed(desk: Desk, citizen: Citizen, refusal: Callable[[], Refusal]) -> Refusal:
    desk.following.tried(attempts.FAILURES.purpose, f"source:{citizen.source}")
    return refusal()


def _answered_on(clocks: list[Deadline], petition: Petition) -> date | None:
    kind = ACCEPT.kind if petition.state is State.DECLINED else CONCLUDE.kind
    return next((clock.met_on for clock in clocks if clock.kind == kind and clock.met_on), None)


def no_code() -> NotFound:
    """No case has this code, or no longer."""
    return NotFound(
        "CODE_UNKNOWN",
        "没有找到与该查询码对应的信访件,请照回执单核对;查询码换发后旧码失效,遗失可持身份证件到窗口换发。",
        "No case has this public code; compare it with the slip. A new code ends the old one; "
        "the hall gives out a new one against your identity card.",
    )


def wrong_proof() -> NotFound:
    """Code and proof do not belong together; which of the two is wrong is not told."""
    return NotFound(
        "CODE_OR_PROOF_WRONG",
        "查询码与手机号后四位(或密码)不符,请核对;忘记的可持身份证件到窗口办理。",
        "The public code and the phone's last four digits (or PIN) do not belong together; check both, "
        "or come to the hall with your identity card.",
    )


def _closed(petition: Petition) -> IllegalMove:
    return IllegalMove(
        "PETITION_CLOSED",
        f"该信访件{public_page.stage(petition)[0]},不能再补充材料;有新情况请到窗口反映或另行提出。",
        "The case is closed and takes no further material; tell the hall what is new, or file again.",
        state=petition.state.value,
        allowed_states=",".join(state for state in State if state not in public_page.CLOSED),
    )
