"""A village's trace arrives whole at the district though its next hop was away and its Collector was killed.

Needs the program .tools/bin/otelcol: `make otel-test` builds it.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.collectors import Collector
from e2e.otlp_receiver import OtlpReceiver, trace_tree
from e2e.story import Story
from e2e.system import System, eventually
from e2e.test_one_trace import EVENTS, STEPS, Client, deeds, processed, unanswered
from e2e.traces import TraceTree
from infra.otel.collector import OWN_METRICS
from infra.tools.get_collector import get

pytestmark = pytest.mark.otel


class Chain:
    """village → town → district → where the district keeps its traces."""

    def __init__(self, program: Path, kept: OtlpReceiver, folder: Path) -> None:
        self.kept = kept
        self.district = Collector(program, "district", kept.url, folder)
        self.town = Collector(program, "town", self.district.children_url, folder)
        self.village = Collector(program, "village", self.town.children_url, folder)

    def __enter__(self) -> Chain:
        for collector in (self.district, self.town, self.village):
            collector.start()
        return self

    def __exit__(self, *_: object) -> None:
        for collector in (self.village, self.town, self.district):
            collector.end()

    def tree(self, trace_id: str) -> TraceTree:
        """The trace as the district has it. What was on its way when a process was killed may come twice."""
        return trace_tree({span.span_id: span for span in self.kept.spans(trace_id)}.values())


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with OtlpReceiver() as kept, Chain(get(), kept, tmp_path) as chain:
        yield chain


@pytest.fixture
def village(chain: Chain, tmp_path: Path) -> Iterator[System]:
    with System(tmp_path / "village", collector=chain.village.url) as system:
        yield system


def test_the_trace_arrives_whole_though_the_next_hop_was_away_and_the_collector_was_killed(
    village: System, chain: Chain
) -> None:
    client = Client(chain.village.url)
    with client.root() as trace_id:
        story = Story(village, headers=client.headers)
        story.accepted()
        eventually(lambda: deeds_of(chain.kept, trace_id) >= 2, "the link works at first", 60)

        chain.town.end()
        story.refer()
        story.one_refuses()
        story.becomes("ACCEPTED")
        eventually(lambda: chain.village.queued() > 0, "the village keeps what nobody takes", 60)

        chain.village.end(signal.SIGKILL)
        # Told while nobody listens: the processes themselves keep it for the moment.
        story.refer()
        story.consent_all()
        chain.village.start()
        story.becomes("MEDIATING", owner_epoch=2)
        story.settle()
        story.becomes("CONCLUDED")
        story.evaluate()
    eventually(lambda: chain.village.queued() > 0, "what the killed one had kept is still there", 60)
    assert deeds_of(chain.kept, trace_id) == 2, "nothing of it can have passed the gap"

    chain.town.start()

    def whole() -> TraceTree | None:
        tree = chain.tree(trace_id)
        arrived = len(tree.roots) == 1 and len(deeds(tree)) == len(STEPS) and len(processed(tree)) == len(EVENTS)
        return tree if arrived and not tree.orphans and not unanswered(tree) else None

    try:
        tree = eventually(whole, "the whole trace arrives at the district", 120)
    except AssertionError:
        raise AssertionError(chain.tree(trace_id).draw()) from None
    assert [root.name for root in tree.roots] == ["story"]
    assert chain.village.queued() == 0


def deeds_of(kept: OtlpReceiver, trace_id: str) -> int:
    """How many calls by people have arrived; the root above them is told last."""
    return len({s.span_id for s in kept.spans(trace_id) if s.service == "gateway" and s.name.startswith("POST ")})


def test_what_rules_and_dashboards_say_of_the_collector_is_what_it_tells(chain: Chain) -> None:
    assert set(OWN_METRICS) <= set(chain.village.metrics())


def test_signals_that_nobody_asked_for_end_here_and_are_not_refused(chain: Chain, village: System) -> None:
    Story(village).filed()
    eventually(lambda: any(s.service == "gateway" for s in chain.kept.spans()), "spans arrive", 60)
    assert chain.kept.logs() == []
    assert chain.kept.points() == []
    assert "unreachable" not in village.logs()
