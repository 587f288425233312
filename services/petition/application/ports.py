"""What the use cases and queries need from outside. `adapters/` holds the real ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from services.chassis.deadline import Colour, Deadline, Limit
from services.chassis.directory_entries import Category, Division, Unit
from services.chassis.identity import Identity
from services.chassis.referral import Referral
from services.petition.domain.petition import Fact, Person, Petition
from services.petition.domain.terms import Channel, State


@dataclass(frozen=True)
class Case:
    """A petition with all that a screen shows beside it. Personal data in clear: `masked.py` before it leaves."""

    petition: Petition
    division_name: str
    deadlines: tuple[Deadline, ...] = ()
    referrals: tuple[Referral, ...] = ()


@dataclass(frozen=True)
class Filters:
    """What a list is narrowed to; an empty field does not narrow."""

    states: frozenset[State] = frozenset()
    channels: frozenset[Channel] = frozenset()
    division_prefix: str = ""
    received_from: date | None = None
    received_to: date | None = None
    text: str = ""
    colour: Colour | None = None
    case_number: str = ""
    external_no: str = ""
    source_system: str = ""
    leader_reception: bool = False
    import_job_id: str = ""
    suspected_duplicate: bool = False
    # Keyed hash of a petitioner's phone, identity number or name, and which of the three.
    person_key: str = ""
    person_hash: str = ""


@dataclass(frozen=True)
class Position:
    """The petition after which a page goes on."""

    registered_at: datetime
    id: str


@dataclass(frozen=True)
class Line:
    """One line of a case's timeline."""

    id: str
    seq: int
    at: datetime
    kind: str
    text_zh: str
    text_en: str
    actor: str
    unit: str


class Directory(Protocol):
    """The service's copy of the directory. Without a day: as it is today or, of what has ended, was last."""

    def division(self, code: str, on: date | None = None) -> Division | None:
        """The division of this code."""

    def unit(self, code: str, on: date | None = None) -> Unit | None:
        """The unit of this code."""

    def category(self, code: str, on: date | None = None) -> Category | None:
        """The category of this code."""


class Petitions(Protocol):
    """The petitions themselves."""

    def add(self, petition: Petition, public_code: str) -> None:
        """Keeps a new petition; of the public code only its keyed hash."""

    def get(self, petition_id: str) -> Petition:
        """The petition, locked until the end: of two officers deciding at once the second sees the first's decision."""

    def save(self, petition: Petition) -> None:
        """Keeps what changed."""

    def has_external(self, source_system: str, external_no: str) -> bool:
        """Whether a case of another system is here already."""

    def add_persons(self, petition_id: str, persons: Iterable[Person]) -> None:
        """Keeps persons that became known later."""


class Clocks(Protocol):
    """The statutory clocks of petitions."""

    def open(self, limit: Limit, petition_id: str, on: date) -> Deadline:
        """Starts a clock on a date, which itself is not counted."""

    def enter(
        self, limit: Limit, petition_id: str, on: date, *, met_on: date | None = None, cancelled: bool = False
    ) -> Deadline:
        """Writes down a clock that started on a date gone by, as it stands by now."""

    def meet(self, petition_id: str, kind: str, on: date) -> None:
        """The duty was done."""

    def cancel(self, petition_id: str) -> None:
        """No duty is left."""

    def find(self, petition_id: str, kind: str) -> Deadline | None:
        """The clock of this kind."""


class Referrals(Protocol):
    """Requests to the mediation centre."""

    def send(self, petition: Petition, referral_id: str, reason: str) -> Referral:
        """Notes that the centre is asked."""

    def find(self, referral_id: str) -> Referral | None:
        """The referral, locked."""

    def open_of(self, petition_id: str) -> Referral | None:
        """The referral that is out, if one is."""

    def save(self, referral: Referral) -> None:
        """Keeps what changed."""


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
        """The tier that this installation serves."""

    @property
    def petitions(self) -> Petitions:
        """The petitions."""

    @property
    def clocks(self) -> Clocks:
        """Their clocks."""

    @property
    def referrals(self) -> Referrals:
        """Their referrals."""

    @property
    def directory(self) -> Directory:
        """Divisions, units and categories."""

    def tell(self, petition_id: str, kind: str, zh: str, en: str) -> None:
        """Writes a line on the timeline. No personal data."""

    def record(self, action: str, petition_id: str, **details: object) -> None:
        """Writes an audit row. No personal data."""

    def announce(self, fact: Fact) -> None:
        """Tells the other services, once this transaction is committed."""


class Reads(Protocol):
    """Reads for screens, without the aggregate's lock."""

    def case(self, petition_id: str) -> Case | None:
        """One petition."""

    def page(self, caller: Identity, filters: Filters, after: Position | None, limit: int, at: datetime) -> list[Case]:
        """Petitions that the caller may see, newest first."""

    def petition(self, petition_id: str) -> Petition | None:
        """One petition alone, for the question who may see it."""

    def timeline(self, petition_id: str, after_seq: int, limit: int) -> list[Line]:
        """Lines of a case, oldest first."""
