"""A launcher started as a person would start it, with the stand-in for `zongzhi`."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from infra.launch import ROOT
from infra.processes import free_port

FAKE_COMMAND = f"{shlex.quote(sys.executable)} {shlex.quote(str(Path(__file__).with_name('fake_zongzhi.py')))}"


class Launched:
    """The launcher's process, its port and its folder."""

    def __init__(self, module: str, folder: Path, *words: str, fake: str = "", port: int = 0, **env: str) -> None:
        self.folder = folder
        self.port = port or free_port()
        options = ["--port", str(self.port), "--dir", str(folder), "--command", FAKE_COMMAND, "--json", *words]
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *options], cwd=ROOT, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"FAKE": fake} | env,
        )  # fmt: skip

    def __enter__(self) -> Launched:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=60)

    def ready(self) -> dict[str, Any]:
        """What it prints when the district answers."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {}

    def ended(self) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err

    def calls(self) -> list[dict[str, Any]]:
        """How `zongzhi` was called."""
        return [json.loads(line) for line in (self.folder / "calls.jsonl").read_text().splitlines()]
