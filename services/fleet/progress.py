"""How far a rollout is, on stderr: one line that moves on a terminal, one line per release elsewhere."""

from __future__ import annotations

import sys
import time
from threading import Lock
from typing import TextIO

WIDTH = 30


class Progress:
    """Counts what is done, failed and running."""

    def __init__(self, total: int, done: int = 0, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._total = total
        self._before = done
        self._done = done
        self._failed = 0
        self._running: set[str] = set()
        self._began = time.monotonic()
        self._lock = Lock()

    def started(self, name: str) -> None:
        """Helm works on it."""
        with self._lock:
            self._running.add(name)
            self._show("")

    def ended(self, name: str, seconds: float, error: str = "") -> None:
        """Helm is through with it."""
        with self._lock:
            self._running.discard(name)
            self._failed += bool(error)
            self._done += not error
            self._show(f"{'✗' if error else '✓'} {name} {seconds:.1f} s{'  ' + error if error else ''}")

    def bar(self) -> str:
        """The bar as text."""
        over = self._done + self._failed
        full = WIDTH * over // self._total if self._total else WIDTH
        bar = f"[{'#' * full}{'.' * (WIDTH - full)}] {over}/{self._total}"
        told = f"完成 done {self._done}  失败 failed {self._failed}  进行 running {len(self._running)}"
        return f"{bar} {told}{self._left(over)}"

    def close(self) -> None:
        """Leaves the last state on the screen."""
        if self._out.isatty():
            self._out.write("\n")

    def _left(self, over: int) -> str:
        worked = over - self._before
        if not worked or over >= self._total:
            return ""
        seconds = (time.monotonic() - self._began) / worked * (self._total - over)
        return f"  约剩 about {seconds / 60:.0f} min left" if seconds >= 90 else f"  约剩 about {seconds:.0f} s left"

    def _show(self, line: str) -> None:
        if self._out.isatty():
            self._out.write(f"\r\x1b[K{line}\n" if line else "\r\x1b[K")
            self._out.write(self.bar())
        elif line:
            self._out.write(f"{line}  {self.bar()}\n")
        self._out.flush()
