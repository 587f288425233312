"""Helm's command line, versions 3 and 4: which words say what, and what its answer means."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.fleet.mistakes import FleetMistake

# Beyond Helm's own time limit it is ended by force.
GRACE_S = 60
PENDING = ("pending-install", "pending-upgrade", "pending-rollback")
# Words that differ between the two versions.
WORDS: dict[int, dict[str, str]] = {
    3: {"roll back on failure": "--atomic", "dry run": "--dry-run=client"},
    4: {"roll back on failure": "--rollback-on-failure", "dry run": "--dry-run=client"},
}
# linux/prctl.h.
PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class HelmFailed(Exception):
    """Helm ended with an error; the message is its last line."""


Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Release:
    """A release as the cluster knows it."""

    name: str
    namespace: str
    revision: int
    status: str
    chart: str


@dataclass(frozen=True)
class Helm:
    """One helm program."""

    program: str
    major: int
    timeout_s: int = 600
    # Told the process id of every helm that is started.
    on_start: Callable[[int], None] = field(default=lambda _: None, compare=False)

    @classmethod
    def found(cls, program: str, timeout_s: int = 600) -> Helm:
        """Raises FleetMistake when there is no helm of version 3 or 4."""
        path = shutil.which(program)
        if path is None:
            raise FleetMistake(
                f"找不到 helm({program}):请安装 Helm 3 或 4,或用 HELM= 指出路径。",
                f"There is no helm ({program}): install Helm 3 or 4, or say where with HELM=.",
            )
        said = subprocess.run([path, "version", "--short"], capture_output=True, text=True, check=False).stdout  # noqa: S603
        version = re.search(r"v(\d+)\.", said)
        if version is None or int(version[1]) not in WORDS:
            raise FleetMistake(f"{program} 不是 Helm 3 或 4:{said.strip()[:80]}", f"{program} is neither Helm 3 nor 4.")
        return cls(path, int(version[1]), timeout_s)

    def template(self, name: str, chart: Path, namespace: str, files: Sequence[Path]) -> list[str]:
        """Renders without a cluster; hooks and tests are left out, as `helm get manifest` leaves them out."""
        return [self.program, "template", name, str(chart), "--namespace", namespace, "--no-hooks", *_values(files)]

    def upgrade(
        self, name: str, chart: Path, namespace: str, files: Sequence[Path], *, exists: bool, cluster: str = ""
    ) -> list[str]:
        """Installs or upgrades and waits. Only an upgrade is taken back when it fails: taking back a first
        installation would remove it, with whatever was already registered there."""
        back = [WORDS[self.major]["roll back on failure"]] if exists else []
        return [
            self.program, "upgrade", "--install", name, str(chart), "--namespace", namespace, "--create-namespace",
            "--wait", *back, "--timeout", f"{self.timeout_s}s", "--history-max", "10", *_values(files), *_at(cluster),
        ]  # fmt: skip

    def rollback(self, name: str, revision: int, namespace: str, cluster: str = "") -> list[str]:
        """Goes back to a revision and waits."""
        return [
            self.program, "rollback", name, str(revision), "--namespace", namespace, "--wait",
            "--timeout", f"{self.timeout_s}s", *_at(cluster),
        ]  # fmt: skip

    def manifest(self, name: str, namespace: str, cluster: str = "") -> str | None:
        """What is installed; None when nothing is."""
        done = self.run([self.program, "get", "manifest", name, "--namespace", namespace, *_at(cluster)], check=False)
        return done.stdout if done.returncode == 0 else None

    def releases(self, cluster: str = "") -> dict[tuple[str, str], Release]:
        """Every release of a cluster, whatever its state, by namespace and name."""
        every = [] if self.major > 3 else ["--all"]  # Helm 4 lists every state by itself
        words = [self.program, "list", "--all-namespaces", *every, "--max", "100000", "--output", "json", *_at(cluster)]
        found = [_release(row) for row in json.loads(self.run(words).stdout or "[]")]
        return {(release.namespace, release.name): release for release in found}

    def run(
        self, words: Sequence[str], log: Path | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Runs helm to its end. Raises HelmFailed with its last line."""
        process = subprocess.Popen(  # noqa: S603  # a list, no shell
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True, preexec_fn=_end_with_us if sys.platform == "linux" else None,  # noqa: PLW1509
        )  # fmt: skip
        self.on_start(process.pid)
        try:
            out, err = process.communicate(timeout=self.timeout_s + GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            err += f"\nkilled after {self.timeout_s + GRACE_S} s"
        if log:
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(f"$ {' '.join(words)}\n{out}\n{err}", encoding="utf-8")
        if check and process.returncode:
            raise HelmFailed(_last_line(err or out) or f"exit code {process.returncode}")
        return subprocess.CompletedProcess(words, process.returncode, out, err)


def _end_with_us() -> None:
    """Asks the kernel to end helm in order when we are killed; a second helm would find it half way."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def is_helm(pid: int, program: str) -> bool:
    """Whether this process still is that helm: a number alone may be somebody else's by now."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(program) in line[:2]


def _values(files: Sequence[Path]) -> list[str]:
    return [word for path in files for word in ("--values", str(path))]


def _at(cluster: str) -> list[str]:
    return ["--kube-context", cluster] if cluster else []


def _release(row: dict[str, Any]) -> Release:
    return Release(row["name"], row["namespace"], int(row["revision"]), row["status"], row["chart"])


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
