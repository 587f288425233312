"""Back to the chart before, on the newer schema, while people call."""

from __future__ import annotations

import pytest

from charts.tests.cluster.releases import VERSION_BEFORE, Release
from charts.tests.cluster.rollouts import nothing_failed_nothing_lost, under_calls
from charts.tests.helm import helm

pytestmark = pytest.mark.cluster


def test_a_rollback_fails_no_call(tiers: dict[str, Release]) -> None:
    calls = under_calls(tiers, lambda release: release.rollback())
    for release in tiers.values():
        assert VERSION_BEFORE in helm("list", "--namespace", release.namespace)
    nothing_failed_nothing_lost(calls)
