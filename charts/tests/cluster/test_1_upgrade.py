"""From the chart before to this one while people call: a district and a town fail no call, a village none for long."""

from __future__ import annotations

import pytest

from charts.tests.cluster.releases import VERSION_BEFORE, Release
from charts.tests.cluster.rollouts import GROUPS, nothing_failed_nothing_lost, under_calls
from charts.tests.helm import helm

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("group", GROUPS, ids="-".join)
def test_an_upgrade_fails_no_call(tiers: dict[str, Release], group: tuple[str, ...]) -> None:
    tiers = {name: tiers[name] for name in group}
    for release in tiers.values():
        assert VERSION_BEFORE in helm("list", "--namespace", release.namespace)
    calls = under_calls(tiers, lambda release: release.upgrade())
    for release in tiers.values():
        assert VERSION_BEFORE not in helm("list", "--namespace", release.namespace)
    nothing_failed_nothing_lost(calls)
