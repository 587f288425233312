"""Whether a service's own database answers, asked every second: all that decides whether the service is ready."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from services.chassis.service import Service

log = logging.getLogger(__name__)

PROBE_EVERY_S = 1.0
# A database that has not answered for this long counts as gone, though the question is still open.
PROBE_PATIENCE_S = 3.0
FIRST_PROBE_S = 1.0


class Readiness:
    """Asks the service's own database every second and tells the answer whenever it changes.

    The question runs on a thread of its own: a frozen database keeps it waiting, and that must be seen too.
    """

    def __init__(self, service: Service, tell: Callable[[bool], None]) -> None:
        self._service = service
        self._tell_change = tell
        self._asked_at: float | None = None
        self._answered = threading.Event()
        self._answers = False
        self._ready: bool | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begins; the first answer is told before this returns."""
        threading.Thread(target=self._ask, name=f"{self._service.name}-probe", daemon=True).start()
        self._answered.wait(FIRST_PROBE_S)
        self._tell(self._answers)
        threading.Thread(target=self._watch, name=f"{self._service.name}-health", daemon=True).start()

    def stop(self) -> None:
        """Asks and tells no more."""
        self._stopped.set()

    def _ask(self) -> None:
        while not self._stopped.is_set():
            self._asked_at = time.monotonic()
            self._answers = self._question()
            self._asked_at = None
            self._answered.set()
            self._stopped.wait(PROBE_EVERY_S)

    def _question(self) -> bool:
        try:
            return self._service.db.answers()
        except Exception:
            # This thread must not end: nobody would ask again.
            log.exception("database probe failed", extra={"fields": {"service": self._service.name}})
            return False

    def _watch(self) -> None:
        while not self._stopped.is_set():
            self._answered.wait(PROBE_EVERY_S)
            self._answered.clear()
            asked_at = self._asked_at
            overdue = asked_at is not None and time.monotonic() - asked_at > PROBE_PATIENCE_S
            self._tell(self._answers and not overdue)

    def _tell(self, ready: bool) -> None:
        if ready == self._ready or self._stopped.is_set():
            return
        self._ready = ready
        self._tell_change(ready)
        log.info("readiness changed", extra={"fields": {"service": self._service.name, "ready": ready}})
