"""What leaves the service: every name, phone, identity number and address masked, in fields and inside of texts."""

from __future__ import annotations

from dataclasses import replace
from typing import NewType

from services.chassis.masking import mask_address, mask_id_no, mask_name, mask_phone, mask_text
from services.mediation.domain.mediation import Mediation, Party

# Replies take this type and no other, so that a mediation in clear cannot be sent by mistake.
MaskedMediation = NewType("MaskedMediation", Mediation)


def mask(mediation: Mediation) -> MaskedMediation:
    """The mediation as somebody without the right to reveal may read it."""
    names = mediation.names
    return MaskedMediation(
        replace(
            mediation,
            parties=[_party(party) for party in mediation.parties],
            dispute_type=mask_text(mediation.dispute_type, names),
            subject=mask_text(mediation.subject, names),
            content=mask_text(mediation.content, names),
            referral_reason=mask_text(mediation.referral_reason, names),
            reason=mask_text(mediation.reason, names),
            terms=mask_text(mediation.terms, names),
        )
    )


def _party(party: Party) -> Party:
    return replace(
        party,
        name=mask_name(party.name),
        phone=mask_phone(party.phone),
        id_no=mask_id_no(party.id_no),
        address=mask_address(party.address),
    )
