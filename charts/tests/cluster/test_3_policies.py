"""The drawing, proven by traffic: every edge works, and from inside the real pods nothing else does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client

from charts.tests.cluster.cluster import Cluster, eventually
from charts.tests.cluster.releases import Release
from charts.tests.cluster.values import OURS

pytestmark = pytest.mark.cluster

OUTSIDE = "zz-outside"
PYTHON = "python3"
TRY = """
import json, socket, sys
def reached(host, port):
    try:
        socket.create_connection((host, port), timeout=3).close()
        return True
    except OSError:
        return False
print(json.dumps({key: reached(*where) for key, where in json.loads(sys.argv[1]).items()}))
"""
LISTEN = """
import socket
server = socket.create_server(("0.0.0.0", 8000))
while True:
    server.accept()[0].close()
"""
ENTER = """
import json, psycopg, sys
url = open("/run/secrets/database/url").read().strip().replace("+psycopg", "")
found = {}
for name in sys.argv[1:]:
    try:
        psycopg.connect(url.rpartition("/")[0] + "/zongzhi_" + name, connect_timeout=5).close()
        found[name] = "entered"
    except psycopg.OperationalError as error:
        found[name] = "denied" if "permission denied for database" in str(error) else str(error)
print(json.dumps(found))
"""
Where = dict[str, tuple[str, int]]


def a_pod(name: str, program: str, labels: dict[str, str]) -> Any:
    """A pod of our image that keeps to "restricted" and belongs to no release."""
    secure = client.V1SecurityContext(
        allow_privilege_escalation=False, read_only_root_filesystem=True, run_as_non_root=True, run_as_user=10001,
        capabilities=client.V1Capabilities(drop=["ALL"]),
        seccomp_profile=client.V1SeccompProfile(type="RuntimeDefault"),
    )  # fmt: skip
    image = f"{OURS['repository']}:{OURS['tag']}"
    container = client.V1Container(name="probe", image=image, command=[PYTHON, "-c", program], security_context=secure)
    spec = client.V1PodSpec(containers=[container], automount_service_account_token=False)
    return client.V1Pod(metadata=client.V1ObjectMeta(name=name, labels=labels), spec=spec)


@pytest.fixture(scope="module")
def probe(cluster: Cluster, tiers: dict[str, Release]) -> Iterator[Any]:
    """A pod under no policy at all, and somebody outside who listens."""
    cluster.make_namespace(OUTSIDE)
    for name in ("probe", "listener"):
        cluster.core.create_namespaced_pod(OUTSIDE, a_pod(name, LISTEN, {"app": name}))
    eventually(lambda: len(cluster.ready_pods(OUTSIDE, "app")) == 2, "the probe starts", 60)
    yield cluster.ready_pods(OUTSIDE, "app=probe")[0]
    cluster.core.delete_namespace(OUTSIDE)


def reached(cluster: Cluster, pod: Any, where: Where) -> dict[str, bool]:
    """What a pod can connect to."""
    return dict(json.loads(cluster.run_in(pod, PYTHON, "-c", TRY, json.dumps(where))))


def places(release: Release) -> Where:
    """Everything that listens in a release, by the pods' own addresses: names would only hide what a policy misses."""
    found: Where = {}
    ports = {"gateway": 8080, "village": 8080, "database": 5432, "broker": 5672}
    for component in release.components():
        address = release.one(component).status.pod_ip
        service = component.removesuffix("-serve")
        grpc = release.values.get("services", {"petition": 50051, "mediation": 50052, "grid": 50053}).get(service)
        port = grpc if component.endswith("-serve") else ports.get(component)
        if port:
            found[f"{release.chart}:{component}"] = (address, port)
    return found


def outside(cluster: Cluster) -> Where:
    """Where nobody of ours has any business."""
    listener = cluster.ready_pods(OUTSIDE, "app=listener")[0].status.pod_ip
    api = cluster.core.read_namespaced_service("kubernetes", "default").spec.cluster_ip
    return {"a stranger": (listener, 8000), "the API server": (api, 443)}


EDGES = {
    "gateway": {"petition-serve", "mediation-serve", "grid-serve", "database"},
    "petition-serve": {"database", "broker"},
    "petition-work": {"database", "broker"},
    "mediation-serve": {"database", "broker"},
    "mediation-work": {"database", "broker"},
    "grid-serve": {"database", "broker"},
    "grid-work": {"database", "broker"},
}


@pytest.mark.parametrize("tier", ["district", "town"])
def test_every_edge_of_the_drawing_works_and_no_other_does(
    cluster: Cluster, tiers: dict[str, Release], probe: Any, tier: str
) -> None:
    everywhere = {key: where for release in tiers.values() for key, where in places(release).items()}
    everywhere |= outside(cluster)
    release = tiers[tier]
    # Every gateway is a door of its house, open to whoever may come in by its own edges: none of ours does.
    for component, allowed in EDGES.items():
        # Nothing keeps a pod from calling itself.
        others = {key: where for key, where in everywhere.items() if key != f"{tier}:{component}"}
        found = reached(cluster, release.one(component), others)
        wanted = {f"{tier}:{called}" for called in allowed}
        assert {key for key, yes in found.items() if yes} == wanted, f"{tier} {component}"


def test_a_village_reaches_nobody(cluster: Cluster, tiers: dict[str, Release], probe: Any) -> None:
    everywhere = {**places(tiers["district"]), **places(tiers["town"]), **outside(cluster)}
    found = reached(cluster, tiers["village"].one("village"), everywhere)
    assert not any(found.values()), found


def test_stores_call_nobody(cluster: Cluster, tiers: dict[str, Release], probe: Any) -> None:
    everywhere = {**places(tiers["town"]), **outside(cluster)}
    for component in ("database", "broker"):
        own = {key: where for key, where in everywhere.items() if not key.endswith(f":{component}")}
        found = reached(cluster, tiers["district"].one(component), own)
        assert not any(found.values()), (component, found)


def test_a_stranger_reaches_the_gateways_only(cluster: Cluster, tiers: dict[str, Release], probe: Any) -> None:
    everywhere = {key: where for release in tiers.values() for key, where in places(release).items()}
    found = reached(cluster, probe, everywhere | outside(cluster))
    doors = {"district:gateway", "town:gateway", "village:village"}
    # The probe itself is free to go: whatever it does not reach is closed from within.
    assert {key for key, yes in found.items() if yes} == doors | outside(cluster).keys()


@pytest.mark.parametrize("tier", ["district", "town"])
def test_nobody_enters_anothers_database(cluster: Cluster, tiers: dict[str, Release], tier: str) -> None:
    names = ("petition", "mediation", "grid", "gateway")
    for name in names:
        component = name if name == "gateway" else f"{name}-serve"
        found = json.loads(cluster.run_in(tiers[tier].one(component), PYTHON, "-c", ENTER, *names))
        assert found == {other: "entered" if other == name else "denied" for other in names}, (tier, name)
