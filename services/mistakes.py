"""Which failures of a command a person can put right, and the sentence that says how."""

from __future__ import annotations

import sys

# By module: one that is not loaded cannot have raised anything, and loading alembic to find that out would take long.
FOR_PEOPLE = {
    "services.chassis.refusal": "Refusal",
    "services.chassis.datakey": "DataKeyMissing",
    "services.chassis.tokens": "KeysBroken",
    "services.chassis.migrations": "MigrationFailed",
    "services.chassis.grants": "NoSuchRole",
    "services.chassis.rpc": "PortTaken",
    "services.chassis.health_port": "HealthPortTaken",
    "services.chassis.tls": "FilesMissing",
    "services.chassis.scraping": "MetricsPortTaken",
    "gateway.server": "PortTaken",
    "services.fleet.mistakes": "FleetMistake",
    "services.fleet.helm": "HelmFailed",
}


def sentence_of(error: Exception) -> str | None:
    """What to do about it, Chinese first; None for a defect of ours, which deserves its stack trace."""
    from services.chassis.troubles import refusal_of

    kinds = tuple(getattr(sys.modules[module], name) for module, name in FOR_PEOPLE.items() if module in sys.modules)
    if isinstance(error, kinds):
        return str(error)
    refusal = refusal_of(error)
    return str(refusal) if refusal else None
