"""The tables that this release ships for the directory, from which every service starts."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path

from services.chassis.directory_entries import BEGINNING, CALENDARS, CATEGORIES, DIVISIONS, KINDS, UNITS, Entry

DATA = Path(__file__).parent / "data"
FILES = {
    DIVISIONS: ("divisions.csv",),
    UNITS: ("units.csv", "units_derived.csv"),
    CALENDARS: ("holidays.csv",),
    CATEGORIES: ("categories.csv",),
}
# The entry's field for each column of a shipped file, and the column's heading.
COLUMNS: dict[str, dict[str, str]] = {
    DIVISIONS: {
        "code": "stat_code", "mca_code": "mca_code", "name": "name", "level": "level", "parent": "parent",
        "valid_from": "valid_from", "valid_to": "valid_to",
    },
    UNITS: {
        "code": "code", "name": "name", "level": "kind", "parent": "division", "superior": "superior",
        "presence": "presence", "rota": "rota", "valid_from": "valid_from", "valid_to": "valid_to",
    },
    CALENDARS: {"code": "date", "level": "kind", "name": "name"},
    CATEGORIES: {"code": "code", "name": "name", "level": "set", "parent": "parent"},
}  # fmt: skip
_OWN = ("code", "name", "parent", "level", "valid_from", "valid_to")


@cache
def shipped(kind: str) -> tuple[Entry, ...]:
    """The entries of a kind that this release brings along; none of posts and staff, which are each office's own."""
    return tuple(entry for name in FILES.get(kind, ()) for entry in read(kind, DATA / name))


def read(kind: str, path: Path) -> Iterator[Entry]:
    """The entries of one file of our own making; its lines beginning with # name the source."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            given = {field: row.get(heading, "") or "" for field, heading in COLUMNS[kind].items()}
            yield Entry(
                kind,
                given["code"],
                date.fromisoformat(given["valid_from"]) if given.get("valid_from") else BEGINNING,
                date.fromisoformat(given["valid_to"]) if given.get("valid_to") else None,
                given["name"],
                given.get("parent", ""),
                given["level"],
                {name: text for name, text in given.items() if name not in _OWN and text},
            )


def everything() -> dict[str, tuple[Entry, ...]]:
    """All shipped entries by kind."""
    return {kind: shipped(kind) for kind in KINDS}
