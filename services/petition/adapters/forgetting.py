"""Forgets in time what following a case keeps only for a while: tries by source, and the order of what happened."""

from __future__ import annotations

import logging
import threading

from services.chassis.database import Database
from services.petition.adapters.following_store import prune_attempts
from services.petition.adapters.progress import prune

log = logging.getLogger(__name__)

INTERVAL_S = 3600.0


class Forgetting:
    """Looks every hour, on a thread of its own."""

    def __init__(self, db: Database, interval_s: float = INTERVAL_S) -> None:
        self._db = db
        self._interval_s = interval_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="forgetting-petition", daemon=True)

    def start(self) -> None:
        """Begins, with a first look at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the look at hand."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                gone = prune_attempts(self._db) + prune(self._db)
            except Exception as error:
                log.warning("cannot forget", extra={"fields": {"error": type(error).__name__}})
            else:
                if gone:
                    log.info("forgotten", extra={"fields": {"rows": gone}})
            self._stopping.wait(self._interval_s)
