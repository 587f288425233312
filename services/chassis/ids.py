"""Identifiers: UUID version 7 (RFC 9562), which sort by the time they were made."""

from __future__ import annotations

import os
import secrets
import threading
import uuid

from services.chassis import clock

RANDOM_BITS = 74
STEP_BITS = 32


class _Sequence:
    """Milliseconds and 74 random bits; within one millisecond the bits only grow (RFC 9562 §6.2, method 2)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._millisecond = -1
        self._bits = 0

    def next(self, millisecond: int) -> tuple[int, int]:
        with self._lock:
            if millisecond > self._millisecond:
                self._restart(millisecond)
            else:
                self._bits += 1 + secrets.randbits(STEP_BITS)
                if self._bits >> RANDOM_BITS:
                    self._restart(self._millisecond + 1)
            return self._millisecond, self._bits

    def _restart(self, millisecond: int) -> None:
        self._millisecond = millisecond
        self._bits = secrets.randbits(RANDOM_BITS - 1)  # the top bit stays free, so that there is room to grow


_sequence = _Sequence()


def _forget() -> None:
    global _sequence
    _sequence = _Sequence()


# A forked child must neither inherit a lock that another thread held nor continue its parent's bits.
os.register_at_fork(after_in_child=_forget)


def uuid7() -> str:
    """A new id, greater than every id this process made before, also when the system clock is set back."""
    millisecond, bits = _sequence.next(int(clock.now().timestamp() * 1000))
    high, low = bits >> 62, bits & ((1 << 62) - 1)
    return str(uuid.UUID(int=millisecond << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low))


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID of any version in the usual form: 36 characters, lower case, hyphens."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
