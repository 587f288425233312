"""What must be there before a release: its namespace, guarded by Pod Security, and the secrets its chart refers to."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.fleet.helm import HelmFailed
from services.fleet.mistakes import FleetMistake
from services.fleet.tiers import Tier

# What each kind of tier keeps in databases of its own beside the services; a village keeps files.
DATABASES = ("gateway",)
CALL_S = 60
# The Pod Security level that every pod of ours keeps.
LABELS = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}


@dataclass(frozen=True)
class Ground:
    """Prepares namespaces with one kubectl. What is there stays as it is: a secret is made once and never again."""

    program: str

    @classmethod
    def found(cls, program: str) -> Ground:
        """Raises FleetMistake when there is no kubectl."""
        path = shutil.which(program)
        if path is None:
            raise FleetMistake(
                f"找不到 kubectl({program}):请安装,或用 KUBECTL= 指出路径;"
                "也可不加 --prepare,自己建好命名空间和 secrets。",
                f"There is no kubectl ({program}): install it, say where with KUBECTL=, "
                "or leave --prepare out and make namespaces and secrets yourself.",
            )
        return cls(path)

    def prepare(self, tier: Tier) -> None:
        """Namespace and secrets of one release. Raises HelmFailed when the cluster refuses."""
        self._create(tier, [_namespace(tier)])
        wanted = f"{tier.release}-keys"
        kept = ["get", "secret", wanted, "--namespace", tier.namespace, "--ignore-not-found", "--output", "name"]
        if not self._call(tier, kept).strip():
            self._create(tier, _secrets(tier))

    def _create(self, tier: Tier, objects: Sequence[dict[str, Any]]) -> None:
        body = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self._call(tier, ["create", "--filename", "-"], body, may_exist=True)

    def _call(self, tier: Tier, words: Sequence[str], body: str = "", may_exist: bool = False) -> str:
        context = ["--context", tier.cluster] if tier.cluster else []
        done = subprocess.run(  # noqa: S603  # a list, no shell
            [self.program, *context, *words], input=body, capture_output=True, text=True, timeout=CALL_S, check=False
        )
        wrong = [line for line in done.stderr.splitlines() if not (may_exist and "AlreadyExists" in line)]
        if done.returncode and wrong:
            raise HelmFailed(f"kubectl: {wrong[-1][:300]}")
        return done.stdout


def _namespace(tier: Tier) -> dict[str, Any]:
    labels = LABELS | {"zongzhi/tier": tier.code, "zongzhi/kind": tier.tier}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": tier.namespace, "labels": labels}}


def _secrets(tier: Tier) -> list[dict[str, Any]]:
    """New keys, a new login and new passwords; they leave this process only towards the cluster."""
    from services import kubernetes_secrets, operations
    from services.chassis.settings import Settings
    from services.roles_names import service_names

    with tempfile.TemporaryDirectory(prefix="zongzhi-fleet-") as folder:
        settings = Settings(tier=tier.code, data_dir=Path(folder))
        operations.setup(settings)
        names = [] if tier.tier == "village" else [*service_names(), *DATABASES]
        items: list[dict[str, Any]] = kubernetes_secrets.manifest(settings, tier.release, tier.namespace, names)[
            "items"
        ]
    return items
