"""What following a case needs from outside, beside the ports of the hall."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from services.petition.domain.petition import Petition


@dataclass(frozen=True)
class Material:
    """What a petitioner added to the case."""

    id: str
    at: datetime
    content: str


@dataclass(frozen=True)
class PublicOffice:
    """An office as the public knows it; the phone is empty when the directory knows none."""

    name: str
    phone: str = ""


class Following(Protocol):
    """The citizen's side of cases, in one open transaction."""

    def tries(self, purpose: str, of_whom: str, within: timedelta) -> list[datetime]:
        """When this was tried lately, oldest first. Two tries at once wait for each other."""

    def tried(self, purpose: str, of_whom: str) -> None:
        """Notes a try."""

    def by_code(self, public_code: str) -> str | None:
        """The id of the petition that a code opens. Raises Invalid when the code is mistyped."""

    def opens(self, petition: Petition, proof: str) -> bool:
        """Whether the proof is the PIN, or ends the phone of one of the petitioners."""

    def set_pin(self, petition_id: str, pin: str) -> None:
        """From now on this PIN opens the case too."""

    def set_code(self, petition_id: str, public_code: str) -> int:
        """The old code ends; returns how often the code was given out anew."""

    def printed(self, petition_id: str) -> int:
        """Counts a print of the slip; returns which one it is."""

    def add_material(self, petition_id: str, content: str) -> None:
        """Keeps what the petitioner added."""

    def lines(self, petition_id: str) -> list[tuple[str, datetime]]:
        """Kind and time of every line of the timeline, oldest first."""


class PublicOffices(Protocol):
    """Offices by code, as the public knows them."""

    def public(self, code: str) -> PublicOffice:
        """The office of this code; an unknown one goes by its code."""

    def mediation(self) -> PublicOffice:
        """The mediation centre of this tier."""
