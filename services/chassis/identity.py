"""Who is asking. Pure data: the token that proves it is checked in `tokens.py`."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Identity:
    """An officer, an integrator's service account, or the system acting for one of them."""

    # Account name, or `system:<service>` for a handler.
    account: str
    # Tier that vouches for the caller (12-digit division code).
    tier: str
    # Division prefix of the subtree the caller may see; empty sees nothing, `341702` a whole district.
    scope: str = ""
    units: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    # The officer whose deed the system carries on; never a token.
    on_behalf_of: str = ""
    # Unit that stands on papers and timeline: the first of the token's units.
    unit: str = field(default="")
    # Sign-in by which the caller holds the token, known to the gateway alone; empty for programs and for services.
    session: str = ""

    def may(self, permission: str) -> bool:
        """Whether the caller's roles hold this permission."""
        return permission in self.permissions

    def covers(self, division_code: str) -> bool:
        """Whether a division lies in the caller's subtree."""
        return bool(self.scope) and division_code.startswith(self.scope)


def system(service: str, tier: str, on_behalf_of: str = "") -> Identity:
    """The system itself, carrying on what an officer began."""
    return Identity(account=f"system:{service}", tier=tier, scope=tier.rstrip("0"), on_behalf_of=on_behalf_of)


NOBODY = Identity(account="", tier="")

_current: ContextVar[Identity] = ContextVar("zongzhi_identity", default=NOBODY)


def current() -> Identity:
    """The caller of the RPC that this thread is serving; NOBODY outside of one."""
    return _current.get()


def set_current(identity: Identity) -> None:
    """Called by the identity interceptor and by apply, nowhere else."""
    _current.set(identity)
