"""What a service is to the chassis: a name, a database, its RPCs and its listeners. Wired in its `wiring.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

import grpc

from services.chassis.calendar import WorkCalendar
from services.chassis.database import Database, Tx
from services.chassis.deadline import Deadline
from services.chassis.listeners import Listeners
from services.chassis.settings import Settings


class Part(Protocol):
    """Something that runs beside a service's RPCs and ends when told."""

    def start(self) -> Any:
        """Begins its work on threads of its own."""

    def stop(self) -> Any:
        """Ends it; what is in flight is finished or left for the next start."""


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
    # Called inside the sweeper's transaction when the last day of a clock moved, with the day that it was before.
    on_moved: Callable[[Tx, Deadline, date], None] = field(default=lambda _tx, _deadline, _before: None)
    # Loads what the service ships with (divisions, units); repeating it changes nothing. Returns rows written.
    seed: Callable[[Database], int] = field(default=lambda _db: 0)
    # Loads what a demonstration shows beside that (invented posts and staff). Returns rows written.
    seed_demo: Callable[[Database], int] = field(default=lambda _db: 0)
    # The working calendar as it stands; the same object until it changes.
    calendar: Callable[[], WorkCalendar] = WorkCalendar.published
    # What else runs beside the RPCs in `serve` and `all`, such as the jobs that read registers; made when started.
    parts: Callable[[], Sequence[Part]] = field(default=tuple)
