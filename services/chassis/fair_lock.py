"""A lock that is given to those who wait in the order in which they came."""

from __future__ import annotations

import threading
from collections import deque


class FairLock:
    """`threading.Lock` may be taken again and again by the same busy thread; here nobody is passed over."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Lock] = deque()

    def acquire(self, timeout: float | None = None) -> bool:
        """Waits up to `timeout` seconds, None: as long as it takes. False when the time is up."""
        with self._guard:
            if not self._held:
                self._held = True
                return True
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        try:
            handed_over = mine.acquire(timeout=-1 if timeout is None else max(0.0, timeout))
        except BaseException:
            if not self._leave(mine):
                self.release()
            raise
        return handed_over or not self._leave(mine)

    def release(self) -> None:
        """Hands the lock to whoever waits longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False

    def _leave(self, mine: threading.Lock) -> bool:
        """False when the lock was handed over in the very moment of giving up."""
        with self._guard:
            if mine not in self._waiting:
                return False
            self._waiting.remove(mine)
            return True
