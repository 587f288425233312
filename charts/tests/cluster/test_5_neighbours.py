"""Two releases in one namespace do not touch: neither by names, nor by selectors, nor by the network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from charts.tests.cluster.cluster import Cluster
from charts.tests.cluster.releases import Release
from charts.tests.cluster.test_3_policies import reached
from charts.tests.cluster.values import VILLAGE
from e2e.story import Story

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def neighbour(cluster: Cluster, village: Release) -> Iterator[Release]:
    """Another village in the first one's namespace."""
    tier = "341702001009"
    release = Release(cluster, "village", "lin", village.namespace, tier, VILLAGE | {"tier": {"code": tier}})
    release.make_secrets()
    release.install()
    yield release
    release.uninstall()


def of(release: Release) -> dict[str, Any]:
    """Its objects as they are: every change would show."""
    core, name = release.cluster.core, release.namespace
    listed = [
        *core.list_namespaced_service(name, label_selector=release.selector).items,
        *core.list_namespaced_config_map(name, label_selector=release.selector).items,
        *core.list_namespaced_service_account(name, label_selector=release.selector).items,
        *release.cluster.networking.list_namespaced_network_policy(name, label_selector=release.selector).items,
        *release.cluster.pods(name, release.selector),
    ]
    return {f"{type(one).__name__}/{one.metadata.name}": one.metadata.uid for one in listed}


def test_each_keeps_its_own_cases(village: Release, neighbour: Release) -> None:
    ours, theirs = Story(village.gateway()).filed(), Story(neighbour.gateway())
    theirs.filed(division_code=neighbour.tier)
    assert theirs.system.call("GET", f"/v1/petitions/{ours.id}").status_code == 404
    assert ours.system.call("GET", f"/v1/petitions/{theirs.id}").status_code == 404


def test_neither_reaches_into_the_other(cluster: Cluster, village: Release, neighbour: Release) -> None:
    address = village.one("village").status.pod_ip
    where = {"gateway": (address, 8080), "health": (address, 50050), "metrics": (address, 9464)}
    found = reached(cluster, neighbour.one("village"), where)
    assert not any(found.values()), found


def test_one_goes_and_the_other_does_not_notice(cluster: Cluster, village: Release, neighbour: Release) -> None:
    before = of(village)
    assert len(before) > 8
    neighbour.uninstall()
    assert not of(neighbour)
    assert of(village) == before
    Story(village.gateway()).filed()
    neighbour.install()
