"""What operators watch of a service while it runs: outbox, inbox, what is held, dead letters, clocks by colour."""

from __future__ import annotations

from collections.abc import Callable

from services import status
from services.chassis import clock, deadline_store, held, inbox, outbox
from services.chassis.metrics import Meters, Reading
from services.chassis.service import Service


class Gauges:
    """Reads the service's books whenever the metrics are collected, and at no other time."""

    def __init__(self, service: Service, meters: Meters) -> None:
        self._service = service
        self._meters = meters
        self._forget: list[Callable[[], None]] = []

    def start(self) -> None:
        """From now on every collection asks."""
        readings: dict[str, Callable[[], Reading]] = {
            "outbox_depth": self._depth, "outbox_age_s": self._age, "inbox_depth": self._inbox_depth,
            "inbox_age_s": self._inbox_age, "held": self._held, "clocks": self._clocks,
        }  # fmt: skip
        if self._service.settings.bus_url != "local:":
            readings["dead_letters"] = self._dead_letters
        for name, reading in readings.items():
            self._forget.append(self._meters.observe(name, reading, service=self._service.name))

    def stop(self) -> None:
        """Ends that."""
        while self._forget:
            self._forget.pop()()

    def _depth(self) -> dict[str, float]:
        return {destination: waiting.rows for destination, waiting in outbox.waiting(self._service.db).items()}

    def _age(self) -> dict[str, float]:
        now = clock.now()
        found = outbox.waiting(self._service.db)
        return {destination: (now - waiting.oldest).total_seconds() for destination, waiting in found.items()}

    def _inbox_depth(self) -> float:
        return inbox.waiting(self._service.db).rows

    def _inbox_age(self) -> float:
        oldest = inbox.waiting(self._service.db).oldest
        return (clock.now() - oldest).total_seconds() if oldest else 0.0

    def _held(self) -> dict[str, float]:
        return dict(held.counts(self._service.db))

    def _clocks(self) -> dict[str, float]:
        with self._service.db.reading() as conn:
            return dict(deadline_store.count_colours(conn, clock.now()))

    def _dead_letters(self) -> dict[str, float]:
        _, dead = status.queue_facts(self._service.settings, self._service.name)
        return {} if dead is None else {self._service.name: dead}
