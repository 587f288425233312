"""What a citizen reads of a case by its public code: stage, office, clock, steps and what can be done next.

Nothing here names a person or an officer. Of an accusation 检举控告 no more is told than that it is being handled
(信访工作条例 art. 30, 46), so that nobody learns from the page where it went.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from services.chassis.deadline import OPEN, Colour, Deadline
from services.petition.domain.limits import ACCEPT, CONCLUDE, LIMITS
from services.petition.domain.petition import MEDIATION, Petition
from services.petition.domain.terms import Outcome, PetitionClass, State

Words = tuple[str, str]
# 信访工作条例 art. 35: thirty days from the written answer.
REVIEW_DAYS = 30
REVIEW_SOURCE = "信访工作条例 art. 35"
CLOSED = frozenset({State.DECLINED, State.CONCLUDED, State.EVALUATED, State.VOIDED})

STAGES: dict[State, Words] = {
    State.REGISTERED: ("已登记,正在审查是否受理", "Registered; whether it is accepted is being examined"),
    State.ACCEPTED: ("已受理,正在办理", "Accepted; the office is working on it"),
    State.DECLINED: (
        "不予受理,理由和法定途径见书面告知",
        "Not accepted; the written notice names the reason and the lawful route",
    ),
    State.MEDIATING: ("已转人民调解,正在征求各方意见", "Referred to mediation; the parties are being asked"),
    State.CONCLUDED: ("已办结,请查看书面答复并评价", "Concluded; read the written answer and rate the work"),
    State.EVALUATED: ("已办结,已收到您的评价", "Concluded; your rating was received"),
    State.VOIDED: (
        "该登记已作废,如有疑问请与登记单位联系",
        "This registration was voided; ask the office that registered it",
    ),
}
IN_MEDIATION = ("正在调解", "Mediation is going on")
SETTLED = ("已达成调解协议,已办结,请评价", "Settled by agreement and concluded; rate the work")
SEALED: dict[bool, Words] = {
    False: ("已收到,正在依法办理", "Received; it is being handled according to law"),
    True: ("已办理完毕,请到窗口查询结果", "Handled; ask at the hall for the result"),
}

# What happened, by its kind on the case's timeline. A kind that is not listed is the office's own affair.
STEPS: dict[str, Words] = {
    "petition.registered": ("已登记", "Registered"),
    "petition.accepted": ("已受理", "Accepted"),
    "petition.declined": ("已作出不予受理告知", "Declined with a written notice"),
    "petition.referred": ("已转人民调解", "Referred to mediation"),
    "petition.concluded": ("已办结并作出书面答复", "Concluded with a written answer"),
    "petition.evaluated": ("已收到您的评价", "Your rating was received"),
    "petition.voided": ("登记已作废", "The registration was voided"),
    "petition.material_added": ("已收到您补充的材料", "Your further material was received"),
    "petition.code_reissued": ("已换发查询码", "A new public code was given out"),
    "mediation.accepted": ("各方同意,调解开始", "The parties agreed; mediation began"),
    "mediation.refused": ("未能进入调解,由原单位继续办理", "No mediation; the office goes on with the case"),
    "mediation.returned": ("转调解已撤回,由原单位继续办理", "Taken back from mediation; the office goes on"),
    "mediation.failed": ("调解未达成协议,由原单位继续办理", "No agreement; the office goes on with the case"),
    "mediation.settled": ("已达成调解协议,办结", "Settled by agreement, concluded"),
    "clock.red": ("办理期限已届满", "The time limit has passed"),
}
SHOWN_OF_SEALED = frozenset({"petition.registered", "petition.material_added", "petition.code_reissued"})


class Next(StrEnum):
    """What a citizen can do now. A value's name is its name in the contract."""

    WAIT = "WAIT"
    ADD_MATERIAL = "ADD_MATERIAL"
    READ_DOCUMENTS = "READ_DOCUMENTS"
    EVALUATE = "EVALUATE"
    ASK_REVIEW = "ASK_REVIEW"
    LAWFUL_ROUTE = "LAWFUL_ROUTE"
    CALL = "CALL"


NEEDS_PROOF = frozenset({Next.ADD_MATERIAL, Next.READ_DOCUMENTS, Next.EVALUATE})
NEXT_WORDS: dict[Next, Words] = {
    Next.WAIT: ("请等待答复", "Wait for the answer"),
    Next.ADD_MATERIAL: ("可以补充事实和理由", "You may add facts and reasons"),
    Next.READ_DOCUMENTS: ("可以查看书面答复", "You may read the written answer"),
    Next.EVALUATE: ("可以评价办理工作", "You may rate the office's work"),
    Next.ASK_REVIEW: (
        "不服信访处理意见的,可自收到书面答复之日起三十日内,请求原办理机关、单位的上一级机关、单位复查"
        "(信访工作条例第三十五条)",
        "If you do not agree, you may ask the next higher organ for a review within thirty days of receiving the answer "
        "(信访工作条例 art. 35)",
    ),
    Next.LAWFUL_ROUTE: (
        "请按书面告知所列的法定途径提出(信访工作条例第三十一条)",
        "Take the lawful route named in the notice (信访工作条例 art. 31)",
    ),
    Next.CALL: ("如有疑问请与登记单位联系", "Ask the office that registered it"),
}


