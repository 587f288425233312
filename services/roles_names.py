"""The services of this release, found without importing any, and each wired by its own composition root."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.chassis.service import Service
    from services.chassis.settings import Settings

# It is no service: nobody calls it by gRPC, and it has neither inbox nor clocks.
GATEWAY = "gateway"


def service_names() -> list[str]:
    """The packages beside this file that have a composition root."""
    return sorted(p.parent.name for p in Path(__file__).parent.glob("*/wiring.py"))


def database_names() -> list[str]:
    """Whatever keeps a database of its own: the services, and the gateway."""
    return [*service_names(), GATEWAY]


def build(name: str, settings: Settings) -> Service:
    """Wires one service."""
    service: Service = importlib.import_module(f"services.{name}.wiring").build(settings)
    return service
