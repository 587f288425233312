"""Mediations in SQL, and the transaction that the use cases see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Executable, RowMapping, bindparam, insert, select, update

from services.chassis import audit, clock, deadline_store, outbox, referrals, search_store, timeline
from services.chassis.calendar import WorkCalendar
from services.chassis.database import Database, Tx
from services.chassis.deadline import Limit
from services.chassis.directory import Directory
from services.chassis.identity import Identity
from services.chassis.masking import mask_text
from services.chassis.referral import Referral
from services.chassis.refusal import NotFound
from services.chassis.writes import Write
from services.mediation.adapters import messages
from services.mediation.adapters.tables import mediations, parties
from services.mediation.domain.mediation import Consent, Form, Mediation, Party, State
from services.mediation.domain.visibility import may_see

SERVICE = "mediation"

_NAMES = tuple(column.name for column in mediations.columns)
_CHANGING = (
    "state", "mediator", "closed_at", "withdrawal_asked_at", "petition_due_on", "petition_colour", "reason", "form",
    "agreement_no", "terms", "perform_by", "owner_epoch", "owner_tier", "officer",
)  # fmt: skip
_PARTY = tuple(field.name for field in fields(Party))

_ADD = Write(insert(mediations).inline())
_ADD_PARTY = Write(insert(parties).inline())
_LOCKED = select(mediations).with_for_update()
_BY_ID = _LOCKED.where(mediations.c.id == bindparam("key"))
_BY_REFERRAL = _LOCKED.where(mediations.c.referral_id == bindparam("key"))
_OF_PETITION = _LOCKED.where(mediations.c.petition_id == bindparam("key")).order_by(mediations.c.round)
_PARTIES = (
    select(parties)
    .where(parties.c.mediation_id.in_(bindparam("keys", expanding=True)))
    .order_by(parties.c.mediation_id, parties.c.position)
)
_SAVE = Write(
    update(mediations).where(mediations.c.id == bindparam("key")).values({n: bindparam(n) for n in _CHANGING})
)
_SAVE_CONSENT = Write(
    update(parties)
    .where(parties.c.mediation_id == bindparam("of_mediation"), parties.c.id == bindparam("party"))
    .values(consent=bindparam("answer"))
)


def no_mediation(mediation_id: str) -> NotFound:
    """There is none, or none for this caller; the two are not told apart."""
    return NotFound.thing("该调解案件", "mediation", mediation_id)


def load(conn: Connection, query: Executable, values: dict[str, Any] | None = None) -> list[Mediation]:
    """The mediations that a query selects, with their parties: two statements, however many they are."""
    rows = conn.execute(query, values or {}).mappings().all()
    found: dict[str, list[Party]] = {row["id"]: [] for row in rows}
    for row in conn.execute(_PARTIES, {"keys": list(found)}).mappings() if found else ():
        found[row["mediation_id"]].append(_party(row))
    return [_mediation(row, found[row["id"]]) for row in rows]


def _mediation(row: RowMapping, its_parties: list[Party]) -> Mediation:
    form = Form(row["form"]) if row["form"] else None
    return Mediation(**{**row, "state": State(row["state"]), "form": form}, parties=its_parties)


def _party(row: RowMapping) -> Party:
    return Party(**{**{name: row[name] for name in _PARTY}, "consent": Consent(row["consent"])})


def _values(mediation: Mediation) -> dict[str, Any]:
    form = mediation.form.value if mediation.form else None
    return {**{name: getattr(mediation, name) for name in _NAMES}, "state": mediation.state.value, "form": form}


def _party_values(mediation: Mediation) -> list[dict[str, Any]]:
    return [
        {**vars(party), "mediation_id": mediation.id, "position": n, "consent": party.consent.value}
        for n, party in enumerate(mediation.parties)
    ]


class SqlMediations:
    """The centre's mediations, seen by the caller of this transaction."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        # What the database knows of each party's answer, so that only new ones are written.
        self._known: dict[tuple[str, str], Consent] = {}

    def get(self, mediation_id: str) -> Mediation:
        """Locked until the transaction ends; NotFound when there is none or the caller may not see it."""
        found = self.at_any_unit(mediation_id)
        if not may_see(self._tx.identity, found):
            raise no_mediation(mediation_id)
        return found

    def at_any_unit(self, mediation_id: str) -> Mediation:
        """For the system's own deeds, which no unit asks for."""
        found = self._load(_BY_ID, mediation_id)
        if not found:
            raise no_mediation(mediation_id)
        return found[0]

    def by_referral(self, referral_id: str) -> Mediation | None:
        """The mediation that a referral opened, locked."""
        return next(iter(self._load(_BY_REFERRAL, referral_id)), None)

    def of_petition(self, petition_id: str) -> list[Mediation]:
        """All mediations of a case, oldest first, locked."""
        return self._load(_OF_PETITION, petition_id)

    def add(self, mediation: Mediation) -> None:
        """Keeps a new one, its parties and its searchable text, in which no name, phone or identity number stands."""
        self._tx.put(_ADD, _values(mediation))
        for values in _party_values(mediation):
            self._tx.put(_ADD_PARTY, values)
        self._remember(mediation)
        found_by = mask_text(f"{mediation.subject}\n{mediation.content}", mediation.names)
        search_store.put(self._tx, mediation.id, found_by)

    def save(self, mediation: Mediation) -> None:
        """Keeps what changed and announces its facts to the hall that asked."""
        values = _values(mediation)
        self._tx.put(_SAVE, {"key": mediation.id, **{name: values[name] for name in _CHANGING}})
        for party in mediation.parties:
            if self._known.get((mediation.id, party.id)) is not party.consent:
                answer = {"of_mediation": mediation.id, "party": party.id, "answer": party.consent.value}
                self._tx.put(_SAVE_CONSENT, answer)
        self._remember(mediation)
        self._announce(mediation)

    def _announce(self, mediation: Mediation) -> None:
        for fact in mediation.facts:
            outbox.announce(
                self._tx,
                messages.event_of(mediation, fact),
                source=SERVICE,
                from_tier=mediation.to_tier,
                to_tier=mediation.from_tier,
            )
        mediation.facts.clear()

    def _load(self, query: Executable, key: str) -> list[Mediation]:
        found = load(self._tx.conn, query, {"key": key})
        for mediation in found:
            self._remember(mediation)
        return found

    def _remember(self, mediation: Mediation) -> None:
        self._known.update({(mediation.id, party.id): party.consent for party in mediation.parties})


