"""Petitions in SQL: the locked row that a use case changes, and one open transaction with all ledgers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update

from services.chassis import audit, deadline_store, outbox, referrals, search_store, timeline
from services.chassis.calendar import WorkCalendar
from services.chassis.clock import legal_date
from services.chassis.codes import keyed_hash, normalise_id_no, normalise_phone, normalise_public_code
from services.chassis.database import Tx
from services.chassis.deadline import OPEN, Deadline, Limit, start
from services.chassis.identity import Identity
from services.chassis.ids import uuid7
from services.chassis.masking import mask_text
from services.chassis.reads import Read
from services.chassis.referral import Referral
from services.chassis.search import normalise
from services.chassis.tables import deadlines
from services.chassis.tables import referrals as referrals_table
from services.chassis.writes import Write
from services.petition.adapters import messages, progress
from services.petition.adapters.tables import petition_persons, petitions
from services.petition.application.ports import Directory
from services.petition.application.use_cases import no_petition
from services.petition.domain.petition import MEDIATION, PETITION, Fact, Person, Petition
from services.petition.domain.terms import Channel, Outcome, PetitionClass, Route, Satisfaction, State

SUBJECT = "petition"
_READ = {
    "state": State, "channel": Channel, "petition_class": PetitionClass, "outcome": Outcome, "route": Route,
    "satisfaction": Satisfaction,
}  # fmt: skip
_KEPT = tuple(field.name for field in fields(Petition) if field.name != "persons")
_CHANGING = (
    "state", "responsible_unit", "officer", "outcome", "opinion", "legal_basis", "reason", "route", "satisfaction",
    "evaluation_comment", "owner_service", "owner_tier", "owner_epoch",
)  # fmt: skip
COLUMNS = [petitions.c[name] for name in _KEPT]
PERSON_COLUMNS = [petition_persons.c[field.name] for field in fields(Person)]
_ADD = Write(insert(petitions).inline())
_GET = Read(select(*COLUMNS).where(petitions.c.id == bindparam("petition_id")).with_for_update())
_SAVE = Write(
    update(petitions)
    .where(petitions.c.id == bindparam("petition_id"))
    .values({name: bindparam(name) for name in _CHANGING})
)
_EXTERNAL = Read(
    select(petitions.c.id).where(
        petitions.c.source_system == bindparam("source_system"), petitions.c.external_no == bindparam("external_no")
    )
)
_ADD_PERSON = Write(insert(petition_persons).inline())
_PERSONS_OF_ONE = Read(
    select(*PERSON_COLUMNS)
    .where(petition_persons.c.petition_id == bindparam("petition_id"))
    .order_by(petition_persons.c.id)
)
_PERSONS = (
    select(petition_persons.c.petition_id, *PERSON_COLUMNS)
    .where(petition_persons.c.petition_id.in_(bindparam("petition_ids", expanding=True)))
    .order_by(petition_persons.c.id)
)


class SqlPetitions:
    """The petitions of one open transaction."""

    def __init__(self, tx: Tx, hash_key: bytes) -> None:
        self._tx = tx
        self._key = hash_key

    def add(self, petition: Petition, public_code: str) -> None:
        """Keeps a new petition, its persons and its searchable text; names are not in the text."""
        code_hash = keyed_hash(self._key, normalise_public_code(public_code))
        self._tx.put(_ADD, {**_values(petition), "public_code_hash": code_hash})
        self.add_persons(petition.id, petition.persons)
        # Masked: searching for a phone number must not show whose case holds it.
        search_store.put(self._tx, petition.id, mask_text(f"{petition.subject}\n{petition.content}", petition.names))

    def get(self, petition_id: str) -> Petition:
        """The petition, its row locked on PostgreSQL; on SQLite the transaction locks the whole file."""
        conn = self._tx.seeing(petitions, petition_persons)
        row = _GET.first(conn, {"petition_id": petition_id})
        if row is None:
            raise no_petition(petition_id)
        return petition_of(row, persons_of_one(conn, petition_id))

    def save(self, petition: Petition) -> None:
        """Keeps what the last move changed."""
        values = _values(petition)
        self._tx.put(_SAVE, {"petition_id": petition.id, **{name: values[name] for name in _CHANGING}})

    def has_external(self, source_system: str, external_no: str) -> bool:
        """Whether a case of another system is here already."""
        wanted = {"source_system": source_system, "external_no": external_no}
        return _EXTERNAL.first(self._tx.seeing(petitions), wanted) is not None

    def add_persons(self, petition_id: str, persons: Iterable[Person]) -> None:
        """Keeps persons with the hashes by which they are looked up."""
        for person in persons:
            self._tx.put(_ADD_PERSON, {**vars(person), "petition_id": petition_id, **self._hashes(person)})

    def _hashes(self, person: Person) -> dict[str, str | None]:
        return {f"{key}_hash": person_hash(self._key, key, getattr(person, key)) for key in NORMALISE}


class SqlClocks:
    """The clocks of petitions, in one open transaction."""

    def __init__(self, tx: Tx, calendar: WorkCalendar) -> None:
        self._tx = tx
        self._calendar = calendar
        # As read and not changed since; the petition's row lock guards them.
        self._known: dict[str, list[Deadline]] = {}

    def of(self, petition_id: str) -> list[Deadline]:
        """All clocks of a petition, as they stand in this transaction."""
        if petition_id not in self._known:
            conn = self._tx.seeing(deadlines)
            self._known[petition_id] = deadline_store.of_subject(conn, petition_id)
        return self._known[petition_id]

    def open(self, limit: Limit, petition_id: str, on: date) -> Deadline:
        """Starts a clock."""
        self._known.clear()
        return deadline_store.open_deadline(self._tx, limit, SUBJECT, petition_id, on, self._calendar)

    def enter(
        self, limit: Limit, petition_id: str, on: date, *, met_on: date | None = None, cancelled: bool = False
    ) -> Deadline:
        """Writes down a clock that started on a date gone by, as it stands by now."""
        self._known.clear()
        clock = start(limit, uuid7(), SUBJECT, petition_id, on, self._calendar)
        if met_on is not None:
            clock.meet(met_on)
        elif cancelled:
            clock.cancel()
        deadline_store.add(self._tx, clock)
        return clock

    def meet(self, petition_id: str, kind: str, on: date) -> None:
        """The duty was done."""
        self._known.clear()
        deadline_store.meet(self._tx, petition_id, kind, on)

    def cancel(self, petition_id: str) -> None:
        """No duty is left."""
        self._known.clear()
        deadline_store.cancel_running(self._tx, petition_id)

    def find(self, petition_id: str, kind: str) -> Deadline | None:
        """The open clock of this kind, or else the newest closed one."""
        of_kind = (clock for clock in self.of(petition_id) if clock.kind == kind)
        return max(of_kind, key=lambda clock: (clock.state in OPEN, clock.id), default=None)


class SqlReferrals:
    """The referrals of petitions to the mediation centre, in one open transaction."""

    def __init__(self, tx: Tx, tier: str) -> None:
        self._tx = tx
        self._tier = tier

    def send(self, petition: Petition, referral_id: str, reason: str) -> Referral:
        """Notes that the centre of this tier is asked."""
        return referrals.send(
            self._tx, referral_id=referral_id, subject_id=petition.id, from_service=PETITION, from_tier=self._tier,
            to_service=MEDIATION, to_tier=self._tier, owner_epoch=petition.owner_epoch, reason=reason,
        )  # fmt: skip

    def find(self, referral_id: str) -> Referral | None:
        """The referral, locked."""
        return referrals.find(self._tx, referral_id)

    def open_of(self, petition_id: str) -> Referral | None:
        """The referral that is out; the petition's row lock guards it."""
        known = referrals.of_subject(self._tx.seeing(referrals_table), petition_id)
        return next((referral for referral in known if referral.is_open), None)

    def save(self, referral: Referral) -> None:
        """Keeps what changed."""
        referrals.save(self._tx, referral)


