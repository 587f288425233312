"""Who sees a mediation. The same rule stands as SQL in `adapters/reads.py`; a test holds the two together."""

from __future__ import annotations

from services.chassis.identity import Identity
from services.mediation.domain.mediation import Mediation

READ_ALL = "mediation.read_all"


def may_see(caller: Identity, mediation: Mediation) -> bool:
    """In the caller's subtree, in the hands of a unit of theirs, and not about one (信访工作条例 art. 30, 46)."""
    if not caller.covers(mediation.division_code) or mediation.accused_unit in caller.units:
        return False
    return caller.may(READ_ALL) or mediation.unit in caller.units
