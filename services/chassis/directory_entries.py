"""The words of the directory that every service shares: what an entry is, and when it holds. Pure data.

An entry is one code in one period. A code that changes gets a new entry and the one before ends the day before; nothing
is overwritten and nothing deleted, so that any day of the past can be asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

DIVISIONS, UNITS, POSTS, STAFF, CALENDARS, CATEGORIES = (
    "divisions", "units", "posts", "staff", "calendars", "categories",
)  # fmt: skip
KINDS = (DIVISIONS, UNITS, POSTS, STAFF, CALENDARS, CATEGORIES)
# The beginning of what began before anybody wrote it down. Never shown as a date.
BEGINNING = date.min

TOWN_LEVELS = frozenset({"street", "town"})
VILLAGE_LEVELS = frozenset({"community", "village"})

# Sets of categories.
PETITION_CONTENT, DISPUTE, EVENT = "petition", "dispute", "event"


@dataclass(frozen=True)
class Entry:
    """One code of a kind in one period; `valid_to` is the last day on which it holds, None while no end is known.

    What `parent` and `level` mean depends on the kind:
      divisions   the division above              district, street, town, community, village, town_like, village_like
      units       the division that it serves     hall, mediation, command, department, committee, town, village
      posts       the unit that it belongs to     (empty)
      staff       the unit that they work in      (empty)
      calendars   (empty)                         holiday or workday; the code is the date
      categories  the category above              petition, dispute or event: the set it belongs to
    `name` is empty for staff: names of people are kept apart and never leave with a snapshot.
    """

    kind: str
    code: str
    valid_from: date = BEGINNING
    valid_to: date | None = None
    name: str = ""
    parent: str = ""
    level: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)

    def holds(self, on: date) -> bool:
        """Whether it holds on this day."""
        return self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)

    def get(self, name: str) -> str:
        """One of the further fields; empty when it has none of that name."""
        return self.fields.get(name, "")

    def text_of(self, name: str) -> str:
        """Any of its fields as text, dates as 2026-01-31, an unknown beginning and an open end as nothing."""
        if name == "valid_from":
            return "" if self.valid_from == BEGINNING else self.valid_from.isoformat()
        if name == "valid_to":
            return self.valid_to.isoformat() if self.valid_to else ""
        return str(getattr(self, name)) if name in ("code", "name", "parent", "level") else self.get(name)


@dataclass(frozen=True)
class Division:
    """A division of the statistical table 统计用区划代码; `mca_code` is its other code, of civil affairs."""

    code: str
    name: str
    level: str
    parent: str
    mca_code: str = ""


@dataclass(frozen=True)
class Unit:
    """A unit that can handle cases: `hall`, `mediation`, `command`, `department`, `committee`, `town`, `village`."""

    code: str
    name: str
    kind: str
    division: str = ""
    presence: str = ""


@dataclass(frozen=True)
class Category:
    """A category of a set (`petition` 内容分类, `dispute` 纠纷类型, `event`), under another one or on top."""

    code: str
    name: str
    set: str
    parent: str = ""


def division_of(entry: Entry) -> Division:
    """The division that an entry describes."""
    return Division(entry.code, entry.name, entry.level, entry.parent, entry.get("mca_code"))


def unit_of(entry: Entry) -> Unit:
    """The unit that an entry describes."""
    return Unit(entry.code, entry.name, entry.level, entry.parent, entry.get("presence"))


def category_of(entry: Entry) -> Category:
    """The category that an entry describes."""
    return Category(entry.code, entry.name, entry.level, entry.parent)
