"""What people ask of the directory: pages by code, one entry, counts, versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Generic, TypeVar

from services.chassis import paging
from services.chassis.directory_entries import DIVISIONS, STAFF, TOWN_LEVELS, VILLAGE_LEVELS
from services.chassis.identity import Identity
from services.chassis.masking import mask_name, mask_phone
from services.chassis.refusal import Invalid, NotFound
from services.grid.application.ports import Filters, LogLine, Person, Reads, Shown
from services.grid.domain.terms import KIND_EN, KIND_ZH

T = TypeVar("T")
LARGEST = 2**62


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some of a list, and the token of the next page."""

    items: list[T]
    next_token: str


@dataclass(frozen=True)
class Counts:
    """How many divisions there are of each level on a day."""

    as_of: date
    levels: Mapping[str, int]

    @property
    def towns(self) -> int:
        """Streets and towns; zones are none."""
        return sum(self.levels.get(level, 0) for level in TOWN_LEVELS)

    @property
    def villages(self) -> int:
        """Communities and villages; what lies in zones is none."""
        return sum(self.levels.get(level, 0) for level in VILLAGE_LEVELS)


def list_entries(reads: Reads, caller: Identity, filters: Filters, size: int, token: str) -> Page[Shown]:
    """A page of a kind by code, people masked and only of the caller's subtree."""
    limit, narrowed = paging.page_size(size), _fingerprint(filters)
    after = (paging.decode_token(token, narrowed) or ("",))[0]
    wanted = replace(filters, scope=caller.scope) if filters.kind == STAFF else filters
    found = reads.page(wanted, after, limit + 1)
    next_token = paging.encode_token((found[limit - 1].entry.code,), narrowed) if len(found) > limit else ""
    return Page([mask(shown) for shown in found[:limit]], next_token)


def get_entry(reads: Reads, caller: Identity, kind: str, code: str, on: date) -> Shown:
    """One entry as it holds on a day, people masked."""
    found = reads.one(kind, code, on)
    if found is None or (kind == STAFF and not works_in_subtree(reads, caller, found, on)):
        raise no_entry(kind, code)
    return mask(found)


def count_divisions(reads: Reads, on: date, code_prefix: str) -> Counts:
    """How many towns, villages and zones there are on a day."""
    return Counts(on, reads.count(DIVISIONS, on, code_prefix))


def list_versions(reads: Reads, kind: str, size: int, token: str) -> Page[LogLine]:
    """The history of a kind, newest first."""
    limit, narrowed = paging.page_size(size), f"versions {kind}"
    before = _number(paging.decode_token(token, narrowed))
    found = reads.log(kind, before, limit + 1)
    next_token = paging.encode_token((str(found[limit - 1].version),), narrowed) if len(found) > limit else ""
    return Page(found[:limit], next_token)


def works_in_subtree(reads: Reads, caller: Identity, shown: Shown, on: date) -> bool:
    """Whether a person's unit serves a division that the caller covers."""
    unit = reads.one("units", shown.entry.parent, on)
    return unit is not None and caller.covers(unit.entry.parent)


def mask(shown: Shown) -> Shown:
    """The entry without anybody's name or phone in clear."""
    return replace(shown, person=Person(mask_name(shown.person.name), mask_phone(shown.person.phone)))


def no_entry(kind: str, code: str) -> NotFound:
    """There is none, or none for this caller; the two are not told apart."""
    return NotFound.thing(f"该{KIND_ZH[kind]}", KIND_EN[kind], code)


def _fingerprint(filters: Filters) -> str:
    own = {name: value for name, value in vars(filters).items() if name not in ("fields", "levels")}
    further = {name: sorted(values) for name, values in (filters.fields or {}).items()}
    return f"{own} {sorted(filters.levels)} {sorted(further.items())}"


def _number(parts: tuple[str, ...] | None) -> int:
    if parts is None:
        return LARGEST
    try:
        (text,) = parts
        return min(int(text), LARGEST)
    except ValueError as wrong:
        zh, en = "翻页标记无效,请从第一页重新查询。", "The page token is damaged; start again without page_token."
        raise Invalid("page_token", zh, en) from wrong
