"""Slips: who prints one, what may stand on it, and that every print is remembered."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from services.chassis.masking import mask_text
from services.chassis.refusal import Invalid, Refusal
from services.petition.application import attempts
from services.petition.application.following import Citizen, Desk, opened
from services.petition.application.use_cases import seen
from services.petition.domain import public_page
from services.petition.domain.petition import Petition
from services.petition.domain.slip import Print, Slip, slip_of


@dataclass(frozen=True)
class PrintOrder:
    """The code that shall stand on the paper, as it is hashed and as it is read; empty for none."""

    code: str
    shown: str
    public_url: str


def print_slip(desk: Desk, petition_id: str, order: PrintOrder) -> Slip:
    """The window prints a slip; a code that is not this case's does not get onto it."""
    petition = seen(desk.work, petition_id)
    if order.code and not hmac.compare_digest(desk.following.by_code(order.code) or "", petition.id):
        raise Invalid(
            "public_code",
            "查询码不是本件的,或已换发失效;不填则打印不带码的回执。",
            "This is not the code of this case, or no longer; leave it empty to print a slip without one.",
        )
    return _printed(desk, petition, order, with_subject=True, by="窗口")


def slip_for_citizen(desk: Desk, citizen: Citizen, order: PrintOrder) -> Slip | Refusal:
    """Whoever holds the code prints the slip; what was asked stands on it when they prove themselves too."""
    petition = opened(desk, citizen)
    if isinstance(petition, Refusal):
        return petition
    attempts.PRINTS.check(desk.following, f"source:{citizen.source}", desk.work.now)
    desk.following.tried(attempts.PRINTS.purpose, f"source:{citizen.source}")
    locked = desk.work.petitions.get(petition.id)
    return _printed(desk, locked, order, with_subject=citizen.proof is not None, by="查询码持有人")


def _printed(desk: Desk, petition: Petition, order: PrintOrder, *, with_subject: bool, by: str) -> Slip:
    number = desk.following.printed(petition.id)
    again = ",补打" if number > 1 else ""
    zh = f"{by}打印回执(第 {number} 次{again}{',带查询码' if order.code else ''})"
    desk.work.tell(petition.id, "petition.slip_printed", zh, f"Slip printed, no. {number}")
    desk.work.record("petition.print_slip", petition.id, number=number, with_code=bool(order.code))
    office = desk.offices.public(public_page.unit_in_charge(petition))
    clock = public_page.binding(desk.clocks(petition.id))
    made = Print(order.shown, order.public_url, with_subject, desk.work.today, number)
    subject = mask_text(petition.subject, petition.names)
    colour = clock.colour(desk.work.now) if clock else None
    return slip_of(petition, subject, (office.name, office.phone), clock, colour, made)
