"""What a Prometheus server is told by every role while people work, and no person in any of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
import requests
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from e2e.conftest import LOCAL_SQLITE, RABBIT_POSTGRES, RABBIT_POSTGRES_PIKA, on
from e2e.people import everything_typed
from e2e.story import Story
from e2e.system import TIER, System
from infra.otel.metrics_table import EVERYWHERE, served

pytestmark = pytest.mark.e2e

PROCESS = {"process_memory_usage_bytes", "process_cpu_time_seconds_total", "process_unix_file_descriptor_count"}
BOOKS = {"zongzhi_clocks", "zongzhi_inbox_depth", "zongzhi_inbox_age_seconds"}
# What of the table each role must show once the story is told; a broker also has dead letters.
OWN = {
    "serve": {"rpc_server_call_duration_seconds_count", *BOOKS},
    "work": {"messaging_process_duration_seconds_count"},
    "gateway": {"http_server_request_duration_seconds_count"},
}
# Who has no part in the story has nothing to tell but its books.
IN_THE_STORY = {"petition", "mediation"}
OWN["all"] = OWN["serve"] | OWN["work"] | OWN["gateway"]


def scrape(system: System, name: str) -> str:
    answer = requests.get(f"http://127.0.0.1:{system.metrics_ports[name]}/metrics", timeout=10)
    answer.raise_for_status()
    return answer.text


def samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    families: Iterable[Metric] = text_string_to_metric_families(text)
    for family in families:
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


@on(LOCAL_SQLITE, RABBIT_POSTGRES, RABBIT_POSTGRES_PIKA)
def test_every_role_tells_its_part_of_the_story(district: System) -> None:
    story = Story(district).referred()
    story.one_refuses()
    story.becomes("ACCEPTED")
    broker = {"zongzhi_dead_letters"} if district.bus_url != "local:" else set()
    for name, (role, *service) in district.roles().items():
        found = {series for series, *_ in samples(scrape(district, name))}
        heard = not service or service[0] in IN_THE_STORY
        own = OWN[role] if heard else OWN[role] & BOOKS
        wanted = own | PROCESS | {"zongzhi_build"} | (broker if role == "serve" else set())
        assert wanted <= found, f"{name} lacks {wanted - found}"


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_calls_requests_and_events_are_counted_one_by_one(district: System) -> None:
    before = counted(district)
    Story(district).accepted()
    after = counted(district)
    for what in ("RegisterPetition", "AcceptPetition", "/v1/petitions", "/v1/petitions/{id}:accept"):
        assert after.get(what, 0) - before.get(what, 0) == 1, what
    assert "/readyz" not in after, "a machine that asks whether we live would bury the people"


def counted(district: System) -> dict[str, float]:
    """How often each RPC and each POST route was answered, by all processes together."""
    found: dict[str, float] = {}
    for name in district.roles():
        for series, labels, value in samples(scrape(district, name)):
            if series == "rpc_server_call_duration_seconds_count":
                key = labels["rpc_method"].rpartition("/")[2]
            elif series == "http_server_request_duration_seconds_count" and labels["http_request_method"] != "HEAD":
                key = labels["http_route"] if labels["http_request_method"] == "POST" else f"GET {labels['http_route']}"
            else:
                continue
            found[key] = found.get(key, 0) + value
    return found


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_all_of_it_stands_in_the_table_and_nobody_is_named(district: System) -> None:
    Story(district).referred()
    known = {series: set(one.labels) for one in served() for series in one.series}
    for name in district.roles():
        text = scrape(district, name)
        for series, labels, _ in samples(text):
            if series == "target_info":
                continue
            assert series in known, series
            assert set(labels) <= {*known[series], *EVERYWHERE, "le", "worker"}, (series, labels)
            assert labels["zongzhi_tier"] == TIER
        assert everything_typed().found_in(text, texts_too=True) == []
