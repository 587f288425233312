"""What 32 files of 20 MB at once do to a village's one process."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from bench import cases
from bench.figures import Figure
from bench.ground import Ground
from e2e.system import System

TITLE = "32 个 20 MB 附件同时上传时的内存 · memory under 32 uploads of 20 MB at once"
AT_ONCE = 32
SIZE = 20 * 1024 * 1024
EVERY_S = 0.02


def measure(ground: Ground) -> list[Figure]:
    """Sends 32 files through the gateway at once, to as many petitions, and watches the process."""
    content = b"%PDF-1.7\n" + os.urandom(SIZE - 9)
    with System(ground.folder / "uploads") as system:
        system.sign_in()
        paths = [_petition(system, ground) for _ in range(AT_ONCE)]
        # One before, so that what is loaded once is not counted.
        _send(system, paths[0], content[: 1 << 20])
        watch = _Watch(system.processes["all"].pid)
        with watch, ThreadPoolExecutor(AT_ONCE) as callers:
            began = time.monotonic()
            list(callers.map(lambda path: _send(system, path, content), paths))
            took = time.monotonic() - began
    zh = f"{AT_ONCE} 个 20 MB 附件经网关同时上传(单进程、SQLite),常驻内存的最大增量"
    found = [
        Figure("upload_rss_growth_mb", round(watch.most - watch.before, 1), "MB", zh, AT_ONCE, aim="≤ 64"),
        Figure("upload_mb_per_s", round(AT_ONCE * SIZE / took / (1 << 20), 1), "MB/s", "同上,合计吞吐", AT_ONCE),
    ]
    for figure in found:
        print(figure.line, flush=True)
    return found


def _petition(system: System, ground: Ground) -> str:
    made = system.ok("POST", "/v1/petitions", cases.registration(ground.random))["petition"]
    return f"{system.gateway}/v1/petitions/{made['id']}/attachments"


def _send(system: System, url: str, content: bytes) -> None:
    headers = {"Authorization": str(system.http.headers["Authorization"])}
    answer = requests.post(url, headers=headers, files={"file": ("现场.pdf", content)}, timeout=300)
    if not answer.ok:
        raise AssertionError(f"{answer.status_code} {answer.text}")


class _Watch:
    """Looks at a process's resident memory all the time; the most is what counts."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.before = self.most = self._now()

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(EVERY_S):
            self.most = max(self.most, self._now())

    def _now(self) -> float:
        for line in Path(f"/proc/{self._pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0
