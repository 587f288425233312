"""Between the domain's words and the contract's messages, both ways. A reply takes a MaskedCase and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from protos.mediation.v1 import events_pb2 as mediation
from protos.petition.v1 import events_pb2 as events
from protos.petition.v1 import petition_pb2 as pb
from services.chassis.deadline import Colour, Deadline
from services.chassis.referral import Referral, ReferralState
from services.chassis.refusal import Invalid
from services.petition.application.answers import Answer
from services.petition.application.masked import MaskedCase
from services.petition.application.ports import Filters, Line
from services.petition.application.reveal import Revealed
from services.petition.domain.limits import LIMITS
from services.petition.domain.petition import (
    Fact,
    MediationRequested,
    MediationWithdrawn,
    Person,
    Petition,
)
from services.petition.domain.registration import Registration
from services.petition.domain.terms import Channel, Outcome, PetitionClass, Route, Satisfaction, State

T = TypeVar("T", bound=StrEnum)

# Each term of the domain with the enumeration of the contract that holds the same names.
CONTRACT: dict[type[StrEnum], tuple[EnumTypeWrapper, str]] = {
    State: (pb.PetitionState, "PETITION_STATE"),
    Channel: (pb.Channel, "CHANNEL"),
    PetitionClass: (pb.PetitionClass, "PETITION_CLASS"),
    Outcome: (pb.Outcome, "OUTCOME"),
    Route: (pb.Route, "ROUTE"),
    Satisfaction: (pb.Satisfaction, "SATISFACTION"),
    Colour: (pb.Colour, "COLOUR"),
    ReferralState: (pb.ReferralState, "REFERRAL_STATE"),
}


def number(term: StrEnum | None) -> Any:
    """The contract's number of a term; 0 for none."""
    if term is None:
        return 0
    enum, prefix = CONTRACT[type(term)]
    return enum.Value(f"{prefix}_{term.name}")


def term(kind: type[T], value: int) -> T:
    """The term of a contract's number; one that is unspecified or unknown is a field that validation refuses."""
    enum, prefix = CONTRACT[kind]
    return kind[enum.Name(value).removeprefix(f"{prefix}_")]


def registration(request: pb.RegisterPetitionRequest, today: date) -> Registration:
    """What the clerk wrote down; without a class it is 申诉求决, without a date it came today."""
    return Registration(
        channel=term(Channel, request.channel),
        petition_class=term(PetitionClass, request.petition_class) if request.petition_class else PetitionClass.CLAIM,
        division_code=request.division_code,
        subject=request.subject.strip(),
        content=request.content.strip(),
        received_on=_day("received_on", request.received_on) or today,
        representatives=tuple(persons(request.representatives)),
        person_count=request.person_count,
        accused_unit=request.accused_unit.strip(),
        earlier_case_number=request.earlier_case_number.strip(),
        batch_no=request.batch_no.strip(),
        leader_reception=request.leader_reception,
        repeated=request.repeated,
        external_no=request.external_no.strip(),
        source_system=request.source_system.strip(),
    )


def filters(request: pb.ListPetitionsRequest) -> Filters:
    """What a list is narrowed to."""
    return Filters(
        states=frozenset(term(State, value) for value in request.states if value),
        channels=frozenset(term(Channel, value) for value in request.channels if value),
        division_prefix=request.division_prefix,
        received_from=_day("received_from", request.received_from),
        received_to=_day("received_to", request.received_to),
        text=request.text.strip(),
        colour=term(Colour, request.colour) if request.colour else None,
        case_number=request.case_number.strip(),
        external_no=request.external_no.strip(),
        source_system=request.source_system.strip(),
        leader_reception=request.leader_reception,
        import_job_id=request.import_job_id.strip(),
        suspected_duplicate=request.suspected_duplicate,
    )


def persons(given: Iterable[pb.Person]) -> list[Person]:
    """Persons as the caller wrote them."""
    return [Person(p.name.strip(), p.phone.strip(), p.id_no.strip(), p.address.strip()) for p in given]


