"""What the spans of a request's way are called, what they hold and what they never hold."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span, SpanKind, StatusCode

from services.chassis import spans
from services.chassis.telemetry import Telemetry, configure, current_traceparent, use_traceparent

METHOD = "zongzhi.petition.v1.Petitions/Accept"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE_ID = 0x4BF92F3577B34DA6A3CE929D0E0E4736
SPAN_ID = 0x00F067AA0BA902B7
PERSONAL = "张三 13800138000"


@pytest.fixture
def quiet() -> Iterator[Telemetry]:
    made = configure("all", "330102001003", endpoint=None, version="1.2")
    yield made
    made.shutdown()


@pytest.fixture
def ended(quiet: Telemetry) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    quiet.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


def only(exporter: InMemorySpanExporter) -> ReadableSpan:
    (span,) = exporter.get_finished_spans()
    return span


class TestCalls:
    def test_an_answered_call_is_a_child_of_the_call(self, quiet: Telemetry, ended: InMemorySpanExporter) -> None:
        with spans.server_span(quiet.tracer("petition"), "/" + METHOD, TRACEPARENT):
            pass
        span = only(ended)
        assert span.parent is not None
        assert (span.parent.trace_id, span.parent.span_id) == (TRACE_ID, SPAN_ID)
        assert (span.name, span.kind, span.status.status_code) == (METHOD, SpanKind.SERVER, StatusCode.UNSET)
        assert dict(span.attributes or {}) == {
            "rpc.system.name": "grpc",
            "rpc.method": METHOD,
            "rpc.response.status_code": "OK",
        }

    @pytest.mark.parametrize(
        ("address", "shown"),
        [
            ("localhost:50051", ("localhost", 50051)),
            ("dns:///petition.zongzhi:50051", ("petition.zongzhi", 50051)),
            ("unix:/run/zongzhi.sock", ("unix:/run/zongzhi.sock", None)),
        ],
    )
    def test_a_call_names_its_neighbour(
        self, quiet: Telemetry, ended: InMemorySpanExporter, address: str, shown: tuple[str, int | None]
    ) -> None:
        with spans.client_span(quiet.tracer("gateway"), METHOD, address):
            pass
        attributes = only(ended).attributes or {}
        assert only(ended).kind is SpanKind.CLIENT
        assert (attributes["server.address"], attributes.get("server.port")) == shown

    @pytest.mark.parametrize(
        ("code", "server_failed", "client_failed"),
        [
            ("OK", False, False),
            ("NOT_FOUND", False, True),
            ("FAILED_PRECONDITION", False, True),
            ("INTERNAL", True, True),
            ("DEADLINE_EXCEEDED", True, True),
            ("UNAVAILABLE", True, True),
        ],
    )
    def test_a_refusal_is_an_answer_of_the_server_and_an_error_for_the_caller(
        self, quiet: Telemetry, ended: InMemorySpanExporter, code: str, server_failed: bool, client_failed: bool
    ) -> None:
        tracer = quiet.tracer("petition")
        with contextlib.suppress(RuntimeError), spans.server_span(tracer, METHOD, None) as span:
            spans.set_rpc_status(span, code)
            raise RuntimeError(PERSONAL)
        with spans.client_span(tracer, METHOD, "localhost:1") as span:
            spans.set_rpc_status(span, code)
        found = [
            (one.status.status_code is StatusCode.ERROR, (one.attributes or {}).get("error.type", ""))
            for one in ended.get_finished_spans()
        ]
        assert found == [(server_failed, code * server_failed), (client_failed, code * client_failed)]

    def test_an_exception_is_recorded_by_type_without_its_text(
        self, quiet: Telemetry, ended: InMemorySpanExporter
    ) -> None:
        with pytest.raises(ValueError, match=PERSONAL), spans.server_span(quiet.tracer("petition"), METHOD, None):
            raise ValueError(PERSONAL)
        span = only(ended)
        assert (span.attributes or {})["rpc.response.status_code"] == "UNKNOWN"
        assert [dict(event.attributes or {}) for event in span.events] == [{"exception.type": "ValueError"}]
        assert "张" not in span.to_json()
        assert "\\u5f20" not in span.to_json()
        assert "1380013" not in span.to_json()

    def test_the_status_of_a_grpc_exception_is_taken_over(self, quiet: Telemetry, ended: InMemorySpanExporter) -> None:
        grpc = pytest.importorskip("grpc")

        class Gone(grpc.RpcError):  # type: ignore[misc, name-defined, unused-ignore]
            def code(self) -> object:
                return grpc.StatusCode.UNAVAILABLE

        with pytest.raises(Gone), spans.client_span(quiet.tracer("gateway"), METHOD, "localhost:1"):
            raise Gone
        assert (only(ended).attributes or {})["rpc.response.status_code"] == "UNAVAILABLE"

    @pytest.mark.parametrize(
        ("method", "status", "name", "failed"),
        [
            ("GET", 200, "GET /v1/petitions/{id}", ""),
            ("POST", 404, "POST /v1/petitions/{id}", ""),
            ("GET", 503, "GET /v1/petitions/{id}", "503"),
            ("张三", 405, "HTTP /v1/petitions/{id}", ""),
        ],
    )
    def test_a_request_at_the_gateway_shows_its_route(
        self, quiet: Telemetry, ended: InMemorySpanExporter, method: str, status: int, name: str, failed: str
    ) -> None:
        with spans.http_server_span(quiet.tracer("gateway"), method, "/v1/petitions/{id}") as span:
            spans.set_http_status(span, status)
        attributes = only(ended).attributes or {}
        assert (only(ended).name, attributes["http.response.status_code"]) == (name, status)
        assert attributes.get("error.type", "") == failed


class TestMessages:
    def test_one_trace_goes_from_village_through_town_to_district(self) -> None:
        row, trace_ids, kinds = "", [], []
        for tier in ("330102001003", "330102001", "330102"):
            here = configure("petition", tier, endpoint=None, version="1")
            exporter = InMemorySpanExporter()
            here.add_span_processor(SimpleSpanProcessor(exporter))
            tracer = here.tracer("petition")
            with (
                spans.process_span(tracer, f"petition.{tier}", "PetitionHandedUp", "e1", row),
                spans.create_span(tracer, "PetitionHandedUp", f"{tier}>up:petition", event_id="e2"),
            ):
                sent, row = row, current_traceparent()
            create, process = exporter.get_finished_spans()
            trace_ids += [create.context.trace_id, process.context.trace_id]
            kinds += [create.kind, process.kind]
            assert create.parent == process.context
            if sent:
                assert process.parent is not None
                assert f"{process.parent.span_id:016x}" == sent.split("-")[2]
                assert [link.context.span_id for link in process.links] == [process.parent.span_id]
            here.shutdown()
        assert len(set(trace_ids)) == 1
        assert kinds == [SpanKind.PRODUCER, SpanKind.CONSUMER] * 3

    def test_processing_names_the_message_and_no_village_in_its_low_cardinality_names(
        self, quiet: Telemetry, ended: InMemorySpanExporter
    ) -> None:
        queue = "zongzhi.down.330102001003.petition"
        with spans.process_span(quiet.tracer("petition"), queue, "PetitionAccepted", "e1", TRACEPARENT):
            pass
        assert only(ended).name == "process zongzhi.down.{tier}.petition"
        assert dict(only(ended).attributes or {}) == {
            "messaging.system": "rabbitmq",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": queue,
            "messaging.destination.template": "zongzhi.down.{tier}.petition",
            "messaging.message.id": "e1",
            "zongzhi.event.type": "PetitionAccepted",
        }

    def test_a_failed_application_is_an_error(self, quiet: Telemetry, ended: InMemorySpanExporter) -> None:
        with pytest.raises(LookupError), spans.process_span(quiet.tracer("petition"), "q", "E", "e1", ""):
            raise LookupError(PERSONAL)
        assert (only(ended).status.status_code, only(ended).parent) == (StatusCode.ERROR, None)
        assert (only(ended).attributes or {})["error.type"] == "LookupError"

    @pytest.mark.parametrize("batch_span", [spans.send_span, spans.receive_span])
    def test_a_batch_is_a_trace_of_its_own_that_links_to_each_row(
        self,
        quiet: Telemetry,
        ended: InMemorySpanExporter,
        batch_span: Callable[..., AbstractContextManager[Span]],
    ) -> None:
        rows = [(f"e{n}", f"00-{n:032x}-{n:016x}-01") for n in range(1, 201)] + [("e201", "")]
        with use_traceparent(TRACEPARENT), batch_span(quiet.tracer("petition"), "events:petition", rows):
            pass
        span = only(ended)
        assert (span.parent, span.kind) == (None, SpanKind.CLIENT)
        assert [link.context.trace_id for link in span.links] == list(range(1, 201))
        assert (span.links[0].attributes or {})["messaging.message.id"] == "e1"
        assert (span.attributes or {})["messaging.batch.message_count"] == 201
