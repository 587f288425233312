"""The spans of a request's way: call, outbox row, sending, processing. Names of attributes stand here once.

Names follow the OpenTelemetry semantic conventions as opentelemetry-semantic-conventions 0.66 has them: HTTP is stable,
RPC a release candidate, messaging still in development. Written here instead of using the instrumentation packages,
which emit older names and would give a relayed message the relay loop's context instead of the request's.

Attributes hold ids, types and codes. Exceptions are recorded by type only: their messages may quote personal data.

One trace holds the whole way: `create` (its traceparent goes into the outbox row) → `process` at the receiver (the
row's context is its parent, and linked) → the next `create`. `send` and `receive` carry many rows and link to them.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from functools import lru_cache
from types import TracebackType

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

ERROR_TYPE = "error.type"
EXCEPTION_TYPE = "exception.type"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
HTTP_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
RPC_SYSTEM = "rpc.system.name"
RPC_METHOD = "rpc.method"
RPC_STATUS = "rpc.response.status_code"
MESSAGING_SYSTEM = "messaging.system"
OPERATION_NAME = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
DESTINATION_NAME = "messaging.destination.name"
DESTINATION_TEMPLATE = "messaging.destination.template"
MESSAGE_ID = "messaging.message.id"
MESSAGE_COUNT = "messaging.batch.message_count"
EVENT_TYPE = "zongzhi.event.type"

# Codes that say the server failed; the others (NOT_FOUND, FAILED_PRECONDITION, …) are answers.
SERVER_ERRORS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
HTTP_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})

Attributes = dict[str, str | int]

_W3C = TraceContextTextMapPropagator()
_ROOT = Context()


class _Scope(AbstractContextManager[Span]):
    """Runs a span around a block. A class, not a generator: half the cost."""

    __slots__ = ("_arguments", "_span", "_token", "_tracer")

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        context: Context | None = None,
        links: list[Link] | None = None,
    ) -> None:
        self._tracer = tracer
        self._arguments = (name, context, kind, attributes, links)

    def __enter__(self) -> Span:
        self._span = self._tracer.start_span(*self._arguments)
        self._token = otel_context.attach(trace.set_span_in_context(self._span))
        return self._span

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _where: TracebackType | None
    ) -> None:
        otel_context.detach(self._token)
        if self._span.is_recording():
            failure = self._failure(error)
            if failure:
                _mark_failed(self._span, failure, error)
        self._span.end()

    def _failure(self, error: BaseException | None) -> str:
        """The error.type of the span, "" when it went well."""
        return type_name(error) if isinstance(error, Exception) else ""

    def _recorded(self, attribute: str) -> str | int | None:
        attributes: Mapping[str, str | int] = getattr(self._span, "attributes", None) or {}
        return attributes.get(attribute)


class _RpcScope(_Scope):
    """A status set by `set_rpc_status` stands; else the exception's own, else UNKNOWN or OK."""

    __slots__ = ()

    def _failure(self, error: BaseException | None) -> str:
        code = str(self._recorded(RPC_STATUS) or "")
        if not code:
            code = _code_of(error)
            self._span.set_attribute(RPC_STATUS, code)
        if self._arguments[2] is SpanKind.SERVER:
            return code if code in SERVER_ERRORS else ""
        return "" if code == "OK" else code


class _HttpScope(_Scope):
    """A status of 500 and above is a failure; an exception without a status is one too."""

    __slots__ = ()

    def _failure(self, error: BaseException | None) -> str:
        status = self._recorded(HTTP_STATUS)
        if status is None:
            return super()._failure(error)
        return str(status) if int(status) >= 500 else ""


def server_span(tracer: Tracer, method: str, traceparent: str | None) -> AbstractContextManager[Span]:
    """A call being answered (`pkg.Svc/M`), child of the caller's span where it sent a valid traceparent."""
    method = method.lstrip("/")
    attributes: Attributes = {RPC_SYSTEM: "grpc", RPC_METHOD: method}
    return _RpcScope(tracer, method, SpanKind.SERVER, attributes, parent_context(traceparent))


def client_span(tracer: Tracer, method: str, address: str) -> AbstractContextManager[Span]:
    """A call to a neighbour; send `current_traceparent()` from inside it."""
    method = method.lstrip("/")
    host, port = _host_port(address)
    attributes: Attributes = {RPC_SYSTEM: "grpc", RPC_METHOD: method, SERVER_ADDRESS: host}
    if port:
        attributes[SERVER_PORT] = port
    return _RpcScope(tracer, method, SpanKind.CLIENT, attributes)


def http_server_span(tracer: Tracer, method: str, route: str) -> AbstractContextManager[Span]:
    """A request at the gateway. The route, never the path: a path may name a case."""
    method = method if method in HTTP_METHODS else "_OTHER"
    name = f"{'HTTP' if method == '_OTHER' else method} {route}".rstrip()
    return _HttpScope(tracer, name, SpanKind.SERVER, {HTTP_METHOD: method, HTTP_ROUTE: route})


