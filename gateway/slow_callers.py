"""Callers who send so slowly that a few of them would keep every thread (slowloris): cheroot alone waits 10 s for each
single byte. Here a request has 10 s to arrive, and a second more for each 4 KiB of it.

Only time spent waiting for the caller counts, so a service that is slow to take a file costs the caller nothing.

Granian gives heads a time limit of its own, but none to bodies, and a thread that reads one cannot be called back.
There bodies may keep most threads, never all: reads and probes go on. A proxy in front that takes whole bodies cures
the rest.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cheroot.makefile import MakeFile, StreamReader
from cheroot.server import HTTPConnection

from services.chassis.refusal import Unavailable

PATIENCE_S = 10.0
BYTES_PER_S = 4096


class BodyPlaces:
    """So many bodies read at once; without a number, as many as there are threads."""

    def __init__(self, at_once: int | None = None, patience_s: float = PATIENCE_S) -> None:
        self._places = threading.BoundedSemaphore(at_once) if at_once else None
        self._patience_s = patience_s

    @contextmanager
    def taken(self, environ: Mapping[str, Any]) -> Iterator[None]:
        """Holds a place when the request brings a body. Raises Unavailable when none becomes free."""
        has_body = environ.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in environ
        if self._places is None or not has_body:
            yield
            return
        if not self._places.acquire(timeout=self._patience_s):
            raise Unavailable(
                "TOO_MANY_BODIES",
                "同时提交的请求过多,请稍后重试。",
                "Too many requests with a body at once; try again in a moment.",
            )
        try:
            yield
        finally:
            self._places.release()


class Patience:
    """What is left of a request's time."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """A new request."""
        self._waited = 0.0
        self._received = 0

    def left(self) -> float:
        """Seconds."""
        return PATIENCE_S + self._received / BYTES_PER_S - self._waited

    def spend(self, waited: float, received: int) -> None:
        """So long was waited for so many bytes."""
        self._waited += waited
        self._received += received


class _Socket(socket.SocketIO):
    """Reads for as long as patience lasts."""

    def __init__(self, sock: socket.socket, patience: Patience) -> None:
        super().__init__(sock, "r")
        self._patient = patience
        self._usual = sock.gettimeout()

    def readinto(self, buffer: Any) -> int | None:
        sock: Any = self._sock  # type: ignore[attr-defined]  # where SocketIO keeps it
        left = self._patient.left()
        if left <= 0:
            # cheroot knows a timeout by these words.
            raise TimeoutError("timed out")
        sock.settimeout(min(left, self._usual) if self._usual else left)
        began, count = time.monotonic(), 0
        try:
            count = super().readinto(buffer) or 0
        finally:
            self._patient.spend(time.monotonic() - began, count)
            sock.settimeout(self._usual)
        return count


class _Reader(StreamReader):
    """cheroot's reader on such a socket."""

    def __init__(self, sock: socket.socket, patience: Patience, size: int) -> None:
        super(StreamReader, self).__init__(_Socket(sock, patience), size)
        self.bytes_read = 0


class PatientConnection(HTTPConnection):
    """A connection whose requests must arrive in time. Without TLS, which ends before us."""

    def __init__(self, server: Any, sock: Any, _: Any = MakeFile) -> None:
        self._patience = Patience()

        def file(sock: socket.socket, mode: str, size: int) -> Any:
            return _Reader(sock, self._patience, size) if "r" in mode else MakeFile(sock, mode, size)

        super().__init__(server, sock, file)

    def communicate(self) -> Any:
        """Answers one request; its time begins now."""
        self._patience.begin()
        return super().communicate()  # type: ignore[no-untyped-call]  # cheroot has no types here
