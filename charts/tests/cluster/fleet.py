"""A fleet on the cluster: the district, a town and some of its villages, each with a Collector, by `zongzhi fleet`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client

from charts.tests.cluster.cluster import Cluster, eventually
from charts.tests.cluster.releases import Release
from charts.tests.cluster.values import SMALL, TAG, TOWN, VILLAGE
from charts.tests.helm import CHARTS, ROOT, TOOLS, program
from services.fleet import tiers
from services.fleet.tiers import Tier

DISTRICT_CODE, TOWN_CODE = "341702000000", "341702001000"
# As many as the machine bears: FLEET_VILLAGES=20.
VILLAGES = int(os.environ.get("FLEET_VILLAGES", "2"))
COLLECTOR_IMAGE = f"zongzhi-collector:{TAG}"
CHILDREN = "collector-children"


class FleetOnCluster:
    """The chosen releases, a desk with its own overrides and journal, and the command."""

    def __init__(self, cluster: Cluster, folder: Path, sink_port: int) -> None:
        self.cluster = cluster
        self.folder = folder
        shutil.copytree(ROOT / "infra" / "fleet", folder / "fleet")
        every = {tier.code: tier for tier in tiers.load(folder / "fleet")}
        self.district, self.town = every[DISTRICT_CODE], every[TOWN_CODE]
        # Those of the first town, and of the next ones when it has not enough of them.
        below = [tier for tier in every.values() if tier.tier == "village"]
        self.villages = sorted(below, key=lambda tier: (tier.parent != TOWN_CODE, tier.code))[:VILLAGES]
        self._write_overrides(sink_port)

    @property
    def every(self) -> list[Tier]:
        """All that are installed."""
        return [self.district, self.town, *self.villages]

    def _write_overrides(self, sink_port: int) -> None:
        overrides = self.folder / "fleet" / "overrides"
        overrides.mkdir(exist_ok=True)
        tier = {name: value for name, value in TOWN.items() if name != "tier"}
        sink = {"endpoint": f"http://{address_towards(self.cluster)}:{sink_port}", "port": sink_port}
        above = {"district": sink, "town": self._hop(self.district), "village": self._hop(self.town)}
        values: dict[str, dict[str, Any]] = {"district": dict(tier), "town": dict(tier)}
        values["village"] = {name: value for name, value in VILLAGE.items() if name != "tier"}
        for name, told in values.items():
            children = {} if name == "village" else {"children": {"enabled": True}, "volume": {"size": "100Mi"}}
            image = {"repository": COLLECTOR_IMAGE.partition(":")[0], "tag": TAG}
            told["tier"] = {"division": self.villages[0].code}
            told["collector"] = {
                "enabled": True,
                "image": image,
                "nextHop": above[name],
                "resources": SMALL,
                **children,
            }
            (overrides / f"{name}.yaml").write_text(yaml.safe_dump(told, allow_unicode=True), encoding="utf-8")

    @staticmethod
    def _hop(parent: Tier) -> dict[str, Any]:
        host = f"{parent.release}-{CHILDREN}.{parent.namespace}.svc.cluster.local"
        return {"endpoint": f"https://{host}:4319", "port": 4319, "caSecret": "parent-ca"}

    def trust(self, child: Tier, parent: Tier) -> None:
        """Gives a child its parent's authority, as enrolment does."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        self.cluster.core.create_namespace(
            client.V1Namespace(metadata=client.V1ObjectMeta(name=child.namespace, labels=labels))
        )
        kept = self.cluster.core.read_namespaced_secret(f"{parent.release}-tls-ca", parent.namespace)
        body = client.V1Secret(metadata=client.V1ObjectMeta(name="parent-ca"), data={"ca.crt": kept.data["ca.crt"]})
        self.cluster.core.create_namespaced_secret(child.namespace, body)

    def start(self, deed: str, *words: str) -> subprocess.Popen[str]:
        """`zongzhi fleet DEED …`, still running."""
        places = ["--fleet", str(self.folder / "fleet"), "--charts", str(CHARTS), "--state", str(self.folder / "state")]
        env = os.environ | {"HELM": program(), "KUBECTL": str(TOOLS / "kubectl")}
        return subprocess.Popen(
            [sys.executable, "-m", "services", "fleet", deed, *places, *words], env=env, cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, deed: str, *words: str) -> subprocess.CompletedProcess[str]:
        """`zongzhi fleet DEED …` to its end."""
        process = self.start(deed, *words)
        out, err = process.communicate(timeout=1800)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def apply(self, *chosen: Tier, parallel: int = 4) -> subprocess.CompletedProcess[str]:
        """`zongzhi fleet apply` of these; it must succeed."""
        done = self.run("apply", "--prepare", "--parallel", str(parallel), *(tier.code for tier in chosen))
        assert done.returncode == 0, done.stderr
        return done

    def release(self, tier: Tier) -> Release:
        """One of them, as the other tests know it."""
        return Release(self.cluster, tier.tier, tier.release, tier.namespace, tier.code)

    def remove(self) -> None:
        """Takes everything away."""
        for tier in self.every:
            try:
                self.cluster.core.delete_namespace(tier.namespace, grace_period_seconds=0)
            except client.ApiException as error:
                if error.status != 404:
                    raise
        names = {tier.namespace for tier in self.every}
        there = self.cluster.core.list_namespace
        eventually(lambda: not names & {one.metadata.name for one in there().items}, "namespaces go", 180)


def address_towards(cluster: Cluster) -> str:
    """The address of this machine by which pods reach it."""
    (node, *_) = cluster.core.list_node().items
    internal = next(one.address for one in node.status.addresses if one.type == "InternalIP")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((internal, 9))
        return str(probe.getsockname()[0])
