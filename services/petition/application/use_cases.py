"""What an officer of the hall does with a petition: load, decide, save, tell. The caller opens the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.chassis.identity import Identity
from services.chassis.ids import uuid7
from services.chassis.masking import mask_text
from services.chassis.refusal import AlreadyExists, Forbidden, Invalid, NotFound
from services.petition.application.ports import Case, Directory, Work
from services.petition.domain import registration
from services.petition.domain.limits import ACCEPT, CONCLUDE
from services.petition.domain.petition import (
    APPLICANT,
    RESPONDENT,
    MediationRequested,
    MediationWithdrawn,
    Person,
    Petition,
)
from services.petition.domain.registration import Registration
from services.petition.domain.terms import (
    CHANNEL_ZH,
    OUTCOME_ZH,
    ROUTE_ZH,
    SATISFACTION_ZH,
    Outcome,
    Route,
    Satisfaction,
)
from services.petition.domain.visibility import may_see


def check_registration(directory: Directory, caller: Identity, draft: Registration) -> None:
    """Refuses a registration that breaks a rule, before a case number is spent on it."""
    if directory.division(draft.division_code, draft.received_on) is None:
        raise Invalid(
            "division_code",
            f"{draft.received_on} 没有区划代码 {draft.division_code},可用 GET /v1/divisions 查询。",
            f"There is no division {draft.division_code} on {draft.received_on}; GET /v1/divisions lists them.",
        )
    if not caller.covers(draft.division_code):
        raise Forbidden("OUT_OF_SCOPE", "该属地不在您的管辖范围内。", "The division lies outside of your scope.")
    if not caller.unit:
        raise Forbidden("NO_UNIT", "您的账号没有所属单位,不能登记。", "Your account has no unit, so it cannot file.")
    _check_accused(directory, caller, draft.accused_unit)


def register_petition(work: Work, petition_id: str, draft: Registration, case_number: str, public_code: str) -> Case:
    """A clerk registers what a citizen brings; the 15 days to accept or decline run from the day of receipt."""
    check_registration(work.directory, work.identity, draft)
    registration.check(draft, work.today)
    if draft.external_no and work.petitions.has_external(draft.source_system, draft.external_no):
        raise external_taken()
    petition = registered(work, petition_id, draft, case_number)
    work.petitions.add(petition, public_code)
    # A late entry gives the office no more time: the law counts from the day on which it received the petition.
    clock = work.clocks.open(ACCEPT, petition.id, draft.received_on)
    zh = f"已登记({CHANNEL_ZH[draft.channel]})"
    work.tell(petition.id, "petition.registered", zh, f"Registered ({draft.channel})")
    work.record(
        "petition.register", petition.id, case_number=case_number, channel=draft.channel.value,
        petition_class=draft.petition_class.value, division_code=draft.division_code, persons=draft.persons,
    )  # fmt: skip
    division = work.directory.division(draft.division_code)
    return Case(petition, division.name if division else "", (clock,))


def accept_petition(work: Work, petition_id: str, responsible_unit: str = "") -> Petition:
    """An officer takes the petition on for a unit, which answers within 60 days from today."""
    petition = seen(work, petition_id)
    unit = responsible_unit or work.identity.unit
    office = work.directory.unit(unit, work.today)
    if office is None:
        zh, en = f"没有单位 {unit},请填写单位代码。", f"There is no unit {unit}; write a unit's code."
        raise Invalid("responsible_unit", zh, en)
    petition.accept(unit, work.identity.account)
    work.petitions.save(petition)
    work.clocks.meet(petition.id, ACCEPT.kind, work.today)
    work.clocks.open(CONCLUDE, petition.id, work.today)
    work.tell(petition.id, "petition.accepted", f"已受理,承办单位:{office.name}", f"Accepted, handled by {unit}")
    work.record("petition.accept", petition.id, responsible_unit=unit)
    return petition


def decline_petition(work: Work, petition_id: str, reason: str, route: Route) -> Petition:
    """The office does not take the matter on and names the lawful route that is open instead."""
    petition = seen(work, petition_id)
    petition.decline(reason, route)
    work.petitions.save(petition)
    work.clocks.meet(petition.id, ACCEPT.kind, work.today)
    zh = f"不予受理,法定途径:{ROUTE_ZH[route]}"
    work.tell(petition.id, "petition.declined", zh, f"Declined, lawful route: {route}")
    work.record("petition.decline", petition.id, route=route.value)
    return petition


def void_petition(work: Work, petition_id: str, reason: str) -> Petition:
    """A registration made by mistake is voided and kept; nothing is ever deleted."""
    petition = seen(work, petition_id)
    petition.void(reason)
    work.petitions.save(petition)
    work.clocks.cancel(petition.id)
    work.tell(petition.id, "petition.voided", "登记已作废", "Voided")
    work.record("petition.void", petition.id)
    return petition


def conclude_petition(work: Work, petition_id: str, outcome: Outcome, opinion: str, legal_basis: str) -> Petition:
    """The office answers in writing (信访处理意见书)."""
    petition = seen(work, petition_id)
    petition.conclude(outcome, opinion, legal_basis)
    work.petitions.save(petition)
    work.clocks.meet(petition.id, CONCLUDE.kind, work.today)
    work.tell(petition.id, "petition.concluded", f"已办结,处理结果:{OUTCOME_ZH[outcome]}", f"Concluded: {outcome}")
    work.record("petition.conclude", petition.id, outcome=outcome.value)
    return petition


def evaluate_petition(work: Work, petition_id: str, satisfaction: Satisfaction, comment: str) -> Petition:
    """The petitioner's rating is recorded."""
    petition = seen(work, petition_id)
    petition.evaluate(satisfaction, comment)
    work.petitions.save(petition)
    zh = f"满意度评价:{SATISFACTION_ZH[satisfaction]}"
    work.tell(petition.id, "petition.evaluated", zh, f"Evaluated: {satisfaction}")
    work.record("petition.evaluate", petition.id, satisfaction=satisfaction.value)
    return petition


