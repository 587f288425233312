"""The units that follow from the divisions by rule: each town has its centre 两中心合一, each village its own unit.

A town's unit is `<9 digits>-ZX`, a village's `<12 digits>-ZX`. Zones (`town_like`, `village_like`) have none. A unit
holds for as long as its division carries its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date

from services.chassis.directory_entries import DIVISIONS, TOWN_LEVELS, UNITS, VILLAGE_LEVELS, Entry

TOWN_UNIT, VILLAGE_UNIT = "town", "village"
CENTRE = "综治中心"
SUFFIX = "-ZX"


def unit_code(division: str) -> str:
    """The code of the unit that a town or village has by rule."""
    return (division[:9] if division.endswith("000") else division) + SUFFIX


def is_derived(unit: str) -> bool:
    """Whether a unit's code is one that the rule gives."""
    return re.fullmatch(rf"\d{{9}}(?:\d{{3}})?{SUFFIX}", unit) is not None


def units_of(divisions: Iterable[Entry]) -> list[Entry]:
    """The units of all towns and villages among these divisions, in all their periods."""
    given = [entry for entry in divisions if entry.kind == DIVISIONS]
    towns: dict[str, list[Entry]] = {}
    for entry in given:
        towns.setdefault(entry.code, []).append(entry)
    return [unit for entry in given for unit in _units(entry, towns.get(entry.parent, []))]


def _units(division: Entry, above: list[Entry]) -> Iterator[Entry]:
    if division.level in TOWN_LEVELS:
        yield _unit(division, division.name + CENTRE, TOWN_UNIT, "", division.valid_from, division.valid_to)
    elif division.level in VILLAGE_LEVELS:
        for town in above:
            # Village names repeat (双河, 和平), so the town stands before; when the town's name changes, so does this.
            since, until = max(division.valid_from, town.valid_from), _earlier(division.valid_to, town.valid_to)
            if until is None or since <= until:
                name = town.name + village_name(division) + CENTRE
                yield _unit(division, name, VILLAGE_UNIT, unit_code(town.code), since, until)


def village_name(division: Entry) -> str:
    """里山村委会 → 里山村, 秀山居委会 → 秀山社区."""
    plain = division.name
    for ending in ("居民委员会", "村民委员会", "居委会", "村委会", "委员会", "委会"):
        if plain.endswith(ending) and len(plain) > len(ending):
            plain = plain.removesuffix(ending)
            break
    if division.level == "village":
        return plain if plain.endswith("村") else plain + "村"
    return plain if plain.endswith("社区") else plain + "社区"


def _unit(division: Entry, name: str, kind: str, superior: str, since: date, until: date | None) -> Entry:
    fields = {"presence": "resident"} | ({"superior": superior} if superior else {})
    return Entry(UNITS, unit_code(division.code), since, until, name, division.code, kind, fields)


def _earlier(one: date | None, other: date | None) -> date | None:
    return min(one, other) if one and other else one or other