class MediationTx:
    """The open transaction as the use cases see it (`application/ports.py`)."""

    def __init__(self, tx: Tx, calendar: WorkCalendar) -> None:
        self.tx = tx
        self.mediations = SqlMediations(tx)
        self._calendar = calendar

    @property
    def identity(self) -> Identity:
        """Who acts."""
        return self.tx.identity

    @property
    def now(self) -> datetime:
        """When the transaction began."""
        return self.tx.now

    @property
    def today(self) -> date:
        """The legal date of that, in Asia/Shanghai."""
        return clock.legal_date(self.tx.now)

    def tell(self, mediation: Mediation, kind: str, zh: str, en: str) -> None:
        """A line of the timeline; the mediation's row is locked."""
        timeline.add(self.tx, mediation.id, kind, zh, en)

    def record(self, action: str, mediation: Mediation, **details: object) -> None:
        """A row of the audit."""
        audit.write(self.tx, action, SERVICE, mediation.id, **details)

    def start_clock(self, mediation: Mediation, limit: Limit) -> None:
        """A time limit begins today."""
        deadline_store.open_deadline(self.tx, limit, SERVICE, mediation.id, self.today, self._calendar)

    def stop_clock(self, mediation: Mediation, limit: Limit) -> None:
        """A time limit was met today."""
        deadline_store.meet(self.tx, mediation.id, limit.kind, self.today)

    def referral_came_in(self, mediation: Mediation) -> None:
        """A request arrived."""
        referrals.take_in(
            self.tx, referral_id=mediation.referral_id, subject_id=mediation.id, from_service="petition",
            from_tier=mediation.from_tier, to_service=SERVICE, to_tier=mediation.to_tier,
            owner_epoch=mediation.owner_epoch, reason=mediation.referral_reason,
        )  # fmt: skip

    def referral_accepted(self, mediation: Mediation) -> None:
        """The request to this centre was accepted."""
        self._answer(mediation, lambda referral: referral.accept(self.now, mediation.owner_epoch))

    def referral_refused(self, mediation: Mediation, reason: str) -> None:
        """The request to this centre was refused."""
        self._answer(mediation, lambda referral: referral.refuse(self.now, reason))

    def referral_done(self, mediation: Mediation, answer: str) -> None:
        """The request to this centre was answered."""
        self._answer(mediation, lambda referral: referral.finish(self.now, answer))

    def referral_given_back(self, mediation: Mediation) -> None:
        """The request was withdrawn before it was accepted."""
        self._answer(mediation, lambda referral: referral.give_back(self.now))

    def _answer(self, mediation: Mediation, deed: Callable[[Referral], None]) -> None:
        referral = referrals.find(self.tx, mediation.referral_id)
        if referral is None:
            raise NotFound.thing("该委托", "request of this number", mediation.referral_id)
        deed(referral)
        referrals.save(self.tx, referral)


@dataclass(frozen=True)
class Store:
    """Opens transactions for the edges, and knows which centre this is."""

    db: Database
    tier: str
    directory: Directory
    # An operator's own table; None: the directory's, as it stands.
    own_calendar: WorkCalendar | None = None

    @property
    def calendar(self) -> WorkCalendar:
        """The working calendar that counts now."""
        return self.own_calendar or self.directory.calendar()

    @property
    def unit(self) -> str:
        """The unit that runs the mediation centre of this tier; in a town or a village it runs both centres."""
        of_kinds = (self.directory.unit_for(kind, self.tier) for kind in ("mediation", "town", "village"))
        found = next((unit for unit in of_kinds if unit), None)
        if found is None:
            # No refusal: what was asked waits until the directory knows a centre.
            raise LookupError("the directory names no unit that mediates in this tier")
        return found.code

    @contextmanager
    def transaction(self) -> Iterator[MediationTx]:
        """A writing transaction of the current caller."""
        with self.db.transaction() as tx:
            yield self.within(tx)

    def within(self, tx: Tx) -> MediationTx:
        """The use cases' view of a transaction that somebody else opened."""
        return MediationTx(tx, self.calendar)