class SqlWork:
    """One open transaction, as the use cases see it."""

    def __init__(self, tx: Tx, *, tier: str, hash_key: bytes, calendar: WorkCalendar, directory: Directory) -> None:
        self.tx = tx
        self.now: datetime = tx.now
        self.today: date = legal_date(tx.now)
        self.identity: Identity = tx.identity
        self.tier = tier
        self.directory = directory
        self.petitions = SqlPetitions(tx, hash_key)
        self.clocks = SqlClocks(tx, calendar)
        self.referrals = SqlReferrals(tx, tier)

    def tell(self, petition_id: str, kind: str, zh: str, en: str) -> None:
        """Writes a line on the timeline."""
        progress.add(self.tx, petition_id, timeline.add(self.tx, petition_id, kind, zh, en))

    def record(self, action: str, petition_id: str, **details: object) -> None:
        """Writes an audit row."""
        audit.write(self.tx, action, SUBJECT, petition_id, **details)

    def announce(self, fact: Fact) -> None:
        """Puts the event into the outbox of this transaction."""
        outbox.announce(self.tx, messages.event(fact), source=PETITION, from_tier=self.tier)


def _normalise_name(name: str) -> str:
    return "".join(normalise(name).split())


NORMALISE = {"name": _normalise_name, "phone": normalise_phone, "id_no": normalise_id_no}


def person_hash(key: bytes, field: str, text: str) -> str | None:
    """The keyed hash of a phone, identity number or name, however it was typed; None when there is none."""
    return keyed_hash(key, f"{field}:{NORMALISE[field](text)}") if text.strip() else None


def persons_of(conn: Connection, petition_ids: Collection[str]) -> dict[str, list[Person]]:
    """The persons of several petitions, in the order in which they were written down."""
    found: dict[str, list[Person]] = defaultdict(list)
    for row in conn.execute(_PERSONS, {"petition_ids": list(petition_ids)}).mappings() if petition_ids else ():
        values = dict(row)
        found[values.pop("petition_id")].append(Person(**values))
    return found


def persons_of_one(conn: Connection, petition_id: str) -> list[Person]:
    """The persons of a petition, in the order in which they were written down."""
    return [Person(**row) for row in _PERSONS_OF_ONE.rows(conn, {"petition_id": petition_id})]


def petition_of(row: Mapping[str, Any] | RowMapping, persons: list[Person]) -> Petition:
    """The petition of a row that holds COLUMNS."""
    values: dict[str, Any] = {name: row[name] for name in _KEPT}
    terms = {name: None if values[name] is None else read(values[name]) for name, read in _READ.items()}
    return Petition(**{**values, **terms}, persons=persons)


def _values(petition: Petition) -> dict[str, Any]:
    values = {name: getattr(petition, name) for name in _KEPT}
    return {**values, **{name: None if values[name] is None else str(values[name]) for name in _READ}}
