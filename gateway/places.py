"""How many files travel at once, so that slow lines never take the last thread from everybody else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.chassis.refusal import Unavailable


class Places:
    """A number of places. Whoever finds none within the patience is asked to come again."""

    def __init__(self, number: int, patience_s: float = 0.0) -> None:
        self._free = threading.BoundedSemaphore(number)
        self._patience_s = patience_s
        self._taken: Callable[[], None] = lambda: None
        self._left: Callable[[], None] = lambda: None

    def when_changed(self, taken: Callable[[], None], left: Callable[[], None]) -> None:
        """Who is told when a place is taken and when it is left: a server that brings a thread for it."""
        self._taken, self._left = taken, left

    def take(self) -> None:
        """Takes a place; `leave` gives it back. Raises Unavailable."""
        if not self._free.acquire(timeout=self._patience_s):
            raise Unavailable(
                "TRANSFERS_BUSY",
                "正在传输的文件过多,请稍后重试。",
                "Too many files are on their way at once; try again in a moment.",
            )
        self._taken()

    def leave(self) -> None:
        """Gives a place back."""
        self._free.release()
        self._left()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """A place for the length of a block. Raises Unavailable."""
        self.take()
        try:
            yield
        finally:
            self.leave()
