"""Which tests run: those that need real servers, or long, run only when they are asked for by `-m`."""

from __future__ import annotations

import pytest

# Not in `make test`; each has a make target of its own.
ON_REQUEST = ("servers", "e2e", "chaos", "cluster", "otel")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what was not asked for."""
    asked = config.getoption("markexpr")
    if any(mark in asked for mark in ON_REQUEST):
        return
    left_out = [item for item in items if any(item.get_closest_marker(mark) for mark in ON_REQUEST)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]
