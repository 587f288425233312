"""How many registrations and persons there are, by one kind of group, among what the caller may see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, String, cast, func, select

from services.chassis.identity import Identity
from services.petition.adapters.reads import narrowed_by_row, seen_by
from services.petition.adapters.tables import petitions
from services.petition.application.ports import Directory, Filters
from services.petition.domain.terms import CHANNEL_ZH, STATE_ZH, Channel, State

_C = petitions.c
TOWN_DIGITS = 9


class CountBy(StrEnum):
    """What petitions are counted by."""

    CHANNEL = "CHANNEL"
    MONTH = "MONTH"
    TOWN = "TOWN"
    STATE = "STATE"
    LEADER_RECEPTION = "LEADER_RECEPTION"


@dataclass(frozen=True)
class Tally:
    """Registrations (批) and persons (人次) of one group."""

    key: str
    title: str
    visits: int
    persons: int


_GROUPS: dict[CountBy, ColumnElement[Any]] = {
    CountBy.CHANNEL: _C.channel,
    # A date as text begins with year and month on both databases.
    CountBy.MONTH: func.substr(cast(_C.received_on, String), 1, 7),
    CountBy.TOWN: func.substr(_C.division_code, 1, TOWN_DIGITS),
    CountBy.STATE: _C.state,
    CountBy.LEADER_RECEPTION: _C.leader_reception,
}


def count(
    conn: Connection, caller: Identity, filters: Filters, by: CountBy | None, directory: Directory
) -> tuple[Tally, list[Tally]]:
    """The whole, and its groups by key."""
    conditions = [*seen_by(caller), *narrowed_by_row(filters)]
    if not filters.states:
        conditions.append(_C.state != State.VOIDED.value)
    sums: tuple[ColumnElement[Any], ...] = (func.count(), func.coalesce(func.sum(_C.person_count), 0))
    whole = conn.execute(select(*sums).where(*conditions)).one()
    total = Tally("", "", int(whole[0]), int(whole[1]))
    if by is None:
        return total, []
    group = _GROUPS[by]
    named = _NAMES[by]
    rows = conn.execute(select(group, *sums).where(*conditions).group_by(group).order_by(group))
    return total, [Tally(*named(row[0], directory), int(row[1]), int(row[2])) for row in rows]


def _town(value: str, directory: Directory) -> tuple[str, str]:
    division = directory.division(f"{value}000")
    return value, division.name if division else value


_NAMES: dict[CountBy, Callable[[Any, Directory], tuple[str, str]]] = {
    CountBy.CHANNEL: lambda value, _: (f"CHANNEL_{value}", CHANNEL_ZH[Channel(value)]),
    CountBy.MONTH: lambda value, _: (value, f"{value[:4]}年{int(value[5:])}月"),
    CountBy.TOWN: _town,
    CountBy.STATE: lambda value, _: (f"PETITION_STATE_{value}", STATE_ZH[State(value)]),
    CountBy.LEADER_RECEPTION: lambda value, _: ("true", "领导接访") if value else ("false", "其他接访"),
}
