"""What was measured, and where it is kept: results.json for programs, results.md for people."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent

HEAD = """# 性能实测 · Measurements

每个数字都与同一次运行、同一台机器、同样核数上测得的“裸极限”相比;两边交替测量,取成对比值的中位数。
Each figure stands beside a raw limit of the same run, machine and cores; sides alternate, ratios are medians of pairs.
`make bench` 重测全部,`make bench ONLY=…` 只重测一部分。`make bench` measures all again, `ONLY=` a part.

客户端、服务、PostgreSQL 和 RabbitMQ 共用本机全部核,数字是真实节点的下限。
Client, service, PostgreSQL and RabbitMQ share this machine's cores: the figures are floors for a real node.

| 项目 | 实测 value | 目标 aim | 裸极限 raw limit | 单位 unit | n | 含义 |
|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Figure:
    """One figure. `limit` is the raw one beside it, `aim` what we want of it, `n` how many were counted."""

    name: str
    value: float
    unit: str
    zh: str
    n: int
    limit: float | None = None
    # `≥ 0.7`, `≤ 25`, `= 0`; None: reported only.
    aim: str | None = None

    @property
    def met(self) -> bool | None:
        """Whether the aim is reached; None without one."""
        if self.aim is None:
            return None
        sign, _, number = self.aim.partition(" ")
        wanted = float(number.replace(",", ""))
        return {"≥": self.value >= wanted, "≤": self.value <= wanted, "=": self.value == wanted}[sign]

    @property
    def line(self) -> str:
        """The figure as it is printed while measuring."""
        aim = f"  目标 aim {self.aim} {'✓' if self.met else '✗'}" if self.aim else ""
        raw = f"  裸极限 raw {_number(self.limit)}" if self.limit is not None else ""
        return f"  {self.name} = {_number(self.value)} {self.unit}{aim}{raw}  (n={self.n})"


class Results:
    """The results of this and earlier runs; what is measured again replaces its own entries only."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._json, self._md = folder / "results.json", folder / "results.md"
        self._seed = seed
        self._kept: dict[str, dict[str, Any]] = {}
        if self._json.exists():
            self._kept = {one["name"]: one for one in json.loads(self._json.read_text())}

    def keep(self, figures: Iterable[Figure]) -> None:
        """Writes figures down; both files are whole after each part."""
        stamp = {
            "commit": _commit(),
            "seed": self._seed,
            "measured_on": f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ} {_machine()}",
        }
        for figure in figures:
            self._kept[figure.name] = asdict(figure) | stamp
        self._json.parent.mkdir(parents=True, exist_ok=True)
        self._json.write_text(json.dumps(list(self._kept.values()), ensure_ascii=False, indent=1) + "\n")
        self._md.write_text(self.markdown)

    @property
    def markdown(self) -> str:
        """The page for people."""
        rows = "".join(_row(one) for one in self._kept.values())
        runs = sorted({(one["measured_on"], one["commit"], one["seed"]) for one in self._kept.values()})
        return HEAD + rows + "\n测于 measured on:\n" + "".join(f"- {on},commit {c},seed {s}\n" for on, c, s in runs)


def _row(kept: dict[str, Any]) -> str:
    known = {name: kept[name] for name in Figure.__dataclass_fields__}
    figure = Figure(**known)
    aim = f"{figure.aim} {'达到' if figure.met else '**未达到**'}" if figure.aim else "—"
    limit = _number(figure.limit) if figure.limit is not None else "—"
    cells = (f"`{figure.name}`", _number(figure.value), aim, limit, figure.unit, f"{figure.n:,}", figure.zh)
    return f"| {' | '.join(cells)} |\n"


def _number(value: float | None) -> str:
    if value is None:
        return "—"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain") else "")


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), os.uname().machine
    )
    return f"{os.cpu_count()} × {model}"
