"""What a failed run leaves in one folder: the failure, events, pods, logs, the releases' values."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from kubernetes import client

from charts.tests.cluster.cluster import text
from charts.tests.helm import HelmFailed, helm


def keep(folder: Path, test: str, failure: str) -> None:
    """Writes all of it; what cannot be had any more is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{test}.txt").write_text(failure)
    core: Any = client.CoreV1Api()
    with contextlib.suppress(Exception):
        for namespace in core.list_namespace(label_selector="zongzhi-test").items:
            _namespace(core, folder / namespace.metadata.name)


def _namespace(core: Any, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    name = folder.name
    events = core.list_namespaced_event(name).items
    lines = [f"{e.last_timestamp} {e.type} {e.reason} {e.involved_object.name}: {e.message}" for e in events]
    (folder / "events.txt").write_text("\n".join(sorted(lines)))
    for pod in core.list_namespaced_pod(name).items:
        (folder / f"{pod.metadata.name}.json").write_text(text(pod.to_dict()))
        for container in [*(pod.spec.init_containers or []), *pod.spec.containers]:
            for previous in (False, True):
                _log(core, folder, pod, container.name, previous)
    with contextlib.suppress(HelmFailed):
        (folder / "releases.txt").write_text(helm("list", "--namespace", name))


def _log(core: Any, folder: Path, pod: Any, container: str, previous: bool) -> None:
    with contextlib.suppress(client.ApiException):
        found = core.read_namespaced_pod_log(
            pod.metadata.name, pod.metadata.namespace, container=container, previous=previous
        )
        mark = ".previous" if previous else ""
        (folder / f"{pod.metadata.name}.{container}{mark}.log").write_text(found)
