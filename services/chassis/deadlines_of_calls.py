"""How long the caller will still wait, carried from call to call so that no part works for somebody who has left."""

from __future__ import annotations

import time
from contextvars import ContextVar, Token

from services.chassis.refusal import TooLate

# Kept back for the way home when a call is made on behalf of another.
MARGIN_S = 0.05
DEFAULT_S = 10.0

_until: ContextVar[float | None] = ContextVar("zongzhi_call_deadline", default=None)


def begin(seconds: float | None) -> Token[float | None]:
    """Remembers that the caller waits this long from now; None: no limit is known."""
    return _until.set(None if seconds is None else time.monotonic() + seconds)


def end(token: Token[float | None]) -> None:
    """Forgets it again."""
    _until.reset(token)


def remaining() -> float | None:
    """Seconds that the caller will still wait; None when nobody waits."""
    until = _until.get()
    return None if until is None else until - time.monotonic()


def for_outgoing(own: float = DEFAULT_S) -> float:
    """Seconds to give to a call that this one makes: its own limit or what is left, whichever is shorter."""
    left = remaining()
    return own if left is None else max(0.0, min(own, left - MARGIN_S))


def check() -> None:
    """Raises TooLate when the caller has gone, so that nothing is written that nobody hears of."""
    left = remaining()
    if left is not None and left <= 0:
        raise TooLate(
            "DEADLINE_EXCEEDED",
            "等待时间已过,未作任何更改,请重试。",
            "The caller's time is up; nothing was written. Try again.",
        )
