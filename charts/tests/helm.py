"""Helm as the tests use it: one program by setting, quiet about what is no news."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CHARTS = ROOT / "charts"
TOOLS = ROOT / ".tools" / "bin"
# Helm says of each chart that it follows the link to the library.
NO_NEWS = ("symbolic link in path",)


class HelmFailed(Exception):
    """Helm ended with an error; the message is what it said."""


def program(major: int = 4) -> str:
    """Where Helm of this major version is: HELM, HELM3, or what `make helm` fetched."""
    name = "helm" if major == 4 else f"helm{major}"
    return os.environ.get(name.upper()) or str(TOOLS / name)


def helm(*words: str, major: int = 4, timeout: float = 600) -> str:
    """Runs helm and returns what it printed. Raises HelmFailed."""
    done = subprocess.run([program(major), *words], capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if not any(text in line for text in NO_NEWS)]
        raise HelmFailed("\n".join(said))
    return done.stdout
