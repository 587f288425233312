"""The division table that the software ships with: the one function by which the fleet reads it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from services.chassis import directory_shipped
from services.chassis.directory_entries import DIVISIONS


@dataclass(frozen=True)
class Division:
    """A row of the table that is in force."""

    code: str
    name: str
    level: str
    parent: str


def shipped(on: date, path: Path | None = None) -> list[Division]:
    """Every division in force on a day, in the order of its code."""
    rows = directory_shipped.read(DIVISIONS, path) if path else directory_shipped.shipped(DIVISIONS)
    known = [Division(row.code, row.name, row.level, row.parent) for row in rows if row.holds(on)]
    return sorted(known, key=lambda division: division.code)
