"""Threads and waiting, for tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence


def in_threads(deeds: Sequence[Callable[[], None]]) -> None:
    """Runs all at once and waits for the last."""
    threads = [threading.Thread(target=deed) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def wait_until(condition: Callable[[], bool], timeout: float = 60) -> None:
    """Waits for a condition; a test that waits in vain fails."""
    pause = threading.Event()
    for _ in range(int(timeout / 0.005)):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError("waited in vain")
