"""What each role may do. Permissions come from the contracts: a new RPC belongs to its service's roles at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from gateway import declared
from services.chassis import access


class Side(StrEnum):
    """Three kinds of people whose rights never meet in one account (GB/T 22239-2019 8.1.4: 三权分立)."""

    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"
    OPERATOR = "operator"


SIDE_ZH = {Side.ADMINISTRATOR: "系统管理", Side.AUDITOR: "审计", Side.OPERATOR: "业务"}


@dataclass(frozen=True)
class Role:
    """A role: its Chinese name, the services whose everyday work it does, and what is granted by name."""

    zh: str
    works_in: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    # Whether the everyday work includes seeing personal data unmasked; every such look is audited with its reason.
    reveals: bool = False
    # Whether it answers for the others of its hall or centre, and so does what changes many cases at once.
    leads: bool = False
    side: Side = Side.OPERATOR


# A citizen who did not sign in. Not a role that an account can hold.
PUBLIC = "public"
# Whoever works on cases looks divisions, units and calendars up.
DIRECTORY = ("grid.read",)
# Only the gateway itself does this, for an administrator who sees no case: no role holds it.
SYSTEM_ONLY = frozenset({"petition.hand_over", "mediation.hand_over", "petition.wait_progress"})
# What fills or changes a register as a whole is for those who answer for it.
LEADERS_ONLY = frozenset({"petition.import", "petition.export"})

ROLES: dict[str, Role] = {
    "administrator": Role(
        "系统管理员",
        granted=("accounts.read", "accounts.manage", "accounts.reveal", "accounts.hand_over"),
        side=Side.ADMINISTRATOR,
    ),
    "auditor": Role("审计员", granted=("accounts.read", "accounts.read_audit"), side=Side.AUDITOR),
    "hall": Role("接访窗口", works_in=("petition",), granted=DIRECTORY),
    "hall_lead": Role("接访负责人", works_in=("petition",), granted=DIRECTORY, reveals=True, leads=True),
    "mediator": Role("调解员", works_in=("mediation",), granted=DIRECTORY, reveals=True),
    "supervisor": Role(
        "督查",
        granted=("petition.read", "petition.read_all", "mediation.read", "mediation.read_all", *DIRECTORY),
    ),
    "directory_keeper": Role("组织机构维护", works_in=("grid",), reveals=True),
}


def permissions(roles: Iterable[str]) -> frozenset[str]:
    """Everything that these roles may do together. A role that does not exist gives nothing."""
    return frozenset().union(*(_permissions_of(name) for name in roles if name in ROLES or name == PUBLIC))


def sides(roles: Iterable[str]) -> frozenset[Side]:
    """The kinds of people that these roles are for; more than one in one account is refused."""
    return frozenset(ROLES[name].side for name in roles if name in ROLES)


@cache
def _permissions_of(name: str) -> frozenset[str]:
    if name == PUBLIC:
        return frozenset(
            declared.access(method).permission for method in access.methods() if declared.access(method).open
        )
    role = ROLES[name]
    return frozenset(role.granted) | {
        permission for permission, reveals in _declared() if _is_everyday(role, permission, reveals)
    }


def _is_everyday(role: Role, permission: str, reveals: bool) -> bool:
    if permission in SYSTEM_ONLY or (permission in LEADERS_ONLY and not role.leads):
        return False
    return permission.partition(".")[0] in role.works_in and (role.reveals or not reveals)


@cache
def _declared() -> frozenset[tuple[str, bool]]:
    """Every permission that an RPC demands, and whether it shows personal data unmasked."""
    rules = [declared.access(method) for method in access.methods()]
    return frozenset((rule.permission, rule.reveals) for rule in rules if rule.permission)
