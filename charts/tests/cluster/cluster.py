"""The cluster that KUBECONFIG names, as the tests look at it."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any

from kubernetes import client, config, stream

Json = dict[str, Any]


class Cluster:
    """Namespaces and pods of one cluster."""

    def __init__(self) -> None:
        config.load_kube_config()
        self.core: Any = client.CoreV1Api()
        self.apps: Any = client.AppsV1Api()
        self.batch: Any = client.BatchV1Api()
        self.policy: Any = client.PolicyV1Api()
        self.networking: Any = client.NetworkingV1Api()

    def load(self, *images: str) -> None:
        """Hands local images to the nodes by the command in IMAGE_LOAD; without one they are there already."""
        command = os.environ.get("IMAGE_LOAD", "")
        if command:
            subprocess.run([*shlex.split(command), *images], check=True, timeout=600)

    def make_namespace(self, name: str) -> None:
        """A namespace that takes only pods that keep to "restricted"."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted", "zongzhi-test": "true"}
        self.core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name, labels=labels)))
        eventually(lambda: self._has_account(name), f"the account of {name}", 30)

    def _has_account(self, namespace: str) -> bool:
        return any(one.metadata.name == "default" for one in self.core.list_namespaced_service_account(namespace).items)

    def remove_namespaces(self) -> None:
        """Removes every namespace of these tests and waits until they are gone."""
        listed = [one.metadata.name for one in self.core.list_namespace(label_selector="zongzhi-test").items]
        for name in listed:
            self.core.delete_namespace(name, grace_period_seconds=0)
        eventually(lambda: not self.core.list_namespace(label_selector="zongzhi-test").items, "namespaces go", 120)

    def create(self, namespace: str, manifest: Json) -> None:
        """Creates secrets out of a list as `zongzhi keys secrets` prints it."""
        for item in manifest["items"]:
            self.core.create_namespaced_secret(namespace, item)

    def pods(self, namespace: str, selector: str = "") -> list[Any]:
        """Pods that run or start; not those that have ended or are ending."""
        found = self.core.list_namespaced_pod(namespace, label_selector=selector).items
        return [p for p in found if not p.metadata.deletion_timestamp and p.status.phase in ("Pending", "Running")]

    def ready_pods(self, namespace: str, selector: str) -> list[Any]:
        """Pods that take calls."""
        return [pod for pod in self.pods(namespace, selector) if is_ready(pod)]

    def evict(self, pod: Any) -> None:
        """As a drain does it: budgets are asked, the pod gets its time."""
        meta = client.V1ObjectMeta(name=pod.metadata.name, namespace=pod.metadata.namespace)
        self.core.create_namespaced_pod_eviction(
            pod.metadata.name, pod.metadata.namespace, client.V1Eviction(metadata=meta)
        )

    def kill(self, pod: Any) -> None:
        """At once, with no time for goodbye."""
        self.core.delete_namespaced_pod(pod.metadata.name, pod.metadata.namespace, grace_period_seconds=0)

    def run_in(self, pod: Any, *words: str, container: str | None = None) -> str:
        """Runs a command in a pod and returns what it printed."""
        found = stream.stream(
            self.core.connect_get_namespaced_pod_exec, pod.metadata.name, pod.metadata.namespace,
            command=list(words), container=container or pod.spec.containers[0].name,
            stderr=True, stdin=False, stdout=True, tty=False, _request_timeout=120,
        )  # fmt: skip
        return str(found)

    def node_address(self, port: int) -> str:
        """An address of a node at which this machine reaches node ports."""
        nodes = self.core.list_node().items
        known = [a.address for node in nodes for a in node.status.addresses if a.type == "InternalIP"]
        candidates = [*known, "127.0.0.1"]
        return str(eventually(lambda: next((a for a in candidates if listens(a, port)), None), f"node port {port}", 60))


def listens(host: str, port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def is_ready(pod: Any) -> bool:
    """Whether its readiness probe says so."""
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions or ())


def eventually(look: Callable[[], Any], what: str, timeout: float) -> Any:
    """Looks until it finds something; says what was waited for when it does not come."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.25)
    raise AssertionError(f"did not happen within {timeout:.0f} s: {what}")


def text(content: Any) -> str:
    """For files that people read after a failed run."""
    return json.dumps(content, ensure_ascii=False, indent=1, default=str)
