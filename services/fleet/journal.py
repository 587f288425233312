"""What a rollout has done so far, one JSON line a step, on disk before the next step begins.

    begun(run, deed, codes) → started(code, pid, revision) → done(code, digest) | failed(code, error) → ended(outcome)

After a kill -9 the next `apply` reads it: what is done with the same digest stays done, what was started is looked at.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from services.chassis import clock
from services.fleet.mistakes import FleetMistake

OK, STOPPED, INTERRUPTED = "ok", "stopped", "interrupted"


@dataclass
class Run:
    """One rollout as the journal tells it."""

    id: str
    deed: str
    codes: list[str]
    begun_at: str
    done: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    # By code: the helm process and the revision before it.
    started: dict[str, tuple[int, int]] = field(default_factory=dict)
    outcome: str = ""

    @property
    def unfinished(self) -> bool:
        """Whether the next rollout goes on with it."""
        return self.outcome != OK

    def take(self, line: dict[str, Any]) -> None:
        """One more step."""
        code, event = line.get("code", ""), line["event"]
        if event == "started":
            self.started[code] = (line["pid"], self.started.get(code, (0, line["revision"]))[1])
            self.failed.pop(code, None)
        elif event == "done":
            self.done[code] = line["digest"]
        elif event == "failed":
            self.failed[code] = line["error"]
        elif event == "ended":
            self.outcome = line["outcome"]


def read(path: Path) -> list[Run]:
    """Every run, oldest first. A last line that was cut off says nothing."""
    runs: dict[str, Run] = {}
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if line["event"] == "begun":
            again = runs.get(line["run"])
            if again:
                again.outcome, again.codes = "", line["codes"]
            else:
                runs[line["run"]] = Run(line["run"], line["deed"], line["codes"], line["at"])
        elif line["run"] in runs:
            runs[line["run"]].take(line)
    return list(runs.values())


class Journal:
    """Writes one run. `with Journal(…) as journal:` holds it for itself: two rollouts at once would fight."""

    def __init__(self, path: Path, run: str) -> None:
        self._path = path
        self._run = run
        self._lock = Lock()

    def __enter__(self) -> Journal:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise FleetMistake(
                f"另一个 zongzhi fleet 正在运行(日志 {self._path}),请等它结束。",
                f"Another zongzhi fleet is running (journal {self._path}); wait for its end.",
            ) from None
        self._end_a_cut_off_line()
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def begun(self, deed: str, codes: Sequence[str]) -> None:
        """A rollout of these releases begins, or goes on."""
        self._write(event="begun", deed=deed, codes=list(codes))

    def started(self, code: str, pid: int, revision: int) -> None:
        """Helm works on a release that has this revision (0: none)."""
        self._write(event="started", code=code, pid=pid, revision=revision)

    def done(self, code: str, digest: str, seconds: float) -> None:
        """A release is as it should be."""
        self._write(event="done", code=code, digest=digest, seconds=round(seconds, 1))

    def failed(self, code: str, error: str, seconds: float) -> None:
        """Helm gave up on a release."""
        self._write(event="failed", code=code, error=error, seconds=round(seconds, 1))

    def ended(self, outcome: str) -> None:
        """The rollout is over."""
        self._write(event="ended", outcome=outcome)

    def _write(self, **line: Any) -> None:
        text = json.dumps(
            {"at": clock.now().isoformat(timespec="seconds"), "run": self._run, **line}, ensure_ascii=False
        )
        with self._lock:
            self._file.write(text.encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def _end_a_cut_off_line(self) -> None:
        size = self._file.seek(0, os.SEEK_END)
        if size:
            self._file.seek(size - 1)
            if self._file.read(1) != b"\n":
                self._file.write(b"\n")
