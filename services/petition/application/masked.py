"""What leaves the service: every name, phone, identity number and address masked, in fields and inside of texts."""

from __future__ import annotations

from dataclasses import replace
from typing import NewType

from services.chassis.masking import mask_address, mask_id_no, mask_name, mask_phone, mask_text
from services.chassis.referral import Referral
from services.petition.application.ports import Case, Line
from services.petition.domain.petition import Person, Petition

# Replies take this type and no other, so that a case in clear cannot be sent by mistake.
MaskedCase = NewType("MaskedCase", Case)


def mask(case: Case) -> MaskedCase:
    """The case as somebody without the right to reveal may read it."""
    names = case.petition.names
    referrals = tuple(_referral(referral, names) for referral in case.referrals)
    return MaskedCase(replace(case, petition=_petition(case.petition, names), referrals=referrals))


def mask_line(line: Line, names: list[str]) -> Line:
    """A line of the timeline; names that became known after it was written are masked too."""
    return replace(line, text_zh=mask_text(line.text_zh, names), text_en=mask_text(line.text_en, names))


def _petition(petition: Petition, names: list[str]) -> Petition:
    return replace(
        petition,
        persons=[_person(person) for person in petition.persons],
        subject=mask_text(petition.subject, names),
        content=mask_text(petition.content, names),
        opinion=mask_text(petition.opinion, names),
        legal_basis=mask_text(petition.legal_basis, names),
        reason=mask_text(petition.reason, names),
        evaluation_comment=mask_text(petition.evaluation_comment, names),
    )


def _person(person: Person) -> Person:
    return replace(
        person,
        name=mask_name(person.name),
        phone=mask_phone(person.phone),
        id_no=mask_id_no(person.id_no),
        address=mask_address(person.address),
    )


def _referral(referral: Referral, names: list[str]) -> Referral:
    return replace(referral, reason=mask_text(referral.reason, names), answer=mask_text(referral.answer, names))
