"""What a service is to the chassis: a name, a database, its RPCs and its listeners. Wired in its `wiring.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import grpc

from services.chassis.database import Database, Tx
from services.chassis.deadline import Deadline
from services.chassis.listeners import Listeners
from services.chassis.settings import Settings


@dataclass(frozen=True)
class Service:
    """One service, wired. Roles (`serve`, `work`, `all`) run it; tests build it with other arguments."""

    name: str
    settings: Settings
    db: Database
    # Adds the servicer to a gRPC server.
    join: Callable[[grpc.Server], None]
    # Full names of the gRPC services that `join` adds, the main one first: for health and reflection.
    grpc_names: tuple[str, ...]
    listeners: Listeners
    # Called inside the sweeper's transaction when a clock turns amber or red: (tx, deadline, "amber" | "red").
    on_crossing: Callable[[Tx, Deadline, str], None]
    # Loads what the service ships with (divisions, units); repeating it changes nothing. Returns rows written.
    seed: Callable[[Database], int] = field(default=lambda _db: 0)
