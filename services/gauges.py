"""What operators watch of a service while it runs: outbox, inbox, what is held, dead letters, clocks by colour."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from threading import Lock

from services import status
from services.chassis import clock, deadline_store, held, inbox, outbox
from services.chassis.metrics import Meters, Reading
from services.chassis.service import Service

# One look serves all numbers of a collection, and a database that keeps silent is waited for once, not once a number.
KEEP_S = 2.0

BOOKS = ("outbox_depth", "outbox_age_s", "inbox_depth", "inbox_age_s", "held", "clocks")


class Gauges:
    """Reads the service's books whenever the metrics are collected, and at no other time."""

    def __init__(self, service: Service, meters: Meters) -> None:
        self._service = service
        self._meters = meters
        self._forget: list[Callable[[], None]] = []
        self._lock = Lock()
        self._until = 0.0
        self._found: dict[str, Reading] | Exception = {}

    def start(self) -> None:
        """From now on every collection asks."""
        readings: dict[str, Callable[[], Reading]] = {name: partial(self._book, name) for name in BOOKS}
        if self._service.settings.bus_url != "local:":
            readings["dead_letters"] = self._dead_letters
        for name, reading in readings.items():
            self._forget.append(self._meters.observe(name, reading, service=self._service.name))

    def stop(self) -> None:
        """Ends that."""
        while self._forget:
            self._forget.pop()()

    def _book(self, name: str) -> Reading:
        with self._lock:
            if time.monotonic() >= self._until:
                try:
                    self._found = self._look()
                except Exception as error:
                    self._found = error
                self._until = time.monotonic() + KEEP_S
            if isinstance(self._found, Exception):
                raise self._found
            return self._found[name]

    def _look(self) -> dict[str, Reading]:
        db, now = self._service.db, clock.now()
        sending, received = outbox.waiting(db), inbox.waiting(db)
        with db.reading() as conn:
            colours = deadline_store.count_colours(conn, now)
        return {
            "outbox_depth": {destination: waiting.rows for destination, waiting in sending.items()},
            "outbox_age_s": {to: (now - waiting.oldest).total_seconds() for to, waiting in sending.items()},
            "inbox_depth": received.rows,
            "inbox_age_s": (now - received.oldest).total_seconds() if received.oldest else 0.0,
            "held": dict(held.counts(db)),
            "clocks": dict(colours),
        }

    def _dead_letters(self) -> Reading:
        _, dead = status.queue_facts(self._service.settings, self._service.name)
        return {} if dead is None else {self._service.name: dead}
