"""What grid's use cases and queries need from outside. `adapters/` holds the real ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from services.chassis.directory_entries import Entry
from services.chassis.identity import Identity


@dataclass(frozen=True)
class Person:
    """Name and phone of somebody on the staff. Personal data: masked before it leaves."""

    name: str = ""
    phone: str = ""


@dataclass(frozen=True)
class Shown:
    """An entry with what a screen shows beside it."""

    entry: Entry
    revision: int
    person: Person = Person()


@dataclass(frozen=True)
class Filters:
    """What a list is narrowed to; an empty field does not narrow."""

    kind: str
    as_of: date
    parent: str = ""
    parent_prefix: str = ""
    code_prefix: str = ""
    levels: frozenset[str] = frozenset()
    text: str = ""
    # Exact values of further fields, such as `presence`; of each any one.
    fields: Mapping[str, frozenset[str]] | None = None
    # Only of units in this subtree; used for people.
    scope: str | None = None


@dataclass(frozen=True)
class LogLine:
    """One version of a kind: when, by whom, from where, and what it changed."""

    kind: str
    version: int
    published_at: datetime
    actor: str
    origin: str
    filename: str
    added: int
    changed: int
    ended: int
    rows: int
    digest: str


Entries = Collection[Entry]


class Reads(Protocol):
    """Reads for screens."""

    def page(self, filters: Filters, after: str, limit: int) -> list[Shown]:
        """Entries by code."""

    def one(self, kind: str, code: str, on: date) -> Shown | None:
        """The entry of a code that holds on a day."""

    def count(self, kind: str, on: date, code_prefix: str) -> Mapping[str, int]:
        """How many entries of each level hold on a day."""

    def years(self, on: date) -> tuple[int, int]:
        """First and last published year of the calendar, as it stood on a day; (0, 0) when there is none."""

    def log(self, kind: str, before: int, limit: int) -> list[LogLine]:
        """Versions of a kind, newest first."""


class Work(Protocol):
    """One open transaction: what happens in it happens altogether or not at all."""

    @property
    def now(self) -> datetime:
        """The time at which the transaction began."""

    @property
    def today(self) -> date:
        """The legal date of `now`."""

    @property
    def identity(self) -> Identity:
        """Who acts."""

    @property
    def tier(self) -> str:
        """The tier that this directory describes."""

    def lock(self) -> None:
        """Lets nobody else change the directory until the end."""

    def entries(self, kind: str) -> Sequence[Entry]:
        """All entries of a kind, those of the past included, by code and period."""

    def revisions(self, kind: str) -> Mapping[str, int]:
        """How often each code was changed."""

    def people(self) -> Mapping[tuple[str, date], Person]:
        """Names and phones of the staff, by code and beginning of the period."""

    def store(self, kind: str, ended: Entries, added: Entries, corrected: Entries) -> None:
        """Keeps new ends of periods, new periods, and periods that are corrected on the day on which they began."""

    def store_people(self, people: Mapping[tuple[str, date], Person]) -> None:
        """Keeps names and phones."""

    def publish(self, kind: str, origin: str, filename: str, added: int, changed: int, ended: int) -> int:
        """Makes a new version of a kind and announces it; the number it has."""

    def version(self, kind: str) -> int:
        """The version that a kind has now."""

    def record(self, action: str, subject: str, **details: object) -> None:
        """Writes an audit row. No personal data."""
