"""Takes releases ring after ring, parents before children, a few at once; stops when too many fail.

    for each ring, for each depth in it:  at most `parallel` at once
        failed in this ring > max_failures  →  nothing further begins
        its parent failed                   →  it waits for a later run

A rollout that was interrupted, stopped or killed goes on where it was: what is done with the same digest stays done.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from types import FrameType

from services.fleet.helm import HelmFailed
from services.fleet.journal import INTERRUPTED, OK, STOPPED, Journal
from services.fleet.progress import Progress
from services.fleet.tiers import DEPTH, Tier

# What is done with one release; raises HelmFailed.
Deed = Callable[[Tier], None]


@dataclass(frozen=True)
class Limits:
    """How much at once, and how much may go wrong in one ring."""

    parallel: int = 4
    max_failures: int = 0


@dataclass
class Outcome:
    """What became of a rollout."""

    word: str = OK
    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)


def waves(tiers: Sequence[Tier], *, upwards: bool = False) -> list[list[Tier]]:
    """Releases that may be worked on at the same time, in order; `upwards`: children first, the last ring first."""

    def place(tier: Tier) -> tuple[int, int]:
        return tier.ring, DEPTH[tier.tier]

    found = [list(group) for _, group in groupby(sorted(tiers, key=lambda t: (*place(t), t.code)), key=place)]
    return found[::-1] if upwards else found


class Rollout:
    """One deed for many releases."""

    def __init__(self, deed: Deed, journal: Journal, limits: Limits, progress: Progress) -> None:
        self._deed = deed
        self._journal = journal
        self._limits = limits
        self._progress = progress
        self._asked_to_stop = threading.Event()

    def run(self, order: Sequence[Sequence[Tier]], digests: dict[str, str]) -> Outcome:
        """Goes through the waves; never raises for a release that failed."""
        outcome, failures = Outcome(), dict[int, int]()
        with self._signals(), ThreadPoolExecutor(max(1, self._limits.parallel), "fleet") as pool:
            for wave in order:
                self._wave(pool, wave, digests, outcome, failures)
        if outcome.word == OK and outcome.waiting:
            outcome.word = STOPPED
        if outcome.word == OK and outcome.failed:
            outcome.word = STOPPED
        self._journal.ended(outcome.word)
        self._progress.close()
        return outcome

    def _wave(
        self,
        pool: ThreadPoolExecutor,
        wave: Sequence[Tier],
        digests: dict[str, str],
        outcome: Outcome,
        failures: dict[int, int],
    ) -> None:
        queue, running = list(wave), dict[Future[str], Tier]()
        while queue or running:
            while queue and len(running) < self._limits.parallel and self._may_begin(outcome, failures, queue[0]):
                tier = queue.pop(0)
                if tier.parent in outcome.failed or tier.parent in outcome.waiting:
                    outcome.waiting.append(tier.code)
                    continue
                running[pool.submit(self._one, tier, digests[tier.code])] = tier
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                tier = running.pop(future)
                error = future.result()
                if error:
                    outcome.failed[tier.code] = error
                    failures[tier.ring] = failures.get(tier.ring, 0) + 1
                else:
                    outcome.done.append(tier.code)
        outcome.waiting += [tier.code for tier in queue]

    def _may_begin(self, outcome: Outcome, failures: dict[int, int], tier: Tier) -> bool:
        if self._asked_to_stop.is_set():
            outcome.word = INTERRUPTED
        elif any(count > self._limits.max_failures for count in failures.values()):
            outcome.word = STOPPED
        return outcome.word == OK

    def _one(self, tier: Tier, digest: str) -> str:
        """Why it failed; "" when it did not."""
        began = time.monotonic()
        self._progress.started(tier.code)
        error = ""
        try:
            self._deed(tier)
        except (HelmFailed, OSError) as failure:
            error = str(failure)
        seconds = time.monotonic() - began
        if error:
            self._journal.failed(tier.code, error, seconds)
        else:
            self._journal.done(tier.code, digest, seconds)
        self._progress.ended(tier.code, seconds, error)
        return error

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM let what runs come to its end and begin nothing more."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ask(_: int, __: FrameType | None) -> None:
            self._asked_to_stop.set()

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