def create_span(
    tracer: Tracer, event_type: str, stream: str, *, event_id: str = "", system: str = "rabbitmq"
) -> AbstractContextManager[Span]:
    """Writing an outbox row; the row keeps `current_traceparent()` from inside it."""
    attributes = _messaging(system, "create", stream) | {EVENT_TYPE: event_type}
    if event_id:
        attributes[MESSAGE_ID] = event_id
    return _Scope(tracer, f"create {attributes[DESTINATION_TEMPLATE]}", SpanKind.PRODUCER, attributes)


def send_span(
    tracer: Tracer, destination: str, rows: Iterable[tuple[str, str]], *, system: str = "rabbitmq"
) -> AbstractContextManager[Span]:
    """The relay sending a batch: a trace of its own that links to each row, given as (event id, traceparent)."""
    return _batch_span(tracer, "send", destination, rows, system)


def receive_span(
    tracer: Tracer, queue: str, rows: Iterable[tuple[str, str]], *, system: str = "rabbitmq"
) -> AbstractContextManager[Span]:
    """Storing a received batch: a trace of its own that links to each envelope, given as (event id, traceparent)."""
    return _batch_span(tracer, "receive", queue, rows, system)


def process_span(
    tracer: Tracer, queue: str, event_type: str, event_id: str, traceparent: str | None, *, system: str = "rabbitmq"
) -> AbstractContextManager[Span]:
    """Applying one event: child of the span that created it, and linked to it; without a traceparent, a new trace."""
    attributes = _messaging(system, "process", queue) | {EVENT_TYPE: event_type, MESSAGE_ID: event_id}
    link = _link(event_id, traceparent)
    context = trace.set_span_in_context(trace.NonRecordingSpan(link.context), _ROOT) if link else _ROOT
    name = f"process {attributes[DESTINATION_TEMPLATE]}"
    return _Scope(tracer, name, SpanKind.CONSUMER, attributes, context, [link] if link else None)


def set_rpc_status(span: Span, code: str) -> None:
    """Says how a call ended, by gRPC status name; a code that is not the server's fault leaves the span unfailed."""
    span.set_attribute(RPC_STATUS, code)


def set_http_status(span: Span, status: int) -> None:
    """Says with which HTTP status a request was answered."""
    span.set_attribute(HTTP_STATUS, status)


def parent_context(traceparent: str | None) -> Context | None:
    """The context whose parent is `traceparent`; None when it is missing or malformed (W3C Trace Context)."""
    if not traceparent:
        return None
    return _W3C.extract({"traceparent": traceparent}, Context()) or None


def type_name(error: BaseException) -> str:
    """The exception's full type name, builtins without their module."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _mark_failed(span: Span, failure: str, error: BaseException | None) -> None:
    span.set_attribute(ERROR_TYPE, failure)
    span.set_status(StatusCode.ERROR)
    if error is not None:
        span.add_event("exception", {EXCEPTION_TYPE: type_name(error)})


def _code_of(error: BaseException | None) -> str:
    """The status an exception of grpc carries, without importing grpc."""
    if not isinstance(error, Exception):
        return "OK" if error is None else "CANCELLED"
    code = getattr(error, "code", None)
    return str(getattr(code() if callable(code) else code, "name", "UNKNOWN"))


def _link(event_id: str, traceparent: str | None) -> Link | None:
    context = trace.get_current_span(parent_context(traceparent) or _ROOT).get_span_context()
    return Link(context, {MESSAGE_ID: event_id}) if context.is_valid else None


def _messaging(system: str, operation: str, destination: str) -> Attributes:
    return {
        MESSAGING_SYSTEM: system,
        OPERATION_NAME: operation,
        OPERATION_TYPE: operation,
        DESTINATION_NAME: destination,
        DESTINATION_TEMPLATE: _template(destination),
    }


def _batch_span(
    tracer: Tracer, operation: str, destination: str, rows: Iterable[tuple[str, str]], system: str
) -> AbstractContextManager[Span]:
    rows = list(rows)
    attributes = _messaging(system, operation, destination) | {MESSAGE_COUNT: len(rows)}
    links = [link for row in rows if (link := _link(*row))]
    name = f"{operation} {attributes[DESTINATION_TEMPLATE]}"
    return _Scope(tracer, name, SpanKind.CLIENT, attributes, _ROOT, links)


@lru_cache(maxsize=1024)
def _template(destination: str) -> str:
    """The destination without division codes (GB/T 2260, GB/T 10114: 6 to 12 digits): one name for all villages."""
    return re.sub(r"\d{6,12}", "{tier}", destination)


@lru_cache(maxsize=256)
def _host_port(address: str) -> tuple[str, int]:
    """Host and port of a gRPC target such as localhost:50051 or dns:///petition:50051; port 0 for a socket file."""
    host, _, port = address.rpartition("///")[2].rpartition(":")
    return (host, int(port)) if host and port.isdigit() else (address, 0)
