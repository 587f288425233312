"""What each role may do. Permissions come from the contracts: a new RPC belongs to its service's roles at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from gateway import declared
from services.chassis import access


@dataclass(frozen=True)
class Role:
    """A role: its Chinese name, the services whose everyday work it does, and what is granted by name."""

    zh: str
    works_in: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    # Whether the everyday work includes seeing personal data unmasked; every such look is audited with its reason.
    reveals: bool = False


# A citizen who did not sign in. Not a role that an account can hold.
PUBLIC = "public"

ROLES: dict[str, Role] = {
    "hall": Role("接访窗口", works_in=("petition",)),
    "hall_lead": Role("接访负责人", works_in=("petition",), reveals=True),
    "mediator": Role("调解员", works_in=("mediation",), reveals=True),
    "supervisor": Role("督查", granted=("petition.read", "petition.read_all", "mediation.read", "mediation.read_all")),
}


def permissions(roles: Iterable[str]) -> frozenset[str]:
    """Everything that these roles may do together. A role that does not exist gives nothing."""
    return frozenset().union(*(_permissions_of(name) for name in roles if name in ROLES or name == PUBLIC))


@cache
def _permissions_of(name: str) -> frozenset[str]:
    if name == PUBLIC:
        return frozenset(
            declared.access(method).permission for method in access.methods() if declared.access(method).open
        )
    role = ROLES[name]
    return frozenset(role.granted) | {
        permission
        for permission, reveals in _declared()
        if permission.partition(".")[0] in role.works_in and (role.reveals or not reveals)
    }


@cache
def _declared() -> frozenset[tuple[str, bool]]:
    """Every permission that an RPC demands, and whether it shows personal data unmasked."""
    rules = [declared.access(method) for method in access.methods()]
    return frozenset((rule.permission, rule.reveals) for rule in rules if rule.permission)
