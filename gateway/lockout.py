"""Stops whoever guesses passwords: ten failures per account and source, a hundred per source, in fifteen minutes."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from services.chassis.refusal import Exhausted

WINDOW_S = 15 * 60
PER_ACCOUNT = 10
PER_SOURCE = 100
# Bounded, so that made-up names cannot fill the memory.
REMEMBERED = 10_000


class Lockout:
    """Failures of the last fifteen minutes, in this process's memory."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[tuple[str, ...], deque[float]] = OrderedDict()

    def begin(self, account: str, source: str) -> None:
        """Counts the attempt as failed until `succeeded`, so that guesses at once count too. Raises Exhausted."""
        now = self._clock()
        limits = (((account, source), PER_ACCOUNT), ((source,), PER_SOURCE))
        with self._lock:
            wait = max(self._wait(key, most, now) for key, most in limits)
            if wait > 0:
                raise _locked(wait)
            for key, most in limits:
                self._failures.setdefault(key, deque(maxlen=most)).append(now)
                self._failures.move_to_end(key)
            while len(self._failures) > REMEMBERED:
                self._failures.popitem(last=False)

    def succeeded(self, account: str, source: str) -> None:
        """The password was right: earlier mistakes are forgiven, and this attempt was none."""
        with self._lock:
            self._failures.pop((account, source), None)
            of_source = self._failures.get((source,))
            if of_source:
                of_source.pop()

    def _wait(self, key: tuple[str, ...], most: int, now: float) -> float:
        failures = self._failures.get(key)
        while failures and failures[0] <= now - WINDOW_S:
            failures.popleft()
        return failures[0] + WINDOW_S - now if failures and len(failures) >= most else 0.0


def _locked(wait_s: float) -> Exhausted:
    minutes = max(1, round(wait_s / 60))
    return Exhausted(
        "LOGIN_LOCKED",
        f"登录失败次数过多,请在 {minutes} 分钟后再试。",
        f"Too many failed sign-ins; try again in {minutes} minutes.",
        retry_after_s=str(int(wait_s) + 1),
    )
