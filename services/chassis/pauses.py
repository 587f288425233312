"""How long to wait before trying again what has failed: relay, publisher and consumers alike."""

from __future__ import annotations

import random

FIRST_S, LONGEST_S = 0.2, 30.0


def pause(failures: int) -> float:
    """Seconds after so many failures in a row: 0.2 doubling to 30, spread so that not all come back at once."""
    longest = min(LONGEST_S, FIRST_S * 2.0 ** min(max(failures, 1) - 1, 10))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, guards nothing
