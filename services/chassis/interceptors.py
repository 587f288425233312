"""What every call passes on its way to a handler, as one interceptor whose steps stand in order:

span → deadline → identity → permission → field rules → handler → refusal to status

One interceptor instead of six: each would wrap every call anew. Health and reflection pass freely; they show no data.
A stream of the caller's passes the same steps; its messages meet the field rules one by one, as the handler asks for
them. A stream of the server's is answered "unimplemented": no screen needs one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError, Message
from opentelemetry import trace
from opentelemetry.trace import Span

from services.chassis import access, deadlines_of_calls, identity, ids, spans, statuses, troubles
from services.chassis.refusal import Conflict, Invalid, Refusal, Unauthenticated
from services.chassis.telemetry import Telemetry
from services.chassis.tokens import Verifier
from services.chassis.validation import validate

log = logging.getLogger(__name__)

OPEN_TO_ALL = ("/grpc.health.v1.Health/", "/grpc.reflection.")
BEARER = "Bearer "

Behaviour = Callable[[Any, grpc.ServicerContext], Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Outcome = tuple[Any, grpc.Status | None]


class Pipeline(grpc.ServerInterceptor):
    """The way of every call of one service."""

    def __init__(self, service: str, verifier: Verifier, telemetry: Telemetry | None = None) -> None:
        self.service = service
        self.verifier = verifier
        self.meters = telemetry.meters if telemetry else None
        self.tracer = telemetry.tracer(service) if telemetry else trace.NoOpTracer()
        self._handlers: dict[str, Handler] = {}

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Handler | None], details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """The handler with the steps around it; made once per RPC."""
        method = str(details.method)
        if method.startswith(OPEN_TO_ALL):
            return continuation(details)
        wrapped = self._handlers.get(method)
        if wrapped is None:
            handler = continuation(details)
            if handler is None or handler.response_streaming:
                return None
            wrapped = self._handlers[method] = self._wrap(method, handler)
        return wrapped

    def _wrap(self, method: str, handler: Any) -> Handler:
        lenient, serializer = _lenient(handler.request_deserializer), handler.response_serializer
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(
                _Call(self, method, handler.stream_unary, _each_checked), lenient, serializer
            )
        return grpc.unary_unary_rpc_method_handler(_Call(self, method, handler.unary_unary), lenient, serializer)


class _Call:
    """One RPC and the steps around it."""

    def __init__(
        self, pipeline: Pipeline, method: str, behaviour: Behaviour, checked: Callable[[Any], Any] | None = None
    ) -> None:
        self._pipeline = pipeline
        self._method = method
        self._behaviour = behaviour
        self._checked = checked or _checked

    def __call__(self, request: Any, context: grpc.ServicerContext) -> Any:
        began = time.perf_counter()
        metadata = _metadata(context)
        with spans.server_span(self._pipeline.tracer, self._method, metadata.get("traceparent")) as span:
            answer, status = self._outcome(request, context, metadata, span)
            code = status.code.name if status else "OK"
            spans.set_rpc_status(span, code)
            if self._pipeline.meters:
                seconds = time.perf_counter() - began
                self._pipeline.meters.rpc_duration(self._method, code, seconds, self._pipeline.service)
        if status is not None:
            # It raises, so it stands outside the span, which would otherwise record gRPC's own exception.
            context.abort_with_status(status)
        return answer

    def _outcome(self, request: Any, context: grpc.ServicerContext, metadata: dict[str, str], span: Span) -> Outcome:
        limit = deadlines_of_calls.begin(context.time_remaining())
        try:
            return self._answer(request, context, metadata), None
        except Exception as error:
            return None, self._refuse(error, span)
        finally:
            identity.set_current(identity.NOBODY)
            deadlines_of_calls.end(limit)

    def _answer(self, request: Any, context: grpc.ServicerContext, metadata: dict[str, str]) -> Any:
        # The call may have waited for a thread longer than its caller waits for the answer.
        deadlines_of_calls.check()
        caller = self._pipeline.verifier.verify(_token(metadata), self._pipeline.service)
        access.check(self._method, caller)
        request = self._checked(request)
        identity.set_current(caller)
        return self._behaviour(request, context)

    def _refuse(self, error: Exception, span: Span) -> grpc.Status:
        if isinstance(error, Refusal):
            return statuses.to_status(error)
        span.add_event("exception", {spans.EXCEPTION_TYPE: spans.type_name(error)})
        fields = {"method": self._method.lstrip("/"), "error": spans.type_name(error)}
        refusal = troubles.refusal_of(error)
        if refusal is not None:
            log.warning("call failed for now", extra={"fields": fields | {"reason": refusal.reason}})
            return statuses.to_status(refusal)
        error_id = _error_id(span)
        log.error("call failed", exc_info=error, extra={"fields": fields | {"error_id": error_id}})
        return troubles.internal(error_id)


class _Undecodable:
    """Stands for a request that is no message of its type."""


def _checked(message: Any) -> Any:
    """The message, when it is one and keeps to its field rules."""
    if isinstance(message, _Undecodable):
        raise Invalid(
            "",
            "请求内容无法解析,请按接口定义编码。",
            "The request cannot be decoded; encode it as the contract says.",
        )
    validate(message)
    return message


def _each_checked(messages: Iterator[Any]) -> Iterator[Any]:
    """The messages of a stream as they come, each checked.

    One that breaks off raises, but gRPC may end it like a complete one: what is sent must say its own end.
    """
    while True:
        try:
            message = next(messages)
        except StopIteration:
            # gRPC also ends the iteration when time ran out between two messages.
            deadlines_of_calls.check()
            return
        except grpc.RpcError:
            raise Conflict(
                "STREAM_BROKEN",
                "上传中断,未保存任何内容,请重新上传。",
                "The stream broke off; nothing was kept. Send it again.",
            ) from None
        yield _checked(message)


def _lenient(deserialize: Callable[[bytes], Message]) -> Callable[[bytes], Message | _Undecodable]:
    """Bytes that are no message are the caller's mistake; left to gRPC they would be logged and called internal."""

    def lenient(data: bytes) -> Message | _Undecodable:
        try:
            return deserialize(data)
        except DecodeError:
            return _Undecodable()

    return lenient


def _metadata(context: grpc.ServicerContext) -> dict[str, str]:
    return {str(key): str(value) for key, value in context.invocation_metadata() or ()}


def _token(metadata: dict[str, str]) -> str:
    value = metadata.get("authorization", "")
    if not value.startswith(BEARER):
        raise Unauthenticated(
            "TOKEN_MISSING",
            "请先登录:请求缺少 authorization: Bearer 令牌。",
            "Sign in first: the call carries no authorization: Bearer token.",
        )
    return value[len(BEARER) :]


def _error_id(span: Span) -> str:
    """What a person tells the administrator, who finds the log line and the trace by it."""
    context = span.get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ids.uuid7()
