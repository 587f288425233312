"""Between the domain and protobuf. A reply takes a MaskedMediation; personal data in clear leaves by Reveal alone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from protos.mediation.v1 import events_pb2 as events
from protos.mediation.v1 import mediation_pb2 as pb
from protos.petition.v1 import events_pb2 as petition_events
from services.chassis import ids
from services.chassis.deadline import Deadline
from services.chassis.timeline import Entry
from services.mediation.application.masked import MaskedMediation
from services.mediation.application.queries import Wanted
from services.mediation.application.use_cases import Revealed
from services.mediation.domain.limits import LIMITS
from services.mediation.domain.mediation import (
    Accepted,
    ClockCrossed,
    Consent,
    Fact,
    Failed,
    Form,
    Mediation,
    Party,
    Refused,
    Returned,
    Settled,
    State,
)

STATES: dict[State, Any] = {s: pb.MediationState.Value(f"MEDIATION_STATE_{s.name}") for s in State}
CONSENTS: dict[Consent, Any] = {c: pb.Consent.Value(f"CONSENT_{c.name}") for c in Consent}
FORMS: dict[Form, Any] = {f: pb.AgreementForm.Value(f"AGREEMENT_FORM_{f.name}") for f in Form}
FORM_OF = {number: form for form, number in FORMS.items()}


def mediation_of(
    event: petition_events.MediationRequested, *, unit: str, from_tier: str, to_tier: str, now: datetime
) -> Mediation:
    """The mediation that a request opens. Until it is accepted the case is the asking tier's."""
    return Mediation(
        id=ids.uuid7(),
        referral_id=event.referral_id,
        petition_id=event.petition_id,
        case_number=event.case_number,
        round=0,
        division_code=event.division_code,
        dispute_type=event.dispute_type,
        subject=event.subject,
        content=event.content,
        referral_reason=event.reason,
        unit=unit,
        accused_unit=event.accused_unit,
        applied_at=now,
        owner_epoch=event.owner_epoch,
        owner_tier=from_tier,
        origin_tier=event.origin_tier,
        from_tier=from_tier,
        to_tier=to_tier,
        petition_due_on=date.fromisoformat(event.due_on) if event.due_on else None,
        parties=[Party(p.id, p.side, p.name, p.phone, p.id_no, p.address) for p in event.parties],
    )


def event_of(mediation: Mediation, fact: Fact) -> Message:
    """What the hall is told."""
    about = {"referral_id": mediation.referral_id, "mediation_id": mediation.id, "petition_id": mediation.petition_id}
    epoch = mediation.owner_epoch
    match fact:
        case Accepted():
            return events.MediationAccepted(**about, owner_epoch=epoch)
        case Refused(reason):
            return events.MediationRefused(**about, owner_epoch=epoch, reason=reason)
        case Settled(agreement_no, form):
            return events.MediationSettled(**about, owner_epoch=epoch, agreement_no=agreement_no, form=form.value)
        case Failed(reason):
            return events.MediationFailed(**about, owner_epoch=epoch, reason=reason)
        case Returned():
            return events.MediationReturned(**about, owner_epoch=epoch)
        case ClockCrossed(kind, colour, due_on):
            return events.MediationClockCrossed(**about, kind=kind, colour=colour, due_on=due_on.isoformat())


def wanted(request: pb.ListMediationsRequest) -> Wanted:
    """The filters of a list."""
    states = frozenset(state for state, number in STATES.items() if number in request.states)
    return Wanted(states, request.petition_id, request.text, request.division_prefix)


def message_of(mediation: MaskedMediation, clocks: Iterable[Deadline], now: datetime) -> pb.Mediation:
    """A mediation as a mediator sees it."""
    return pb.Mediation(
        id=mediation.id,
        referral_id=mediation.referral_id,
        petition_id=mediation.petition_id,
        case_number=mediation.case_number,
        state=STATES[mediation.state],
        dispute_type=mediation.dispute_type,
        division_code=mediation.division_code,
        subject=mediation.subject,
        content=mediation.content,
        referral_reason=mediation.referral_reason,
        parties=[_party(party) for party in mediation.parties],
        unit=mediation.unit,
        mediator=mediation.mediator,
        applied_at=_stamp(mediation.applied_at),
        closed_at=_stamp(mediation.closed_at),
        clocks=[_clock(clock, now) for clock in clocks],
        petition_due_on=_day(mediation.petition_due_on),
        petition_colour=mediation.petition_colour,
        reason=mediation.reason,
        form=FORMS[mediation.form] if mediation.form else pb.AGREEMENT_FORM_UNSPECIFIED,
        agreement_no=mediation.agreement_no,
        terms=mediation.terms,
        perform_by=_day(mediation.perform_by),
        owner_epoch=mediation.owner_epoch,
        owner_tier=mediation.owner_tier,
        origin_tier=mediation.origin_tier,
        officer=mediation.officer,
    )


def entry_of(entry: Entry) -> pb.MediationEntry:
    """A line of the timeline."""
    return pb.MediationEntry(
        id=entry.id,
        at=_stamp(entry.at),
        kind=entry.kind,
        text=entry.text_zh,
        text_en=entry.text_en,
        actor=entry.actor,
        unit=entry.unit,
        seq=entry.seq,
    )


def revealed(shown: Revealed) -> pb.RevealMediationResponse:
    """Only the fields that were asked for, in clear."""
    return pb.RevealMediationResponse(parties=[_party(party) for party in shown.parties], content=shown.content)


def _party(party: Party) -> pb.Party:
    return pb.Party(
        id=party.id,
        side=party.side,
        name=party.name,
        phone=party.phone,
        id_no=party.id_no,
        address=party.address,
        consent=CONSENTS[party.consent],
    )


def _clock(deadline: Deadline, now: datetime) -> pb.MediationClock:
    return pb.MediationClock(
        id=deadline.id,
        kind=deadline.kind,
        title=LIMITS[deadline.kind].title_zh,
        source=deadline.source,
        length=deadline.length,
        unit=deadline.unit.value,
        started_on=_day(deadline.started_on),
        amber_on=_day(deadline.amber_on),
        due_on=_day(deadline.due_on),
        provisional=deadline.provisional,
        colour=deadline.colour(now).value,
        met_on=_day(deadline.met_on),
        met_late=deadline.met_late,
    )


def _stamp(at: datetime | None) -> Timestamp | None:
    if at is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp


def _day(day: date | None) -> str:
    return day.isoformat() if day else ""
