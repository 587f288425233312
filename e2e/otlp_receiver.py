"""An OpenTelemetry collector for tests and developers: takes OTLP/HTTP, keeps everything in memory, draws the traces.

python -m e2e.otlp_receiver --port 4318
"""

from __future__ import annotations

import argparse
import gzip
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from e2e.traces import Attributes, Event, Span, TraceTree, trace_tree

__all__ = ["Event", "Log", "OtlpReceiver", "Point", "Span", "TraceTree", "trace_tree"]


@dataclass(frozen=True)
class Log:
    """One log record, with the trace it was written in."""

    trace_id: str
    span_id: str
    service: str
    severity: str
    body: Any
    attributes: Attributes


@dataclass(frozen=True)
class Point:
    """One measured value of a metric; of a histogram its sum and count."""

    metric: str
    service: str
    attributes: Attributes
    value: float
    count: int


@dataclass
class Received:
    """Everything that arrived, in the order of arrival."""

    spans: list[Span] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)


class OtlpReceiver:
    """Listens on loopback or `host` until closed. With `black_hole` it never answers, like a hung collector."""

    def __init__(
        self,
        port: int = 0,
        black_hole: bool = False,
        on_spans: Callable[[list[Span]], None] = lambda _: None,
        host: str = "127.0.0.1",
    ) -> None:
        self.black_hole = black_hole
        self.requests = 0
        self._received = Received()
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._on_spans = on_spans
        self._server = _Server((host, port), _handler_for(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT must be."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def __enter__(self) -> OtlpReceiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    def spans(self, trace_id: str | None = None) -> list[Span]:
        """The spans that arrived so far, of one trace or of all."""
        with self._changed:
            return [s for s in self._received.spans if trace_id in (None, s.trace_id)]

    def logs(self, trace_id: str | None = None) -> list[Log]:
        """The log records that arrived so far, of one trace or of all."""
        with self._changed:
            return [r for r in self._received.logs if trace_id in (None, r.trace_id)]

    def points(self, metric: str | None = None) -> list[Point]:
        """The metric points that arrived so far, of one metric or of all."""
        with self._changed:
            return [p for p in self._received.points if metric in (None, p.metric)]

    def clear(self) -> None:
        """Forgets what arrived."""
        with self._changed:
            self._received = Received()

    def wait_for(self, predicate: Callable[[OtlpReceiver], object], timeout: float = 10) -> bool:
        """Looks at each arrival until the predicate holds (True) or `timeout` seconds have passed (False)."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(predicate(self)), timeout)

    def take(self, path: str, body: bytes) -> Message | None:
        """Decodes and keeps one request; None for a path that OTLP does not know. Raises DecodeError."""
        decoder = DECODERS.get(path)
        if decoder is None:
            return None
        request, answer, decode = decoder
        message = request.FromString(body)
        arrived: list[Any] = list(decode(message))
        with self._changed:
            for item in arrived:
                self._list_for(item).append(item)
            self._changed.notify_all()
        if path == "/v1/traces":
            self._on_spans(arrived)
        return answer()  # type: ignore[no-any-return]

    def swallow(self) -> None:
        """Holds the caller's connection open, unanswered, until the receiver closes or answers again."""
        while self.black_hole and not self._closed.wait(0.05):
            pass

    def _list_for(self, item: Span | Log | Point) -> list[Any]:
        kept = self._received
        return {Span: kept.spans, Log: kept.logs, Point: kept.points}[type(item)]  # type: ignore[return-value]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stays silent: who was kept waiting by a black hole has left long before it is answered."""


def _handler_for(receiver: OtlpReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            receiver.requests += 1
            receiver.swallow()
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                answer = receiver.take(urlsplit(self.path).path, body)
            except (DecodeError, OSError, EOFError):
                self.reply(400, b"")
                return
            self.reply(200 if answer is not None else 404, answer.SerializeToString() if answer is not None else b"")

        def reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Stays silent: the output belongs to the test or to the drawn traces."""

    return Handler


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(v) for v in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind) if kind else None


def _attributes(pairs: Iterable[KeyValue]) -> Attributes:
    return {pair.key: _plain(pair.value) for pair in pairs}


def _service(resource_owner: Any) -> str:
    return str(_attributes(resource_owner.resource.attributes).get("service.name", ""))


def _spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for owner in request.resource_spans:
        for scope in owner.scope_spans:
            for span in scope.spans:
                yield _span(span, _service(owner))


def _span(span: trace_pb2.Span, service: str) -> Span:
    events = tuple(Event(e.name, e.time_unix_nano, _attributes(e.attributes)) for e in span.events)
    return Span(
        trace_id=span.trace_id.hex(), span_id=span.span_id.hex(), parent_id=span.parent_span_id.hex(), name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"), service=service,
        attributes=_attributes(span.attributes), events=events,
        status=trace_pb2.Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        start=span.start_time_unix_nano, end=span.end_time_unix_nano,
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
    )  # fmt: skip


def _logs(request: ExportLogsServiceRequest) -> Iterator[Log]:
    for owner in request.resource_logs:
        for scope in owner.scope_logs:
            for r in scope.log_records:
                ids = r.trace_id.hex(), r.span_id.hex()
                yield Log(*ids, _service(owner), r.severity_text, _plain(r.body), _attributes(r.attributes))


def _points(request: ExportMetricsServiceRequest) -> Iterator[Point]:
    for owner in request.resource_metrics:
        for scope in owner.scope_metrics:
            for metric in scope.metrics:
                data = getattr(metric, metric.WhichOneof("data") or "gauge")
                for p in data.data_points:
                    yield Point(metric.name, _service(owner), _attributes(p.attributes), *_value(p))


def _value(point: Any) -> tuple[float, int]:
    if hasattr(point, "sum"):
        return float(point.sum), int(point.count)
    return float(getattr(point, point.WhichOneof("value") or "as_double")), 1


DECODERS: dict[str, tuple[Any, Any, Callable[[Any], Iterator[Any]]]] = {
    "/v1/traces": (ExportTraceServiceRequest, ExportTraceServiceResponse, _spans),
    "/v1/logs": (ExportLogsServiceRequest, ExportLogsServiceResponse, _logs),
    "/v1/metrics": (ExportMetricsServiceRequest, ExportMetricsServiceResponse, _points),
}


def main() -> None:
    """Shows a developer every trace as it grows."""
    parser = argparse.ArgumentParser(prog="python -m e2e.otlp_receiver", description=main.__doc__)
    parser.add_argument("--port", type=int, default=4318)

    def show(arrived: list[Span]) -> None:
        for trace_id in dict.fromkeys(s.trace_id for s in arrived):
            sys.stdout.write(f"\n{trace_id}\n{trace_tree(receiver.spans(trace_id)).draw()}\n")
        sys.stdout.flush()

    with OtlpReceiver(parser.parse_args().port, on_spans=show) as receiver:
        sys.stderr.write(f"OTEL_EXPORTER_OTLP_ENDPOINT={receiver.url}\n")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
