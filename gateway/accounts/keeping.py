"""What goes on in the gateway beside requests: its audit is sealed, and what is past its time is forgotten.

Every gateway process starts this. On PostgreSQL one sealer holds an advisory lock; on SQLite, where a second one would
only repeat the first one's looks, one holds a locked file beside the database. When it ends, another takes over.
"""

from __future__ import annotations

import fcntl
import logging
import threading
from pathlib import Path
from typing import IO

from gateway.accounts import session_store
from services.chassis import clock, retention
from services.chassis.audit import Sealer
from services.chassis.database import Database
from services.chassis.settings import Settings

log = logging.getLogger("zongzhi.gateway")

EVERY_S = 3600.0
TRY_AGAIN_S = 2.0


class Keeper:
    """Seals and prunes the gateway's database on threads of its own."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._settings = settings
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._turn: IO[str] | None = None

    def start(self) -> None:
        """Begins, now or as soon as it is this process's turn."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="gateway-keeper", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Seals what is left and ends."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=15)
            self._thread = None

    def _run(self) -> None:
        while not self._stopping.is_set() and not self._is_our_turn():
            self._stopping.wait(TRY_AGAIN_S)
        if self._stopping.is_set():
            return
        sealer = Sealer(self._db)
        sealer.start()
        try:
            while not self._stopping.is_set():
                self._prune()
                self._stopping.wait(EVERY_S)
        finally:
            sealer.stop()
            if self._turn is not None:
                self._turn.close()
                self._turn = None

    def _is_our_turn(self) -> bool:
        if not self._db.is_sqlite:
            return True
        try:
            file = Path(f"{self._db.url.database}.keeper").open("a")
        except OSError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._turn = file
        return True

    def _prune(self) -> None:
        try:
            pruned = session_store.prune(self._db, clock.now()) | retention.prune(self._db, self._settings)
        except Exception as error:
            log.warning("cannot prune", extra={"fields": {"error": type(error).__name__}})
        else:
            if any(pruned.values()):
                log.info("pruned", extra={"fields": pruned})
