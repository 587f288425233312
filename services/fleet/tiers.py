"""Which tiers get a release of their own, and in which ring each is rolled out.

A division's level decides: the district, its streets and towns, their communities and villages. Development zones and
the communities inside them (`town_like`, `village_like`) exist in statistics; the district's own hall serves them.

Ring 0 is the district. Ring 1 is one town with three of its villages. Ring 2 fills up to a tenth of the releases, town
by town. Ring 3 is the rest. A parent is never in a later ring than its child.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

from services.fleet.divisions import Division
from services.fleet.mistakes import FleetMistake

CHARTS = {
    "district": "district", "street": "town", "town": "town", "community": "village", "village": "village",
}  # fmt: skip
DEPTH = {"district": 0, "town": 1, "village": 2}
FIRST_VILLAGES = 3
SECOND_SHARE = 0.1
DOMAIN = "zongzhi.example"


@dataclass(frozen=True)
class Tier:
    """One release: which tier it is, where it runs and when its turn comes."""

    code: str
    name: str
    tier: str
    parent: str
    cluster: str
    namespace: str
    ring: int
    gateway: str
    link: str

    @property
    def release(self) -> str:
        """The name of its Helm release."""
        return f"zz-{self.code}"


HEADER = tuple(field.name for field in fields(Tier))


def of_divisions(divisions: Iterable[Division], domain: str = DOMAIN) -> list[Tier]:
    """The tiers of a division table, parents before children."""
    chosen = {d.code: d for d in divisions if d.level in CHARTS}
    districts = [d.code for d in chosen.values() if CHARTS[d.level] == "district"]
    if len(districts) != 1:
        raise FleetMistake(
            f"区划表应恰有一个区县,现有 {len(districts)} 个。",
            f"The division table should hold exactly one district; it holds {len(districts)}.",
        )
    found = [_tier(d, districts[0], chosen, domain) for d in chosen.values()]
    return with_rings(in_order(found))


def _tier(division: Division, district: str, chosen: dict[str, Division], domain: str) -> Tier:
    tier = CHARTS[division.level]
    # A village of a zone that has no installation of its own hangs below the district.
    parent = "" if tier == "district" else division.parent if division.parent in chosen else district
    code = division.code
    # Children connect to their parent here; villages have none.
    link = "" if tier == "village" else f"amqps://link.{code}.{domain}:5671"
    return Tier(code, division.name, tier, parent, "", f"zongzhi-{code}", 0, f"https://{code}.{domain}", link)


def in_order(tiers: Iterable[Tier]) -> list[Tier]:
    """Parents before children, then by code."""
    return sorted(tiers, key=lambda tier: (DEPTH[tier.tier], tier.code))


def with_rings(tiers: Sequence[Tier]) -> list[Tier]:
    """The same tiers, each in its ring."""
    rings = {tier.code: 0 for tier in tiers if tier.tier == "district"}
    second = round(len(tiers) * SECOND_SHARE)
    towns = [tier for tier in tiers if tier.tier == "town"]
    for number, town in enumerate(towns):
        villages = [tier for tier in tiers if tier.parent == town.code]
        first = number == 0
        ring = 1 if first else 2 if len(rings) < second else 3
        rings[town.code] = ring
        for position, village in enumerate(villages):
            early = 1 if first and position < FIRST_VILLAGES else 2 if len(rings) < second else 3
            rings[village.code] = max(ring, early)
    return [replace(tier, ring=rings.get(tier.code, 3)) for tier in tiers]


def text(tiers: Iterable[Tier]) -> str:
    """The table as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(astuple(tier) for tier in tiers)
    return out.getvalue()


def load(folder: Path) -> list[Tier]:
    """tiers.csv, and on top of it what overrides/tiers.csv fills in (by code; an empty cell changes nothing)."""
    table = _rows(folder / "tiers.csv", required=True)
    for code, row in _rows(folder / "overrides" / "tiers.csv").items():
        table.setdefault(code, {}).update({name: value for name, value in row.items() if value})
    tiers = [_of_row(code, row) for code, row in table.items()]
    _check(tiers)
    return in_order(tiers)


def _rows(path: Path, required: bool = False) -> dict[str, dict[str, str]]:
    if not path.exists():
        if required:
            raise FleetMistake(
                f"找不到 {path},请用 --fleet 指出所在文件夹,或先运行 zongzhi fleet generate。",
                f"There is no {path}; say where with --fleet, or run zongzhi fleet generate first.",
            )
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        unknown = [name for name in reader.fieldnames or () if name not in HEADER]
        if unknown or "code" not in (reader.fieldnames or ()):
            raise FleetMistake(
                f"{path} 的表头应为 {','.join(HEADER)}。", f"The header of {path} should be {','.join(HEADER)}."
            )
        return {row["code"]: row for row in reader}


def _of_row(code: str, row: dict[str, str]) -> Tier:
    missing = [name for name in HEADER if name not in row]
    if missing or row["tier"] not in DEPTH or not row["ring"].isdigit():
        raise FleetMistake(
            f"tiers.csv 中 {code} 一行不完整:tier 应为 district、town 或 village,ring 应为整数。",
            f"The row of {code} in tiers.csv is incomplete: tier is district, town or village, ring a number.",
        )
    return Tier(**{name: row[name] for name in HEADER if name != "ring"}, ring=int(row["ring"]))


def _check(tiers: Sequence[Tier]) -> None:
    known = {tier.code: tier for tier in tiers}
    for tier in tiers:
        parent = known.get(tier.parent)
        if tier.parent and parent is None:
            raise FleetMistake(
                f"{tier.code} 的上级 {tier.parent} 不在 tiers.csv 中。",
                f"The parent {tier.parent} of {tier.code} is not in tiers.csv.",
            )
        if parent and (DEPTH[parent.tier] >= DEPTH[tier.tier] or parent.ring > tier.ring):
            raise FleetMistake(
                f"{tier.code} 不能排在上级 {parent.code} 之前:请检查两者的 tier 和 ring。",
                f"{tier.code} cannot come before its parent {parent.code}: look at tier and ring of both.",
            )
