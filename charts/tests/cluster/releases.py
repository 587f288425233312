"""One tier on the cluster: its release, its secrets, and its gateway as people call it."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml

from charts.tests.cluster.cluster import Cluster, Json, eventually
from charts.tests.helm import CHARTS, ROOT, helm
from e2e.system import System

VERSION_BEFORE = "0.0.9"
INSTALLED_WITHIN = "10m"
CONNECT_S = 3


@dataclass
class Release:
    """A release of one of the charts in a namespace of its own or of another's."""

    cluster: Cluster
    chart: str
    name: str
    namespace: str
    tier: str
    values: Json = field(default_factory=dict)

    def make_secrets(self) -> None:
        """What the chart refers to, made by the documented command."""
        with tempfile.TemporaryDirectory() as folder:
            words = ["keys", "secrets", "--release", self.name, "--namespace", self.namespace]
            if self.chart == "village":
                words.append("--village")
            env = {"PATH": "/usr/bin:/bin", "ZONGZHI_TIER": self.tier, "DATA_DIR": folder}
            done = subprocess.run(
                [sys.executable, "-m", "services", *words], env=env, cwd=ROOT, capture_output=True, check=True
            )
        self.cluster.create(self.namespace, json.loads(done.stdout))

    def install(self, chart: Path | None = None, more: Json | None = None) -> None:
        """Installs and waits until everything is ready."""
        helm("install", self.name, str(chart or CHARTS / self.chart), *self._words(more), "--wait", "--wait-for-jobs")

    def upgrade(self) -> None:
        """Upgrades to the chart of this tree and waits until everything is ready."""
        helm("upgrade", self.name, str(CHARTS / self.chart), *self._words(), "--wait", "--wait-for-jobs")

    def rollback(self) -> None:
        """Goes back to the revision before."""
        helm("rollback", self.name, "--namespace", self.namespace, "--wait", "--timeout", INSTALLED_WITHIN)

    def test(self) -> None:
        """`helm test`: a petition through the public API."""
        helm("test", self.name, "--namespace", self.namespace, "--timeout", "3m")

    def uninstall(self) -> None:
        """Takes the release away."""
        helm("uninstall", self.name, "--namespace", self.namespace, "--wait", "--timeout", "3m")

    def _words(self, more: Json | None = None) -> list[str]:
        folder = Path(tempfile.mkdtemp())
        words = ["--namespace", self.namespace, "--timeout", INSTALLED_WITHIN]
        for position, values in enumerate([self.values, more or {}]):
            file = folder / f"{position}.yaml"
            file.write_text(yaml.safe_dump(values, allow_unicode=True))
            words += ["--values", str(file)]
        return words

    @property
    def selector(self) -> str:
        """What selects every pod of the release."""
        return f"app.kubernetes.io/instance={self.name}"

    def of(self, component: str) -> str:
        """What selects the pods of one component."""
        return f"{self.selector},app.kubernetes.io/component={component}"

    def one(self, component: str) -> Any:
        """A pod of a component that is ready."""
        found = eventually(
            lambda: self.cluster.ready_pods(self.namespace, self.of(component)), f"{self.name} {component}", 60
        )
        return found[0]

    def components(self) -> dict[str, int]:
        """Everything that runs for long, and how many of it there are."""
        deployments = self.cluster.apps.list_namespaced_deployment(self.namespace, label_selector=self.selector).items
        sets = self.cluster.apps.list_namespaced_stateful_set(self.namespace, label_selector=self.selector).items
        return {one.metadata.labels["app.kubernetes.io/component"]: one.spec.replicas for one in [*deployments, *sets]}

    def whole(self) -> bool:
        """Whether every replica of every component is ready."""
        ready = self.cluster.ready_pods(self.namespace, self.selector)
        counts: dict[str, int] = {}
        for pod in ready:
            component = pod.metadata.labels["app.kubernetes.io/component"]
            counts[component] = counts.get(component, 0) + 1
        return all(counts.get(component, 0) >= wanted for component, wanted in self.components().items())

    def gateway(self) -> Gateway:
        """Its gateway, by a node port."""
        service = self.cluster.core.read_namespaced_service(f"{self.name}-gateway", self.namespace)
        port = service.spec.ports[0].node_port
        secret = self.cluster.core.read_namespaced_secret(f"{self.name}-login", self.namespace)
        return Gateway(f"http://{self.cluster.node_address(port)}:{port}", decoded(secret))


class Gateway(System):
    """The tier as a story calls it: only by HTTP, a connection for each call, as from many places."""

    def __init__(self, address: str, login: dict[str, str]) -> None:
        self.gateway = address
        self._login = login
        self._signed_in_at = 0.0
        self.http = requests.Session()
        self.http.headers["Connection"] = "close"

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, **options: Any) -> requests.Response:
        """One HTTP call, whatever the answer. A connection that nobody takes is given up soon and tried again."""
        return self.http.request(method, f"{self.gateway}{path}", json=body, timeout=(CONNECT_S, 30), **options)

    def login(self) -> dict[str, str]:
        """As its secret says."""
        return self._login

    def sign_in(self) -> None:
        """Signs in when the token at hand is no longer young."""
        if time.monotonic() - self._signed_in_at < 240:
            return
        eventually(self.ready, f"{self.gateway} is ready", 120)
        super().sign_in()
        self._signed_in_at = time.monotonic()


def decoded(secret: Any) -> dict[str, str]:
    """What a secret holds."""
    return {key: base64.b64decode(value).decode() for key, value in secret.data.items()}


def chart_before(folder: Path) -> Path:
    """The charts under an earlier version number. As long as nothing has been released, that and an image of another
    name are all that is different; from the first release on, its package belongs here."""
    for name in ("common", "district", "town", "village"):
        shutil.copytree(CHARTS / name, folder / name, ignore=shutil.ignore_patterns("ci", "golden"))
    for chart in ("district", "town", "village"):
        file = folder / chart / "Chart.yaml"
        described = yaml.safe_load(file.read_text())
        file.write_text(yaml.safe_dump(described | {"version": VERSION_BEFORE, "appVersion": VERSION_BEFORE}))
    return folder
