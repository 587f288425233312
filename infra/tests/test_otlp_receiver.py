"""The receiver understands what the OpenTelemetry SDK really sends, and can be as mute as a hung collector."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import requests
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from e2e.otlp_receiver import OtlpReceiver, Span, trace_tree


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


def tracing(receiver: OtlpReceiver, service: str, timeout: float = 5) -> TracerProvider:
    provider = TracerProvider(resource=Resource({"service.name": service}))
    exporter = OTLPSpanExporter(f"{receiver.url}/v1/traces", timeout=timeout, compression=Compression.Gzip)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def a_span(name: str, parent: str = "", service: str = "petition") -> Span:
    return Span("t", name, parent, name, "INTERNAL", service, {}, (), "UNSET", 0, 1_000_000)


def test_a_trace_across_two_services_arrives_as_one_tree(receiver: OtlpReceiver) -> None:
    gateway, petition = tracing(receiver, "gateway"), tracing(receiver, "petition")
    with gateway.get_tracer("t").start_as_current_span("POST /v1/petitions", kind=trace.SpanKind.SERVER) as root:
        with petition.get_tracer("t").start_as_current_span("RegisterPetition", attributes={"n": 1}) as call:
            call.add_event("committed", {"rows": 3})
            call.set_status(trace.StatusCode.ERROR)
        trace_id = f"{root.get_span_context().trace_id:032x}"
    petition.force_flush()
    gateway.force_flush()
    assert receiver.wait_for(lambda r: len(r.spans(trace_id)) == 2, timeout=60)
    tree = trace_tree(receiver.spans(trace_id))
    found = tree.chain("gateway:POST /v1/petitions", "petition")
    assert [(s.name, s.kind) for s in found] == [("POST /v1/petitions", "SERVER"), ("RegisterPetition", "INTERNAL")]
    assert (found[1].attributes, found[1].status) == ({"n": 1}, "ERROR")
    assert [(e.name, e.attributes) for e in found[1].events] == [("committed", {"rows": 3})]
    assert found[0].start <= found[1].start <= found[1].end <= found[0].end
    assert tree.orphans == []
    assert "\n  petition: RegisterPetition [INTERNAL]" in tree.draw()


def test_metric_points_arrive_with_their_attributes(receiver: OtlpReceiver) -> None:
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{receiver.url}/v1/metrics"))
    meters = MeterProvider([reader], resource=Resource({"service.name": "petition"}))
    meters.get_meter("m").create_counter("held").add(2, {"service": "mediation"})
    meters.get_meter("m").create_histogram("lag").record(0.5)
    meters.force_flush()
    assert [(p.service, p.attributes, p.value) for p in receiver.points("held")] == [
        ("petition", {"service": "mediation"}, 2.0)
    ]
    assert [(p.value, p.count) for p in receiver.points("lag")] == [(0.5, 1)]
    meters.shutdown()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("/v1/traces", b"\xff\xff", 400), ("/v1/logs", b"", 200), ("/elsewhere", b"", 404)],
)
def test_what_is_not_otlp_is_refused(receiver: OtlpReceiver, path: str, body: bytes, status: int) -> None:
    assert requests.post(receiver.url + path, data=body, timeout=5).status_code == status


def test_a_black_hole_takes_the_request_and_never_answers_until_it_recovers(receiver: OtlpReceiver) -> None:
    receiver.black_hole = True
    began = time.monotonic()
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.post(f"{receiver.url}/v1/traces", timeout=0.3)
    assert time.monotonic() - began >= 0.3
    assert receiver.requests == 1
    assert receiver.spans() == []
    receiver.black_hole = False
    assert requests.post(f"{receiver.url}/v1/traces", timeout=5).status_code == 200


def test_waiting_for_spans_that_do_not_come_ends() -> None:
    with OtlpReceiver() as receiver:
        assert not receiver.wait_for(lambda r: r.spans(), timeout=0.05)


def test_a_span_whose_parent_is_missing_is_an_orphan_and_is_drawn() -> None:
    tree = trace_tree([a_span("root"), a_span("lost", parent="never-sent")])
    assert [s.name for s in tree.roots] == ["root"]
    assert [s.name for s in tree.orphans] == ["lost"]
    assert "lost [INTERNAL] 1.0 ms (父级未到 parent missing)" in tree.draw()


def test_a_chain_follows_one_path_downwards_and_never_jumps_to_a_sibling() -> None:
    tree = trace_tree([a_span("a"), a_span("b", parent="a"), a_span("c", parent="b"), a_span("d", parent="a")])
    assert [s.name for s in tree.chain("a", "c")] == ["a", "c"]
    assert tree.chain("b", "d") == []
    assert tree.chain("c", "a") == []