def petition(shown: MaskedCase, at: datetime) -> pb.Petition:
    """A petition as an officer sees it at this instant."""
    p = shown.petition
    return pb.Petition(
        id=p.id, case_number=p.case_number, state=number(p.state), channel=number(p.channel),
        petition_class=number(p.petition_class), division_code=p.division_code, division_name=shown.division_name,
        person_count=p.person_count, representatives=map(_person, p.representatives), subject=p.subject,
        content=p.content, registered_unit=p.registered_unit, responsible_unit=p.responsible_unit, officer=p.officer,
        registered_at=stamp(p.registered_at), received_on=p.received_on.isoformat(),
        clocks=[_clock(deadline, at) for deadline in shown.deadlines], referrals=map(_referral, shown.referrals),
        outcome=number(p.outcome), opinion=p.opinion, legal_basis=p.legal_basis, reason=p.reason,
        route=number(p.route), satisfaction=number(p.satisfaction), evaluation_comment=p.evaluation_comment,
        owner_service=p.owner_service, owner_tier=p.owner_tier, origin_tier=p.origin_tier, owner_epoch=p.owner_epoch,
        earlier_case_number=p.earlier_case_number, batch_no=p.batch_no, leader_reception=p.leader_reception,
        repeated=p.repeated, external_no=p.external_no, source_system=p.source_system, import_job_id=p.import_job_id,
        suspected_duplicate_of=p.suspected_duplicate_of,
    )  # fmt: skip


def revealed(shown: Revealed) -> pb.RevealPetitionResponse:
    """Personal data in clear; the only reply that holds any."""
    return pb.RevealPetitionResponse(representatives=map(_person, shown.representatives), content=shown.content)


def timeline_entry(line: Line) -> pb.TimelineEntry:
    """A line of the timeline."""
    return pb.TimelineEntry(
        id=line.id, at=stamp(line.at), kind=line.kind, text=line.text_zh, text_en=line.text_en, actor=line.actor,
        unit=line.unit, seq=line.seq,
    )  # fmt: skip


def event(fact: Fact) -> Message:
    """The event by which the other services learn of a fact."""
    if isinstance(fact, MediationRequested):
        return _requested(fact, fact.petition)
    if isinstance(fact, MediationWithdrawn):
        return events.MediationWithdrawn(**vars(fact))
    return events.PetitionClockCrossed(**{**vars(fact), "due_on": fact.due_on.isoformat()})


if TYPE_CHECKING:
    AnyAnswer = (
        mediation.MediationAccepted
        | mediation.MediationRefused
        | mediation.MediationSettled
        | mediation.MediationFailed
        | mediation.MediationReturned
    )


def answer(given: AnyAnswer) -> Answer:
    """What every answer of the mediation centre carries."""
    return Answer(given.petition_id, given.referral_id, given.owner_epoch, getattr(given, "reason", ""))


def _requested(fact: MediationRequested, p: Petition) -> events.MediationRequested:
    return events.MediationRequested(
        referral_id=fact.referral_id, petition_id=p.id, case_number=p.case_number, division_code=p.division_code,
        owner_epoch=p.owner_epoch, subject=p.subject, content=p.content, dispute_type=fact.dispute_type,
        reason=fact.reason, parties=[events.Party(**vars(person)) for person in fact.parties],
        origin_tier=p.origin_tier, accused_unit=p.accused_unit, due_on=_iso(fact.due_on),
    )  # fmt: skip


def _person(person: Person) -> pb.Person:
    return pb.Person(name=person.name, phone=person.phone, id_no=person.id_no, address=person.address)


def _clock(deadline: Deadline, at: datetime) -> pb.Clock:
    limit = LIMITS.get(deadline.kind)
    return pb.Clock(
        id=deadline.id, kind=deadline.kind, title=limit.title_zh if limit else deadline.kind, source=deadline.source,
        length=deadline.length, unit=deadline.unit.value, started_on=deadline.started_on.isoformat(),
        amber_on=deadline.amber_on.isoformat(), due_on=deadline.due_on.isoformat(), provisional=deadline.provisional,
        colour=number(deadline.colour(at)), met_on=_iso(deadline.met_on), met_late=deadline.met_late,
    )  # fmt: skip


def _referral(referral: Referral) -> pb.Referral:
    return pb.Referral(
        id=referral.id, to_service=referral.to_service, state=number(referral.state), reason=referral.reason,
        answer=referral.answer, sent_at=stamp(referral.sent_at),
        answered_at=stamp(referral.answered_at) if referral.answered_at else None,
    )  # fmt: skip


def stamp(at: datetime) -> Timestamp:
    """An instant, as the contract writes it."""
    found = Timestamp()
    found.FromDatetime(at)
    return found


def _iso(day: date | None) -> str:
    return day.isoformat() if day else ""


def _day(field: str, text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as wrong:
        raise Invalid(
            field, f"没有这一天:{text},请按 2026-01-31 的格式填写。", f"There is no day {text}; write it as 2026-01-31."
        ) from wrong
