"""Two sides measured in turn, so that a machine that grows slower or faster meanwhile favours neither."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Round:
    """What one caller process did in one round. Latencies in milliseconds."""

    done: int
    seconds: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.done / self.seconds


@dataclass(frozen=True)
class Compared:
    """Pairs of rounds, ours and the raw one."""

    pairs: list[tuple[float, float]]
    n: int

    @property
    def ratio(self) -> float:
        """The median of ours / raw, pair by pair."""
        return median(ours / raw for ours, raw in self.pairs)

    @property
    def ours(self) -> float:
        """The median of our side."""
        return median(ours for ours, _ in self.pairs)

    @property
    def raw(self) -> float:
        """The median of the raw side."""
        return median(raw for _, raw in self.pairs)


def alternate(
    ours: Callable[[], Round], raw: Callable[[], Round], pairs: int, of: Callable[[Round], float] = lambda r: r.rate
) -> Compared:
    """Ours, raw, raw, ours, ours, …: drift cancels. Prints each pair."""
    found: list[tuple[float, float]] = []
    n = 0
    for number in range(pairs):
        sides = (ours, raw) if number % 2 == 0 else (raw, ours)
        first, second = sides[0](), sides[1]()
        mine, theirs = (first, second) if number % 2 == 0 else (second, first)
        found.append((of(mine), of(theirs)))
        n += mine.done + theirs.done
        print(f"    {of(mine):10.1f} : {of(theirs):10.1f}  = {of(mine) / of(theirs):.3f}", flush=True)
    return Compared(found, n)


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of all do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))]
