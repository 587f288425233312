"""The division table that the software ships with: the one function by which the fleet reads it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from services.fleet.mistakes import FleetMistake

SERVICES = Path(__file__).parent.parent


@dataclass(frozen=True)
class Division:
    """A row of the table that is in force."""

    code: str
    name: str
    level: str
    parent: str


def shipped(on: date, path: Path | None = None) -> list[Division]:
    """Every division in force on a day, in the order of its code."""
    with (path or _path()).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if _in_force(row, on)]
    known = [Division(row["code"], row["name"], row["level"], row["parent"]) for row in rows]
    return sorted(known, key=lambda division: division.code)


def _path() -> Path:
    found = sorted(SERVICES.glob("*/data/divisions.csv"))
    if not found:
        raise FleetMistake(
            f"{SERVICES} 下没有 data/divisions.csv。", f"There is no data/divisions.csv below {SERVICES}."
        )
    return found[0]


def _in_force(row: dict[str, str], on: date) -> bool:
    """A row without dates has always been in force."""
    begun, ended = row.get("valid_from") or "", row.get("valid_to") or ""
    return (not begun or date.fromisoformat(begun) <= on) and (not ended or on < date.fromisoformat(ended))
