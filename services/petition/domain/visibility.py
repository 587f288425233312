"""Who sees a petition. The same rule stands as SQL in `adapters/reads.py`; a test holds the two together."""

from __future__ import annotations

from services.chassis.identity import Identity
from services.petition.domain.petition import Petition

READ_ALL = "petition.read_all"


def may_see(caller: Identity, petition: Petition) -> bool:
    """In the caller's subtree, in the hands of a unit of theirs, and not about one (信访工作条例 art. 30, 46)."""
    if not caller.covers(petition.division_code) or petition.accused_unit in caller.units:
        return False
    hands = {petition.registered_unit, petition.responsible_unit} - {""}
    return caller.may(READ_ALL) or bool(hands & caller.units)