def refer_petition(
    work: Work, petition_id: str, respondents: Sequence[Person], dispute_type: str, reason: str
) -> Petition:
    """The mediation centre is asked to mediate. The case stays the hall's until it accepts, and the clock runs on."""
    petition = seen(work, petition_id)
    if wrong := list(registration.wrong_persons("respondents", respondents)):
        raise Invalid.of(wrong)
    others = [replace(person, id=uuid7(), side=RESPONDENT) for person in respondents]
    petition.refer(others)
    referral = work.referrals.send(petition, uuid7(), reason)
    work.petitions.save(petition)
    work.petitions.add_persons(petition.id, others)
    clock = work.clocks.find(petition.id, CONCLUDE.kind)
    parties = (*petition.representatives, *others)
    due_on = clock.due_on if clock else None
    work.announce(MediationRequested(referral.id, petition, parties, dispute_type, reason, due_on))
    work.tell(petition.id, "petition.referred", "已转调解中心,等待对方接收", "Referred to the mediation centre")
    work.record("petition.refer", petition.id, referral_id=referral.id, respondents=len(others))
    return petition


def withdraw_referral(work: Work, petition_id: str, reason: str) -> Petition:
    """The hall asks an unanswered referral back; the case moves when the mediation centre has answered."""
    petition = seen(work, petition_id)
    referral = work.referrals.open_of(petition.id)
    if referral is None:
        raise petition.refuse_withdrawal()
    referral.ask_back()
    work.referrals.save(referral)
    work.announce(MediationWithdrawn(referral.id, petition.id, petition.owner_epoch, reason))
    told = mask_text(reason, petition.names)
    zh = f"已请调解中心退回,理由:{told}"
    work.tell(petition.id, "petition.withdrawal_asked", zh, f"Asked back from mediation: {told}")
    work.record("petition.withdraw_referral", petition.id, referral_id=referral.id)
    return petition


def seen(work: Work, petition_id: str) -> Petition:
    """The petition, locked; what the caller may not see does not exist for them."""
    petition = work.petitions.get(petition_id)
    if not may_see(work.identity, petition):
        raise no_petition(petition_id)
    return petition


def no_petition(petition_id: str) -> NotFound:
    """There is none, or none for this caller; the two are not told apart."""
    return NotFound.thing("该信访件", "petition", petition_id)


def external_taken() -> AlreadyExists:
    """A case of another system comes in once."""
    return AlreadyExists(
        "EXTERNAL_NO_TAKEN",
        "该来源系统的这个原系统编号已经登记过,可按原系统编号查询。",
        "This number of that system is registered already; look for it by external_no.",
    )


def registered(work: Work, petition_id: str, draft: Registration, case_number: str) -> Petition:
    """The petition that comes of a registration."""
    return Petition(
        id=petition_id,
        case_number=case_number,
        channel=draft.channel,
        petition_class=draft.petition_class,
        division_code=draft.division_code,
        person_count=draft.persons,
        subject=draft.subject,
        content=draft.content,
        received_on=draft.received_on,
        registered_at=work.now,
        registered_unit=work.identity.unit,
        owner_tier=work.tier,
        origin_tier=work.tier,
        persons=[replace(person, id=uuid7(), side=APPLICANT) for person in draft.representatives],
        accused_unit=draft.accused_unit,
        earlier_case_number=draft.earlier_case_number,
        batch_no=draft.batch_no,
        leader_reception=draft.leader_reception,
        repeated=draft.repeated,
        external_no=draft.external_no,
        source_system=draft.source_system,
    )


def _check_accused(directory: Directory, caller: Identity, unit: str) -> None:
    if not unit:
        return
    if directory.unit(unit) is None:
        # A mistyped code would protect nobody, and the unit complained of would read the complaint.
        raise Invalid(
            "accused_unit",
            f"没有单位 {unit};被检举单位不在系统中时请不填此项,在诉求中写明。",
            f"There is no unit {unit}; leave it empty for a unit outside of this system, and name it in the content.",
        )
    if unit in caller.units:
        raise Forbidden(
            "ACCUSED_UNIT",
            "您属于被检举的单位,不能登记该信访件(信访工作条例第三十条),请由其他单位登记。",
            "Yours is the unit complained of, so another unit must register this petition (信访工作条例 art. 30).",
        )
