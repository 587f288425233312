"""A small fleet: one district, two towns, three villages each, and a stand-in for helm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from services.fleet import tiers, values
from services.fleet.divisions import Division
from services.fleet.tiers import Tier

ROOT = Path(__file__).resolve().parents[3]
DISTRICT, FIRST, SECOND = "341702000000", "341702001000", "341702002000"
EARLY = [f"{FIRST[:9]}00{n}" for n in (1, 2, 3)]
LATE = [f"{SECOND[:9]}00{n}" for n in (1, 2, 3)]


def divisions() -> list[Division]:
    """In the order of no code."""
    found = [Division(DISTRICT, "贵池区", "district", "341700000000")]
    for town in (SECOND, FIRST):
        found.append(Division(town, "某街道", "street", DISTRICT))
        found += [Division(f"{town[:9]}00{n}", f"第{n}村", "village", town) for n in (3, 1, 2)]
    return found


class Desk:
    """An operator's desk: tiers.csv, charts, and helm."""

    def __init__(self, folder: Path) -> None:
        self.fleet, self.charts, self.state = folder / "fleet", folder / "charts", folder / "state"
        self.helm_state = folder / "helm"
        for path in (self.fleet / "values", self.fleet / "overrides", self.helm_state):
            path.mkdir(parents=True)
        for name in ("district", "town", "village"):
            (self.charts / name).mkdir(parents=True)
            (self.charts / name / "Chart.yaml").write_text(f"name: {name}\n")
        self.write(tiers.of_divisions(divisions()))
        self.helm = folder / "helm.sh"
        fake = Path(__file__).with_name("fake_helm.py")
        self.helm.write_text(f'#!/bin/sh\nexec {sys.executable} -SE {fake} "$@"\n')
        self.helm.chmod(0o755)
        self.env = os.environ | {"FAKE_HELM": str(self.helm_state)}

    def write(self, every: list[Tier]) -> None:
        """tiers.csv and the values of each."""
        (self.fleet / "tiers.csv").write_text(tiers.text(every))
        for tier in every:
            (self.fleet / "values" / f"{tier.code}.yaml").write_text(values.text(tier))

    def words(self, deed: str, *words: str) -> list[str]:
        """The command."""
        places = ["--fleet", str(self.fleet), "--charts", str(self.charts), "--state", str(self.state)]
        return [sys.executable, "-m", "services", "fleet", deed, *places, "--helm", str(self.helm), *words]

    def start(self, deed: str, *words: str, **env: str) -> subprocess.Popen[str]:
        """`zongzhi fleet …`, still running."""
        return subprocess.Popen(
            self.words(deed, *words), env=self.env | env, cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, deed: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """`zongzhi fleet …` to its end."""
        process = self.start(deed, *words, **env)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def calls(self, verb: str = "upgrade", event: str = "begin") -> list[dict[str, Any]]:
        """What helm was told, in order."""
        path = self.helm_state / "calls.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [line for line in lines if line["words"][0] == verb and line["event"] == event]

    def upgraded(self) -> list[str]:
        """Codes in the order in which their upgrades began."""
        return [call["words"][2].removeprefix("zz-") for call in self.calls()]

    def release(self, code: str) -> dict[str, Any]:
        """What the stand-in cluster knows of a release."""
        return dict(json.loads((self.helm_state / f"zz-{code}.json").read_text()))

    def forget_calls(self) -> None:
        """From here on, new calls only."""
        (self.helm_state / "calls.jsonl").unlink(missing_ok=True)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)