@dataclass(frozen=True)
class Step:
    """One line of the public timeline."""

    at: datetime
    zh: str
    en: str


@dataclass(frozen=True)
class NextStep:
    """Something that can be done, and until when."""

    step: Next
    until: date | None = None


def is_sealed(petition: Petition) -> bool:
    """Whether the page tells only that the case is being handled."""
    return petition.petition_class is PetitionClass.ACCUSATION


def stage(petition: Petition) -> Words:
    """Where the case stands, in words for a citizen."""
    if is_sealed(petition) and petition.state is not State.VOIDED:
        return SEALED[petition.state in CLOSED]
    if petition.state is State.MEDIATING and petition.owner_service == MEDIATION:
        return IN_MEDIATION
    if petition.state is State.CONCLUDED and petition.outcome is Outcome.SETTLED:
        return SETTLED
    return STAGES[petition.state]


def unit_in_charge(petition: Petition) -> str:
    """The unit that the citizen turns to; of an accusation always the one that registered it."""
    if is_sealed(petition) or not petition.responsible_unit:
        return petition.registered_unit
    return petition.responsible_unit


def is_in_mediation(petition: Petition) -> bool:
    """Whether the mediation centre has the case now."""
    return petition.owner_service == MEDIATION and not is_sealed(petition)


def binding(clocks: Iterable[Deadline]) -> Deadline | None:
    """The clock that binds the office now: of those that are open the one due first."""
    return min((clock for clock in clocks if clock.state in OPEN), key=lambda clock: clock.due_on, default=None)


def clock_words(clock: Deadline, colour: Colour) -> Words:
    """The clock as a sentence: which duty, until when, and how it stands."""
    duty_zh, duty_en = {
        ACCEPT.kind: ("告知您是否受理", "tell you whether your petition is accepted"),
        CONCLUDE.kind: ("办结并书面答复", "conclude the case and answer in writing"),
    }.get(clock.kind, (clock.kind, clock.kind))
    standing_zh, standing_en = {
        Colour.AMBER: (",期限临近", "; the limit is near"),
        Colour.RED: (",现已超过期限", "; the limit has passed"),
        Colour.SUSPENDED: (",现中止计时", "; the clock is stopped for now"),
    }.get(colour, ("", ""))
    provisional = ("(节假日安排公布后可能调整)", " (may move when holidays are published)") if clock.provisional else ("", "")
    zh = f"承办单位应当在 {clock.length} {clock.unit.zh}内{duty_zh},截止 {clock.due_on}{provisional[0]}{standing_zh}"
    en = (
        f"The office must {duty_en} within {clock.length} {clock.unit.en}, by {clock.due_on}{provisional[1]}{standing_en}"
    )
    return zh, en


def clock_title(clock: Deadline) -> str:
    """The Chinese name of the limit."""
    limit = LIMITS.get(clock.kind)
    return limit.title_zh if limit else clock.kind


def public_steps(petition: Petition, lines: Iterable[tuple[str, datetime]]) -> Iterator[Step]:
    """The lines of the timeline that the public reads, in words for a citizen; what was said there is not repeated."""
    sealed = is_sealed(petition)
    for kind, at in lines:
        words = STEPS.get(kind)
        if words and (not sealed or kind in SHOWN_OF_SEALED or kind == "petition.voided"):
            yield Step(at, *words)


def next_steps(petition: Petition, answered_on: date | None) -> Iterator[NextStep]:
    """What the citizen can do now; `answered_on` is the day of the written answer."""
    state = petition.state
    if state is State.VOIDED:
        yield NextStep(Next.CALL)
        return
    if state not in CLOSED:
        yield NextStep(Next.WAIT)
        yield NextStep(Next.ADD_MATERIAL)
        return
    if is_sealed(petition):
        yield NextStep(Next.CALL)
    else:
        yield NextStep(Next.READ_DOCUMENTS)
    if state is State.CONCLUDED:
        yield NextStep(Next.EVALUATE)
    if is_sealed(petition):
        return
    if state is State.DECLINED:
        yield NextStep(Next.LAWFUL_ROUTE)
    elif petition.outcome is not Outcome.SETTLED:
        until = answered_on + timedelta(days=REVIEW_DAYS) if answered_on else None
        yield NextStep(Next.ASK_REVIEW, until)
