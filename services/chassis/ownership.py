"""One sender per database and destination, however many replicas run: several at once would overtake each other.

PostgreSQL: a session-level advisory lock; the session that holds it also LISTENs for commits of other processes. When
the session breaks, the lock is free and another replica takes it within a second. SQLite: its only process owns it.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any
from zlib import crc32

from services.chassis import outbox, wake
from services.chassis.database import Database

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger(__name__)

RETRY_S = 1.0
LOOK_S = 0.5
# So often is the session asked whether it still lives when nothing is heard.
PROBE_S = 10.0
# The first half of the lock's number: "relay". The second one is the destination.
LOCK_CLASS = crc32(b"relay") & 0x7FFFFFFF


class Owner:
    """Holds, or tries to get, the right to send to one destination. Sets `woken` when something may wait to be sent."""

    def __init__(self, db: Database, destination: str, woken: threading.Event) -> None:
        self.owns = threading.Event()
        self._db = db
        self._destination = destination
        self._woken = woken
        self._bell = wake.bell(db, wake.outbox(destination))
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to hold or to try."""
        self._stopping.clear()
        if self._db.is_sqlite:
            self._begin()
            return
        name = f"own-{self._destination}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Gives the right up, so that another replica need not wait."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._end()

    def _begin(self) -> None:
        self._bell.listen(self._woken)
        self.owns.set()
        self._woken.set()

    def _end(self) -> None:
        self.owns.clear()
        self._bell.leave(self._woken)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._hold()
            except Exception as error:  # the database is away; so is what it would have us send
                fields = {"destination": self._destination, "error": type(error).__name__}
                log.warning("relay lost its lock", extra={"fields": fields})
            self._end()
            self._stopping.wait(RETRY_S)

    def _hold(self) -> None:
        session = self._session()
        try:
            while not self._stopping.is_set() and not self._lock(session):
                self._stopping.wait(RETRY_S)
            if not self._stopping.is_set():
                session.execute(f"LISTEN {outbox.CHANNEL}")
                self._begin()
                self._listen(session)
        finally:
            session.close()

    def _session(self) -> psycopg.Connection[Any]:
        """A connection of its own, never back in the pool: lock and LISTEN belong to it."""
        pooled = self._db.engine.raw_connection()
        session: psycopg.Connection[Any] = pooled.driver_connection  # type: ignore[assignment]
        pooled.detach()
        session.autocommit = True
        return session

    def _lock(self, session: psycopg.Connection[Any]) -> bool:
        key = (LOCK_CLASS, crc32(self._destination.encode()) & 0x7FFFFFFF)
        row = session.execute("SELECT pg_try_advisory_lock(%s, %s)", key).fetchone()
        return bool(row and row[0])

    def _listen(self, session: psycopg.Connection[Any]) -> None:
        probed = time.monotonic()
        while not self._stopping.is_set():
            for notice in session.notifies(timeout=LOOK_S, stop_after=1):
                if notice.payload == self._destination:
                    self._woken.set()
            if time.monotonic() - probed > PROBE_S:
                session.execute("SELECT 1")
                probed = time.monotonic()
