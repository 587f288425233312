"""What applying costs beside the same listeners in a bare loop, one transaction each: order, outcome, cursor, span."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.figures import ROOT, Figure
from bench.ground import Ground

TITLE = "应用收到的事件与裸循环之比 · the applier against the same listeners in a bare loop"


def measure(ground: Ground) -> list[Figure]:
    """In a process of its own (`bench/applying.py`), on PostgreSQL; the listener opens a mediation."""
    with ground.district() as district:
        words = [sys.executable, "-m", "bench.applying", str(ground.seed)]
        told = ground.folder / "applying.txt"
        with told.open("w") as output:
            subprocess.run(words, cwd=ROOT, env=district.env, check=True, stdout=output)
    ratio, ours, raw, n = _read(told)
    zh = "每秒应用的事件与“每件一个事务的裸循环”之比(调解服务的真实监听器,PostgreSQL)"
    found = [
        Figure("apply_ratio", round(ratio, 3), "ratio", zh, int(n), 1.0, "≥ 0.8"),
        Figure("apply_per_s", round(ours, 1), "per s", "每秒应用的事件", int(n), round(raw, 1)),
    ]
    for figure in found:
        print(figure.line, flush=True)
    return found


def _read(told: Path) -> list[float]:
    *shown, last = told.read_text().splitlines()
    print("\n".join(shown), flush=True)
    return [float(word) for word in last.split()]
