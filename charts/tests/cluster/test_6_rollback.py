"""Back to the chart before, on the newer schema, while people call."""

from __future__ import annotations

import pytest

from charts.tests.cluster.releases import VERSION_BEFORE, Release
from charts.tests.cluster.rollouts import GROUPS, nothing_failed_nothing_lost, under_calls
from charts.tests.helm import helm

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("group", GROUPS, ids="-".join)
def test_a_rollback_fails_no_call(tiers: dict[str, Release], group: tuple[str, ...]) -> None:
    tiers = {name: tiers[name] for name in group}
    calls = under_calls(tiers, lambda release: release.rollback())
    for release in tiers.values():
        assert VERSION_BEFORE in helm("list", "--namespace", release.namespace)
    nothing_failed_nothing_lost(calls)
