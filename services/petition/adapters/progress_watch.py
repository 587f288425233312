"""Waits for commits on behalf of all that ask: one thread a process looks, woken by bell and NOTIFY.

It runs only while somebody waits. The look every LOOK_S is the net: a row may become readable without a ring of its own,
when an older transaction beside it ends.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from services.chassis import wake
from services.chassis.database import Database
from services.petition.adapters import progress

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger(__name__)

LOOK_S = 0.25
# The thread and its session are kept so long after the last caller, who will be back in a moment.
LINGER_S = 30.0


class Watch:
    """Tells callers of commits. A part of `serve`: its end ends every wait."""

    def __init__(self, db: Database, most: int) -> None:
        self._db = db
        self._most = most
        self._changed = threading.Condition()
        self._waiting = 0
        self._rings = 0
        self._left_at = 0.0
        self._ended = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Nothing yet: the first caller starts the thread."""
        self._ended = False

    def stop(self) -> None:
        """Everyone who waits goes home."""
        self._ended = True
        self._ring()
        thread = self._thread
        wake.bell(self._db, progress.SUBJECT).ring()
        if thread is not None:
            thread.join()

    def wait(self, has_changed: Callable[[], bool], seconds: float, is_wanted: Callable[[], bool]) -> bool:
        """Until something changed, the time is over or nobody wants to know; False when too many wait already."""
        end = time.monotonic() + seconds
        with self._changed:
            if self._ended or self._waiting >= self._most:
                return False
            self._waiting += 1
            self._begin()
        try:
            seen = -1
            while is_wanted() and not self._ended and time.monotonic() < end:
                if self._rings != seen:
                    seen = self._rings
                    if has_changed():
                        break
                with self._changed:
                    if self._rings == seen:
                        self._changed.wait(min(1.0, max(0.0, end - time.monotonic())))
        finally:
            with self._changed:
                self._waiting -= 1
                self._left_at = time.monotonic()
        return True

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="progress-watch", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        woken = threading.Event()
        bell = wake.bell(self._db, progress.SUBJECT)
        bell.listen(woken)
        try:
            self._look_until_alone(woken)
        finally:
            bell.leave(woken)

    def _look_until_alone(self, woken: threading.Event) -> None:
        before: tuple[int, int] | None = None
        ear = None if self._db.is_sqlite else _Ear(self._db, woken)
        try:
            while not self._is_over():
                woken.wait(LOOK_S)
                woken.clear()
                newest = self._newest(before)
                if newest != before:
                    before = newest
                    self._ring()
        finally:
            if ear:
                ear.close()

    def _ring(self) -> None:
        with self._changed:
            self._rings += 1
            self._changed.notify_all()

    def _newest(self, before: tuple[int, int] | None) -> tuple[int, int] | None:
        try:
            with self._db.reading() as conn:
                return progress.last(conn)
        except Exception as error:  # the database is away; it will be asked again
            log.warning("cannot look for progress", extra={"fields": {"error": type(error).__name__}})
            return before

    def _is_over(self) -> bool:
        with self._changed:
            alone = not self._waiting and time.monotonic() - self._left_at > LINGER_S
            if self._ended or alone:
                self._thread = None
                return True
        return False


class _Ear:
    """Hears what other processes NOTIFY, on a session and thread of its own."""

    def __init__(self, db: Database, woken: threading.Event) -> None:
        self._db = db
        self._woken = woken
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress-ear", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._listen()
            except Exception as error:  # the session broke; the looks go on
                log.warning("progress session ended", extra={"fields": {"error": type(error).__name__}})
                self._closing.wait(1.0)

    def _listen(self) -> None:
        pooled = self._db.engine.raw_connection()
        session: psycopg.Connection[Any] = pooled.driver_connection  # type: ignore[assignment]
        # Never back into the pool: LISTEN belongs to it.
        pooled.detach()
        try:
            session.autocommit = True
            session.execute(f"LISTEN {progress.CHANNEL}")
            while not self._closing.is_set():
                for _ in session.notifies(timeout=0.5, stop_after=1):
                    self._woken.set()
        finally:
            session.close()
