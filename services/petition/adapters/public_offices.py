"""Offices as the public knows them, from the service's copy of the directory."""

from __future__ import annotations

from itertools import islice

from services.chassis import clock
from services.chassis.directory import Directory
from services.chassis.directory_entries import DIVISIONS, UNITS, Division, division_of
from services.chassis.refusal import Unavailable
from services.petition.application.following_ports import PublicOffice

HALL, MEDIATION = "hall", "mediation"


class PublicOffices:
    """Looks offices up by code and by what they do."""

    def __init__(self, directory: Directory, tier: str) -> None:
        self._directory = directory
        self._tier = tier

    def public(self, code: str) -> PublicOffice:
        """The office of this code; an unknown one goes by its code."""
        unit = self._directory.unit(code)
        return PublicOffice(unit.name if unit else code, self._phone(code))

    def mediation(self) -> PublicOffice:
        """The mediation centre of this tier."""
        unit = self._directory.unit_for(MEDIATION, self._tier)
        return self.public(unit.code) if unit else PublicOffice("人民调解组织")

    def hall(self) -> str:
        """The code of the hall that registers what comes to this tier online. Raises Unavailable when none is known."""
        unit = self._directory.unit_for(HALL, self._tier)
        if unit is None:
            raise Unavailable(
                "NO_HALL",
                "本级尚未设置接访大厅,暂不能网上提交,请到窗口或来电反映。",
                "This tier has no reception hall yet, so nothing can be filed online; come or call.",
            )
        return unit.code

    def divisions(self, parent: str, after: str, limit: int) -> list[Division]:
        """The divisions of this tier as they are today, by code; with a parent only those directly under it."""
        today, scope = clock.legal_date(clock.now()), self._tier.rstrip("0")
        found = sorted(
            (entry for entry in self._directory.entries(DIVISIONS) if entry.holds(today) and entry.code > after),
            key=lambda entry: entry.code,
        )
        ours = (one for one in found if one.code.startswith(scope) and parent in ("", one.parent))
        return [division_of(entry) for entry in islice(ours, limit)]

    def _phone(self, code: str) -> str:
        today = clock.legal_date(clock.now())
        of_code = (entry for entry in self._directory.entries(UNITS) if entry.code == code and entry.holds(today))
        return next((entry.get("phone") for entry in of_code), "")
