"""What the use cases need of the world; `adapters/store.py` gives it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Protocol

from services.chassis.deadline import Limit
from services.chassis.identity import Identity
from services.mediation.domain.mediation import Mediation


class Mediations(Protocol):
    """The centre's mediations. Each is locked until the transaction ends: two never decide on one sight."""

    def get(self, mediation_id: str) -> Mediation:
        """The mediation; NotFound also when the caller may not see it."""

    def at_any_unit(self, mediation_id: str) -> Mediation:
        """The mediation, for deeds of the system itself, which no unit asks for."""

    def by_referral(self, referral_id: str) -> Mediation | None:
        """The mediation that a referral opened; None when it opened none."""

    def of_petition(self, petition_id: str) -> list[Mediation]:
        """All mediations of a case, oldest first."""

    def add(self, mediation: Mediation) -> None:
        """Keeps a new one."""

    def save(self, mediation: Mediation) -> None:
        """Keeps what changed and announces its facts to the hall."""


class Transaction(Protocol):
    """An open transaction, handed inward by the edge that opened it."""

    @property
    def mediations(self) -> Mediations:
        """The centre's mediations."""

    @property
    def identity(self) -> Identity:
        """Who acts."""

    @property
    def now(self) -> datetime:
        """When the transaction began."""

    @property
    def today(self) -> date:
        """The legal date of that, in Asia/Shanghai."""

    def tell(self, mediation: Mediation, kind: str, zh: str, en: str) -> None:
        """Writes a line on the timeline. No personal data."""

    def record(self, action: str, mediation: Mediation, **details: object) -> None:
        """Writes a row in the audit. No personal data."""

    def start_clock(self, mediation: Mediation, limit: Limit) -> None:
        """A time limit begins today."""

    def stop_clock(self, mediation: Mediation, limit: Limit) -> None:
        """A time limit was met today."""

    def referral_came_in(self, mediation: Mediation) -> None:
        """A request arrived."""

    def referral_accepted(self, mediation: Mediation) -> None:
        """The request to this centre was accepted."""

    def referral_refused(self, mediation: Mediation, reason: str) -> None:
        """The request to this centre was refused."""

    def referral_done(self, mediation: Mediation, answer: str) -> None:
        """The request to this centre was answered."""

    def referral_given_back(self, mediation: Mediation) -> None:
        """The request was withdrawn before it was accepted."""
