"""How long it takes to render every release: the district, its towns and all villages, with the real Helm."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

from bench.figures import ROOT, Figure
from bench.ground import Ground
from services.fleet.fleet import Fleet, Places
from services.fleet.helm import Helm
from services.fleet.tiers import Tier

TITLE = "渲染全部发布 · rendering every release"
ROUNDS = 3
# A process that renders uses one core.
PARALLEL = os.cpu_count() or 1


def measure(_: Ground) -> list[Figure]:
    """The shortest of three rounds: what else runs on the machine only ever adds."""
    helm = os.environ.get("HELM") or shutil.which("helm") or str(ROOT / ".tools" / "bin" / "helm")
    if not Path(helm).exists():
        print("  没有 helm,跳过:设 HELM=,或运行 make helm。no helm, left out: set HELM=, or run make helm", flush=True)
        return []
    with tempfile.TemporaryDirectory() as state:
        fleet = Fleet(Places(ROOT / "infra" / "fleet", ROOT / "charts", Path(state)), Helm.found(helm))
        seconds = min(_round(fleet, fleet.every) for _ in range(ROUNDS))
    count = len(fleet.every)
    figure = Figure("fleet_render_s", round(seconds, 1), "s", f"渲染全部 {count} 个发布", count, None, "≤ 30")
    print(figure.line, flush=True)
    return [figure]


def _round(fleet: Fleet, tiers: list[Tier]) -> float:
    began = time.monotonic()
    fleet.render(tiers, PARALLEL)
    seconds = time.monotonic() - began
    print(f"    {seconds:8.1f} s", flush=True)
    return seconds
