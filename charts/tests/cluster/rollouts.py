"""Something done to all three tiers at once while people call them, and what became of the calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from charts.tests.cluster.calls import Calls
from charts.tests.cluster.releases import Release

# A village is one pod: while the next one starts, its clerk tries again.
# Calls before and after, to compare with.
BESIDES_S = 4.0
# Together on two cores a village would wait for the others' programs to load; in life it has a machine of its own.
GROUPS = (("district", "town"), ("village",))
PATIENCE_S = {"district": 0.0, "town": 0.0, "village": 30.0}


def under_calls(
    tiers: dict[str, Release], deed: Callable[[Release], None], patience_s: dict[str, float] | None = None
) -> dict[str, Calls]:
    """Does it to every tier at the same time, with calls before, meanwhile and after."""
    patience_s = PATIENCE_S if patience_s is None else patience_s
    all_calls = {name: Calls(release.gateway(), patience_s[name]) for name, release in tiers.items()}
    with ExitStack() as stack:
        for calls in all_calls.values():
            stack.enter_context(calls)
        time.sleep(BESIDES_S)
        with ThreadPoolExecutor(len(tiers)) as pool:
            list(pool.map(deed, tiers.values()))
        time.sleep(BESIDES_S)
    for name, calls in all_calls.items():
        print(f"{name}: {calls.account()}")
    return all_calls


def nothing_failed_nothing_lost(all_calls: dict[str, Calls]) -> None:
    """No call was refused longer than the tier may, and everything answered is there."""
    failures = {name: (calls.account(), calls.failures[:10]) for name, calls in all_calls.items() if calls.failures}
    assert not failures, failures
    for name, calls in all_calls.items():
        assert calls.answers > 20, f"{name}: hardly anybody called: {calls.account()}"
        assert not (lost := calls.lost()), f"{name}: {lost[:5]}"
