"""A request's body, read in pieces up to a limit; what is left of a refused one is thrown away, so that the caller
hears the answer instead of a broken connection."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import get_input_stream

from gateway.problems import HttpRefusal

PIECE = 64 * 1024
MEBIBYTE = 1024 * 1024
LARGEST_DRAINED = 256 * MEBIBYTE
DRAINING_S = 30.0


class Body:
    """What a caller sends. `most` counts the whole body, boundaries and all."""

    def __init__(self, environ: Mapping[str, Any], most: int, too_large: HttpRefusal) -> None:
        self._stream = get_input_stream(dict(environ))
        self._most = most
        self._too_large = too_large
        self._read = 0
        self._over = False
        self.announced = _announced(environ)

    def check_announced(self) -> None:
        """Raises HttpRefusal at once when the caller says that more will come than is taken."""
        if self.announced > self._most:
            raise self._too_large

    def piece(self) -> bytes:
        """The next bytes, b"" at the end. Raises HttpRefusal when it is too much or breaks off."""
        found = self._next()
        if self._read > self._most:
            raise self._too_large
        return found

    def drain(self) -> None:
        """Reads on and forgets, for a while and up to a limit."""
        end, most = time.monotonic() + DRAINING_S, self._read + LARGEST_DRAINED
        if self.announced > most:
            return
        try:
            while self._next() and self._read < most and time.monotonic() < end:
                pass
        except HttpRefusal:
            # The caller has gone; the answer is for nobody.
            return

    def _next(self) -> bytes:
        if self._over:
            return b""
        try:
            found: bytes = self._stream.read(PIECE)
        except (ClientDisconnected, OSError, ValueError):
            self._over = True
            raise broken_off() from None
        self._over = not found
        self._read += len(found)
        return found


def broken_off() -> HttpRefusal:
    """The caller stopped in the middle."""
    return HttpRefusal(
        "INVALID_ARGUMENT",
        "请求内容不完整,上传中断,未保存任何内容,请重新上传。",
        "The body broke off; nothing was kept. Send it again.",
    )


def _announced(environ: Mapping[str, Any]) -> int:
    text = str(environ.get("CONTENT_LENGTH") or "0")
    if not (text.isascii() and text.isdigit()):
        raise HttpRefusal("INVALID_ARGUMENT", "Content-Length 无效。", "Content-Length is not a number.")
    return int(text)
