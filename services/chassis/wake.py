"""Bells that wake a thread of this process the moment a commit gives it something to do.

One bell a database and subject, found by the database's address, so that writer and waiter need not know each other.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path

from sqlalchemy import URL

from services.chassis.database import Database

INBOX = "inbox"


def outbox(destination: str) -> str:
    """The subject of events that wait to be sent to a destination."""
    return f"outbox {destination}"


class Bell:
    """Wakes whoever listens in this process; ringing it where nobody does is cheap and loses nothing but time."""

    def __init__(self) -> None:
        self._listeners: tuple[threading.Event, ...] = ()
        self._guard = threading.Lock()

    @property
    def heard(self) -> bool:
        """Whether anybody in this process listens."""
        return bool(self._listeners)

    def ring(self) -> None:
        """Wakes every listener."""
        for listener in self._listeners:
            listener.set()

    def listen(self, listener: threading.Event) -> None:
        """From now on `listener` is set at each ring."""
        with self._guard:
            if listener not in self._listeners:
                self._listeners = (*self._listeners, listener)

    def leave(self, listener: threading.Event) -> None:
        """Ends that; leaving twice is fine."""
        with self._guard:
            self._listeners = tuple(one for one in self._listeners if one is not listener)


_bells: dict[tuple[str, str], Bell] = {}
_guard = threading.Lock()


def bell(db: Database, subject: str) -> Bell:
    """The bell of one database and subject, the same for every `Database` object of that address."""
    key = (_address(db.url), subject)
    with _guard:
        return _bells.setdefault(key, Bell())


@lru_cache(maxsize=256)
def _address(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return str(Path(url.database or "").resolve())
    return f"{url.host}:{url.port}/{url.database}"
