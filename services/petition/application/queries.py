"""Reads for screens: what the caller may see, masked, in pages. None of them locks a petition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from services.chassis import paging
from services.chassis.deadline import Colour
from services.chassis.identity import Identity
from services.chassis.refusal import Invalid
from services.petition.application.masked import MaskedCase, mask, mask_line
from services.petition.application.ports import Filters, Line, Position, Reads, Work
from services.petition.application.use_cases import no_petition
from services.petition.domain.petition import Petition
from services.petition.domain.visibility import may_see

T = TypeVar("T")
LISTED_COLOURS = (Colour.GREEN, Colour.AMBER, Colour.RED)
PERSON_KEYS = ("phone", "id_no", "name")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page, and the token of the next; empty on the last."""

    items: list[T]
    next_token: str


@dataclass(frozen=True)
class PageRequest:
    """How long a page is wanted (0: 50), and after which token."""

    size: int = 0
    token: str = ""


def get_petition(reads: Reads, caller: Identity, petition_id: str) -> MaskedCase:
    """One petition; NotFound when there is none, or none for this caller."""
    case = reads.case(petition_id)
    if case is None or not may_see(caller, case.petition):
        raise no_petition(petition_id)
    return mask(case)


def list_petitions(
    reads: Reads, caller: Identity, filters: Filters, wanted: PageRequest, now: datetime
) -> Page[MaskedCase]:
    """Petitions that the caller may see, newest first."""
    if filters.colour is not None and filters.colour not in LISTED_COLOURS:
        raise Invalid(
            "colour",
            "时限状态只能选绿灯、黄灯或红灯。",
            "colour takes COLOUR_GREEN, COLOUR_AMBER or COLOUR_RED.",
        )
    size, narrowed = paging.page_size(wanted.size), _fingerprint(filters)
    after = position_of(paging.decode_token(wanted.token, narrowed))
    found = reads.page(caller, filters, after, size + 1, now)
    token = ""
    if len(found) > size:
        last = found[size - 1].petition
        token = paging.encode_token((last.registered_at.isoformat(), last.id), narrowed)
    return Page([mask(case) for case in found[:size]], token)


def find_petitions(
    work: Work, reads: Reads, given: dict[str, str], hashed: Callable[[str, str], str], wanted: PageRequest
) -> Page[MaskedCase]:
    """Petitions of one person, by exactly one of phone, identity number and name. Who searched is kept in the audit."""
    criteria = {key: text for key, text in given.items() if text.strip()}
    if len(criteria) != 1:
        raise Invalid(
            "phone",
            "请在电话、证件号码、姓名中只填一项。",
            "Fill in exactly one of phone, id_no and name.",
        )
    ((key, text),) = criteria.items()
    filters = Filters(person_key=key, person_hash=hashed(key, text))
    page = list_petitions(reads, work.identity, filters, wanted, work.now)
    work.record("petition.find", "", criterion=key, found=len(page.items))
    return page


def list_timeline(reads: Reads, caller: Identity, petition_id: str, wanted: PageRequest) -> Page[Line]:
    """What happened to a case, oldest first."""
    petition = reads.petition(petition_id)
    if petition is None or not may_see(caller, petition):
        raise no_petition(petition_id)
    size = paging.page_size(wanted.size)
    after = paging.decode_token(wanted.token, petition_id)
    found = reads.timeline(petition_id, _number(after), size + 1)
    lines = [mask_line(line, petition.names) for line in found[:size]]
    token = paging.encode_token((str(lines[-1].seq),), petition_id) if len(found) > size else ""
    return Page(lines, token)


def seen_petition(reads: Reads, caller: Identity, petition_id: str) -> Petition:
    """The petition alone, for reads beside it; what the caller may not see does not exist for them."""
    petition = reads.petition(petition_id)
    if petition is None or not may_see(caller, petition):
        raise no_petition(petition_id)
    return petition


def _fingerprint(filters: Filters) -> str:
    return "|".join(str(sorted(value) if isinstance(value, frozenset) else value) for value in vars(filters).values())


def position_of(parts: tuple[str, ...] | None) -> Position | None:
    """Where a page goes on, as its token says."""
    if parts is None:
        return None
    try:
        at, petition_id = parts
        position = Position(datetime.fromisoformat(at), petition_id)
    except ValueError as wrong:
        raise _damaged() from wrong
    if position.registered_at.tzinfo is None:
        raise _damaged()
    return position


def _number(parts: tuple[str, ...] | None) -> int:
    if parts is None:
        return 0
    try:
        (seq,) = parts
        return min(int(seq), 2**31 - 1)
    except ValueError as wrong:
        raise _damaged() from wrong


def _damaged() -> Invalid:
    return Invalid(
        "page_token", "翻页标记无效,请从第一页重新查询。", "The page token is damaged; start again without page_token."
    )
