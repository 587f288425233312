"""Finds phones, identity numbers and card numbers in free text, also full-width ones and ones broken by separators.

A run is digits with up to three separators between them. Within a run the groups of digits are joined again: what is
surely a number of one kind is taken first, and what is left over and long enough is hidden whole: hiding a number that
was harmless costs a question, showing one that was not costs more. Dates and amounts stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

SEPARATOR = r"[\s\-‐‑‒–—―−－_.·•/\\()（）\u200b-\u200d\u2060\ufeff]"
RUN = re.compile(rf"\d+(?:{SEPARATOR}{{1,3}}\d+)*(?:{SEPARATOR}{{0,3}}[XxＸｘ](?![A-Za-zＡ-Ｚａ-ｚ]))?")
GROUP = re.compile(r"\d+|[XxＸｘ]")
IN_WORDS = re.compile(r"[〇○零一二三四五六七八九幺]{11,}")
NAMED_LANDLINE = re.compile(rf"((?:电话|座机|固话|传真|[Tt][Ee][Ll])\D{{0,6}}?)(\d{{3,4}}{SEPARATOR}?\d{{4}})(?!\d)")
MOBILE = re.compile(r"(?:0{0,2}86)?0?(1[3-9]\d{9})", re.ASCII)
LANDLINE = re.compile(r"(?:0086)?0[1-9]\d{8,10}|0086[1-9]\d{8,10}", re.ASCII)
ID = re.compile(r"[1-9]\d{5}(?:\d{2})?\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dX]?", re.ASCII)
YEAR = re.compile(r"(?:19|20)\d{2}", re.ASCII)
DATES = re.compile(r"(?:Ys{2,5})+")  # years, each with month and day and perhaps a time
MOST_DIGITS = 21
SHORTEST_LONG = 15
SHORTEST_CARD = 16
SHORTEST_KNOWN = 10  # a landline with its area code


class Kind(Enum):
    """What a number in a text is, as far as can be told."""

    PHONE = auto()
    ID = auto()
    CARD = auto()
    LONG = auto()


@dataclass(frozen=True)
class _Group:
    start: int
    end: int
    digits: str


Mask = Callable[[Kind, str], str]
_Rule = Callable[[list[_Group]], Kind | None]


def mobile(digits: str) -> str | None:
    """The eleven digits of a Chinese mobile phone, without country code; None if it is none."""
    found = MOBILE.fullmatch(digits)
    return found[1] if found else None


def replace(text: str, mask: Mask) -> str:
    """The text with each number found replaced by what `mask` makes of its kind and its plain digits."""
    text = IN_WORDS.sub(lambda found: mask(Kind.LONG, found[0]), text)
    text = RUN.sub(lambda run: _replace_in(run[0], mask, plus=text[: run.start()].endswith(("+", "＋"))), text)
    return NAMED_LANDLINE.sub(lambda found: found[1] + mask(Kind.PHONE, _plain(found[2])), text)


def _replace_in(run: str, mask: Mask, plus: bool) -> str:
    groups = [_Group(found.start(), found.end(), _plain(found[0])) for found in GROUP.finditer(run)]
    out, at = "", 0
    for span, kind in sorted(_found(groups, plus), key=lambda item: item[0][0].start):
        out += run[at : span[0].start] + mask(kind, _digits(span))
        at = span[-1].end
    return out + run[at:]


def _found(groups: list[_Group], plus: bool) -> Iterator[tuple[list[_Group], Kind]]:
    """Spans of neighbouring groups with their kind: the surest rule first, each group used once."""
    stretches = [groups]
    for rule in (_single, _card_in_fours, _identity, _phone_of(plus)):
        left: list[list[_Group]] = []
        for stretch in stretches:
            for span, kind in _split(stretch, rule):
                if kind is None:
                    left.append(span)
                else:
                    yield span, kind
        stretches = left
    yield from ((stretch, Kind.LONG) for stretch in stretches if _is_long(stretch))


def _split(groups: list[_Group], rule: _Rule) -> Iterator[tuple[list[_Group], Kind | None]]:
    """Cuts a stretch into spans to which the rule applies, the longest first at each place, and the rest between."""
    begin = at = 0
    while at < len(groups):
        end, kind = _longest(groups, at, rule)
        if kind is None:
            at += 1
            continue
        if begin < at:
            yield groups[begin:at], None
        yield groups[at:end], kind
        begin = at = end
    if begin < at:
        yield groups[begin:at], None


def _longest(groups: list[_Group], at: int, rule: _Rule) -> tuple[int, Kind | None]:
    """The longest span from here that the rule takes: where it ends and what it is."""
    taken: tuple[int, Kind | None] = (at, None)
    digits = 0
    for end in range(at + 1, len(groups) + 1):
        digits += len(groups[end - 1].digits)
        if digits > MOST_DIGITS and end > at + 1:
            break
        kind = rule(groups[at:end]) if digits >= SHORTEST_KNOWN else None
        taken = (end, kind) if kind else taken
    return taken


def _single(span: list[_Group]) -> Kind | None:
    """One unbroken number, an X as its last sign included."""
    if len(span) > 2 or (len(span) == 2 and span[1].digits != "X"):
        return None
    digits = _digits(span)
    if len(digits) in (15, 18):
        return Kind.ID
    if len(span) == 2:
        return None
    if mobile(digits):
        return Kind.PHONE
    return Kind.CARD if len(digits) >= SHORTEST_CARD else None


def _card_in_fours(span: list[_Group]) -> Kind | None:
    fours = len(span) >= 4 and all(len(group.digits) == 4 for group in span[:-1])
    return Kind.CARD if fours and len(span[-1].digits) <= 4 and 16 <= len(_digits(span)) <= 19 else None


def _identity(span: list[_Group]) -> Kind | None:
    digits = _digits(span)
    return Kind.ID if len(digits) in (15, 18) and ID.fullmatch(digits) else None


def _phone_of(plus: bool) -> _Rule:
    def phone(span: list[_Group]) -> Kind | None:
        digits = _digits(span)
        if plus and span[0].start == 0 and digits.startswith("86"):
            digits = "00" + digits
        return Kind.PHONE if mobile(digits) or LANDLINE.fullmatch(digits) else None

    return phone


def _is_long(span: list[_Group]) -> bool:
    if sum(len(group.digits) for group in span) < SHORTEST_LONG:
        return False
    signs = ("Y" if YEAR.fullmatch(g.digits) else "s" if len(g.digits) <= 2 else "x" for g in span)
    return not DATES.fullmatch("".join(signs))


def _digits(span: list[_Group]) -> str:
    return "".join(group.digits for group in span)


def _plain(digits: str) -> str:
    return "".join("X" if c in "XxＸｘ" else str(int(c)) for c in digits if c.isdecimal() or c in "XxＸｘ")
