"""What a reader of mediations may ask for, as plain data; `adapters/reads.py` turns it into SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.chassis import paging
from services.chassis.refusal import Invalid
from services.mediation.domain.mediation import Mediation, State

LARGEST_SEQ = 2**31 - 1


@dataclass(frozen=True)
class Wanted:
    """The filters of a list; empty means all."""

    states: frozenset[State] = frozenset()
    petition_id: str = ""
    text: str = ""
    division_prefix: str = ""

    def fingerprint(self) -> str:
        """The same filters give the same text, which binds a page token to them."""
        return repr((sorted(self.states), self.petition_id, self.text, self.division_prefix))


@dataclass(frozen=True)
class Position:
    """The mediation after which a page goes on."""

    applied_at: datetime
    id: str

    @classmethod
    def read(cls, token: str, wanted: Wanted) -> Position | None:
        """Where a token says to go on; None for the first page. A damaged token raises Invalid."""
        parts = paging.decode_token(token, wanted.fingerprint())
        if parts is None:
            return None
        try:
            at, mediation_id = parts
            position = cls(datetime.fromisoformat(at), mediation_id)
        except ValueError as wrong:
            raise _damaged() from wrong
        if position.applied_at.tzinfo is None or "\x00" in mediation_id:
            raise _damaged()
        return position

    @classmethod
    def after(cls, mediation: Mediation, wanted: Wanted) -> str:
        """The token that goes on behind this mediation."""
        return paging.encode_token((mediation.applied_at.isoformat(), mediation.id), wanted.fingerprint())


def read_seq(token: str, mediation_id: str) -> int:
    """The timeline's number after which a page goes on; 0 for the first page. A damaged token raises Invalid."""
    parts = paging.decode_token(token, _timeline_of(mediation_id))
    try:
        (text,) = ("0",) if parts is None else parts
        return min(max(int(text), 0), LARGEST_SEQ)
    except ValueError as wrong:
        raise _damaged() from wrong


def after_seq(seq: int, mediation_id: str) -> str:
    """The token that goes on behind this line of the timeline."""
    return paging.encode_token((str(seq),), _timeline_of(mediation_id))


def _timeline_of(mediation_id: str) -> str:
    return f"timeline {mediation_id}"


def _damaged() -> Invalid:
    zh, en = "翻页标记无效,请从第一页重新查询。", "The page token is damaged; start again without page_token."
    return Invalid("page_token", zh, en)
