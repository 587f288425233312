"""District, town and village side by side, installed once for all tests; and what a failed run leaves behind."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from charts.tests.cluster import evidence
from charts.tests.cluster.cluster import Cluster
from charts.tests.cluster.releases import Release, chart_before
from charts.tests.cluster.values import DISTRICT, IMAGES, TAG_BEFORE, TOWN, VILLAGE, of_image
from charts.tests.helm import ROOT

BEFORE = of_image(TAG_BEFORE)
FAILED = pytest.StashKey[list[str]]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Remembers that something failed, and keeps the cluster's word about it while it is fresh."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.failed:
        item.session.stash.setdefault(FAILED, []).append(item.name)
        evidence.keep(ROOT / ".run" / "cluster-test" / time.strftime("%Y%m%d-%H%M%S"), item.name, report.longreprtext)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster, with our images, and afterwards with nothing of ours."""
    cluster = Cluster()
    cluster.remove_namespaces()
    cluster.load(*IMAGES)
    yield cluster
    if not os.environ.get("KEEP"):
        cluster.remove_namespaces()


@pytest.fixture(scope="session")
def tiers(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Release]:
    """All three, each in a namespace of its own, as they were one release ago; the first test upgrades them."""
    found = {
        "district": Release(cluster, "district", "qu", "zz-district", "341702000000", DISTRICT),
        "town": Release(cluster, "town", "zhen", "zz-town", "341702001000", TOWN),
        "village": Release(cluster, "village", "cun", "zz-village", "341702001008", VILLAGE),
    }
    for release in found.values():
        cluster.make_namespace(release.namespace)
        release.make_secrets()
    before = chart_before(tmp_path_factory.mktemp("before"))
    with ThreadPoolExecutor(3) as three:
        list(three.map(lambda release: release.install(before / release.chart, BEFORE), found.values()))
    return found


@pytest.fixture(scope="session")
def district(tiers: dict[str, Release]) -> Release:
    """The district's release."""
    return tiers["district"]


@pytest.fixture(scope="session")
def town(tiers: dict[str, Release]) -> Release:
    """The town's release."""
    return tiers["town"]


@pytest.fixture(scope="session")
def village(tiers: dict[str, Release]) -> Release:
    """The village's release."""
    return tiers["village"]
