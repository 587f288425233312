"""The fleet is rolled out and killed on the way; then a village's trace reaches the district whole."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from charts.tests.cluster.cluster import Cluster, eventually
from charts.tests.cluster.fleet import COLLECTOR_IMAGE, VILLAGES, FleetOnCluster
from charts.tests.cluster.values import IMAGES
from e2e.otlp_receiver import OtlpReceiver, trace_tree
from e2e.story import Story
from e2e.test_one_trace import EVENTS, STEPS, Client, deeds, processed, unanswered
from e2e.traces import TraceTree
from services.fleet import journal

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def sink() -> Iterator[OtlpReceiver]:
    """What the district hands its traces to, on this machine."""
    with OtlpReceiver(host="0.0.0.0") as sink:
        yield sink


@pytest.fixture(scope="module")
def fleet(sink: OtlpReceiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetOnCluster]:
    """The district and the town, each trusting its parent; villages are made by the first test. Namespaces are named
    after divisions, as `zongzhi fleet` names them, so what an earlier run left goes first."""
    cluster = Cluster()
    cluster.load(*IMAGES, COLLECTOR_IMAGE)
    fleet = FleetOnCluster(cluster, tmp_path_factory.mktemp("fleet"), sink.port)
    fleet.remove()
    try:
        fleet.apply(fleet.district)
        fleet.trust(fleet.town, fleet.district)
        fleet.apply(fleet.town)
        for village in fleet.villages:
            fleet.trust(village, fleet.town)
        yield fleet
    finally:
        fleet.remove()


def test_a_killed_rollout_goes_on_and_every_village_is_there(fleet: FleetOnCluster) -> None:
    codes = [village.code for village in fleet.villages]
    path = fleet.folder / "state" / "journal.jsonl"
    began = time.monotonic()
    process = fleet.start("apply", "--prepare", "--parallel", "4", *codes)
    eventually(lambda: journal.read(path)[-1].started.keys() & set(codes), "helm is at a village", 120)
    time.sleep(1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    killed = journal.read(path)[-1]
    assert killed.unfinished
    fleet.apply(*fleet.villages)
    seconds = time.monotonic() - began
    told = fleet.run("status", *(tier.code for tier in fleet.every))
    assert told.returncode == 0, told.stdout
    print(f"{VILLAGES} villages in {seconds:.0f} s, killed once on the way")
    same = fleet.run("diff", *(tier.code for tier in fleet.every))
    assert same.returncode == 0, same.stdout


def test_the_trace_of_a_village_arrives_whole_though_the_town_was_away_and_the_collector_killed(
    fleet: FleetOnCluster, sink: OtlpReceiver
) -> None:
    village = fleet.release(fleet.villages[0])
    gateway = village.gateway()
    client = Client(f"http://127.0.0.1:{sink.port}")
    with client.root() as trace_id:
        story = Story(gateway, headers=client.headers)
        story.accepted()
        eventually(lambda: len(told(sink, trace_id)) >= 2, "the chain works at first", 120)
        scale(fleet, 0)
        story.refer()
        story.one_refuses()
        story.becomes("ACCEPTED")
        time.sleep(3)
        fleet.cluster.kill(village.one("village"))
        eventually(lambda: village.whole(), "the village is back", 180)
        story.refer()
        story.consent_all()
        story.becomes("MEDIATING", owner_epoch=2)
        story.settle()
        story.becomes("CONCLUDED")
        story.evaluate()
        assert len(told(sink, trace_id)) == 2, "nothing can have passed the gap"
        scale(fleet, 1)

    def whole() -> TraceTree | None:
        tree = trace_tree({span.span_id: span for span in sink.spans(trace_id)}.values())
        arrived = len(tree.roots) == 1 and len(deeds(tree)) >= len(STEPS) and len(processed(tree)) >= len(EVENTS)
        return tree if arrived and not tree.orphans and not unanswered(tree) else None

    try:
        eventually(whole, "the whole trace arrives at the district", 180)
    except AssertionError:
        raise AssertionError(trace_tree(sink.spans(trace_id)).draw()) from None


def scale(fleet: FleetOnCluster, replicas: int) -> None:
    """Takes the town's Collector away, or brings it back."""
    name = f"{fleet.town.release}-collector"
    body = {"spec": {"replicas": replicas}}
    fleet.cluster.apps.patch_namespaced_stateful_set_scale(name, fleet.town.namespace, body)
    selector = fleet.release(fleet.town).of("collector")
    eventually(
        lambda: len(fleet.cluster.ready_pods(fleet.town.namespace, selector)) == replicas, f"{name}: {replicas}", 120
    )


def told(sink: OtlpReceiver, trace_id: str) -> set[str]:
    """The calls by people that have arrived; what hangs above them is told last."""
    return {s.span_id for s in sink.spans(trace_id) if s.service == "gateway" and s.name.startswith("POST ")}
