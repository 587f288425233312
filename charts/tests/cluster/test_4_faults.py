"""Every pod evicted and killed, broker and database too: whole again within a minute, and nothing lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from charts.tests.cluster.cluster import eventually
from charts.tests.cluster.releases import Release
from charts.tests.cluster.rollouts import nothing_failed_nothing_lost, under_calls

pytestmark = pytest.mark.cluster

RECOVERY_S = 60.0
# While the only pod of its kind is away, callers try again; none has to for longer than the promise.
PATIENCE_S = {"district": RECOVERY_S, "town": RECOVERY_S, "village": RECOVERY_S}


def each_pod(release: Release, end: Callable[[Any], None], how: str) -> None:
    """Ends one pod of each component, the next when the tier is whole again."""
    for component in sorted(release.components()):
        pod = release.one(component)
        began = time.monotonic()
        end(pod)
        eventually(partial(is_gone, release, pod), f"{pod.metadata.name} {how}", RECOVERY_S)
        eventually(release.whole, f"{release.name} is whole after {component} was {how}", RECOVERY_S)
        took = time.monotonic() - began
        print(f"{release.chart} {component} {how}: whole after {took:.1f} s")
        assert took < RECOVERY_S, f"{release.chart} {component} {how}: {took:.1f} s"


def is_gone(release: Release, pod: Any) -> bool:
    """Whether the pod has ended or is on its way."""
    left = release.cluster.pods(release.namespace, release.selector)
    return all(one.metadata.uid != pod.metadata.uid for one in left)


def test_evicted_one_after_the_other(tiers: dict[str, Release]) -> None:
    calls = under_calls(tiers, lambda release: each_pod(release, release.cluster.evict, "evicted"), PATIENCE_S)
    nothing_failed_nothing_lost(calls)


def test_killed_one_after_the_other(tiers: dict[str, Release]) -> None:
    calls = under_calls(tiers, lambda release: each_pod(release, release.cluster.kill, "killed"), PATIENCE_S)
    nothing_failed_nothing_lost(calls)
