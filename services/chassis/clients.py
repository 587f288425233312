"""Calls to neighbours: lazy channels, deadlines carried on, one trace, and no call while a transaction is open."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from opentelemetry import trace
from opentelemetry.trace import Tracer

from services.chassis import access, deadlines_of_calls, spans, tls
from services.chassis.database import forbid_inside_transaction
from services.chassis.telemetry import current_traceparent

Metadata = Sequence[tuple[str, str]]

# How long a stream of a file's pieces may take; a village's line carries 20 MB in a few minutes.
STREAM_S = 600.0
# A page of 200 cases with long texts is larger than the 4 MiB that gRPC takes by default.
LARGEST_REPLY = 16 * 1024 * 1024

OPTIONS: list[tuple[str, int]] = [
    # Deadlines are the real protection; these find a peer that vanished between calls.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    # Without it a frozen peer is noticed after 60 s, whatever keepalive says.
    ("grpc.http2.ping_timeout_ms", 3_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", LARGEST_REPLY),
    # Neighbours are inside; a proxy set for the way out is not for them.
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Replicas that come and go are looked up anew at once; by default a name is asked for twice a minute at most.
    ("grpc.dns_min_time_between_resolutions_ms", 500),
]
# So often a channel looks whether its certificate has been renewed.
LOOK_AT_FILES_S = 10.0

RETRY = {
    "maxAttempts": 3,
    "initialBackoff": "0.05s",
    "maxBackoff": "0.5s",
    "backoffMultiplier": 2,
    # A server that stops cancels what it had not begun yet.
    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
}


def channel(address: str, tracer: Tracer | None = None, tls_dir: Path | None = None) -> Channel:
    """A channel to `host:port` (or `dns:///name:port` for several replicas); it connects at its first call.

    With `tls_dir` both sides prove themselves, and a renewed certificate is used from the next call on.
    """
    return Channel(address, tracer or trace.NoOpTracer(), tls_dir)


def call(stub_method: Any, request: Any, *, token: str, timeout: float | None = None, metadata: Metadata = ()) -> Any:
    """Calls a neighbour with a token. Raises grpc.RpcError; `statuses.parse` says what it means.

    `timeout` is in seconds and is cut to what the caller of the running call still waits.
    """
    return stub_method(request, timeout=timeout, metadata=(("authorization", f"Bearer {token}"), *metadata))


class Channel(grpc.Channel):
    """Connects in the process that calls: a channel opened before a fork would hang in the child."""

    def __init__(self, address: str, tracer: Tracer, tls_dir: Path | None = None) -> None:
        self.address = address
        self.tracer = tracer
        self._tls_dir = tls_dir
        self._stamp: tuple[int, ...] = ()
        self._look_again_at = 0.0
        self._lock = threading.Lock()
        self._pid = 0
        self._real: grpc.Channel | None = None

    def real(self) -> grpc.Channel:
        """This process's own connection."""
        if self._real is None or self._pid != os.getpid() or self._renewed():
            with self._lock:
                if self._real is None or self._pid != os.getpid() or self._renewed():
                    # One that is replaced is not closed: calls on it end first, then nobody holds it any more.
                    self._real = self._connect()
                    self._pid = os.getpid()
        return self._real

    def _connect(self) -> grpc.Channel:
        options = [*OPTIONS, ("grpc.service_config", service_config())]
        if self._tls_dir is None:
            return grpc.insecure_channel(self.address, options)
        self._stamp = tls.stamp(self._tls_dir)
        return grpc.secure_channel(self.address, tls.channel_credentials(self._tls_dir), options)

    def _renewed(self) -> bool:
        """Whether there is another certificate than the one in use; looks at the files now and then."""
        if self._tls_dir is None or time.monotonic() < self._look_again_at:
            return False
        stamp = tls.stamp(self._tls_dir)
        renewed = stamp != self._stamp and len(stamp) == len(self._stamp)
        if not renewed:
            self._look_again_at = time.monotonic() + LOOK_AT_FILES_S
        return renewed

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """What a generated stub calls an RPC by."""
        return _Method(self, method, lambda: self.real().unary_unary(method, *args, **kwargs))

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """What a generated stub sends a stream by; its `begin` is for who brings the messages as they come."""
        return _Stream(self, method, lambda: self.real().stream_unary(method, *args, **kwargs))

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        """As in grpc; without deadline and span, which belong to calls with one answer."""
        return self.real().unary_stream(*args, **kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        """As in grpc; without deadline and span, which belong to calls with one answer."""
        return self.real().stream_stream(*args, **kwargs)

    def subscribe(self, callback: Callable[[grpc.ChannelConnectivity], None], try_to_connect: bool = False) -> None:
        """Tells `callback` whenever the connection comes or goes."""
        self.real().subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        """Ends that."""
        self.real().unsubscribe(callback)

    def close(self) -> None:
        """Closes this process's connection; the next call opens another."""
        with self._lock:
            if self._real is not None and self._pid == os.getpid():
                self._real.close()
            self._real = None

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Method:
    """One RPC of a neighbour."""

    def __init__(self, channel: Channel, name: str, make: Callable[[], Any]) -> None:
        self._channel = channel
        self._name = name
        self._make = make
        self._made: tuple[grpc.Channel, Any] | None = None

    def __call__(self, request: Any, timeout: float | None = None, metadata: Metadata | None = None) -> Any:
        forbid_inside_transaction(self._name)
        limit = deadlines_of_calls.for_outgoing(deadlines_of_calls.DEFAULT_S if timeout is None else timeout)
        with spans.client_span(self._channel.tracer, self._name, self._channel.address):
            sent = [*(metadata or ()), ("traceparent", current_traceparent())]
            return self._real()(request, timeout=limit, metadata=[pair for pair in sent if pair[1]])

    def _real(self) -> Any:
        real = self._channel.real()
        if self._made is None or self._made[0] is not real:
            self._made = (real, self._make())
        return self._made[1]


class _Stream(_Method):
    """One RPC of a neighbour that takes a stream. Its own limit is longer: files take the time that lines need."""

    def __call__(self, messages: Any, timeout: float | None = None, metadata: Metadata | None = None) -> Any:
        return super().__call__(messages, STREAM_S if timeout is None else timeout, metadata)

    @contextmanager
    def begin(self, messages: Any, timeout: float | None = None, metadata: Metadata | None = None) -> Iterator[Any]:
        """The call under way, as grpc's future: gRPC asks for the messages on a thread of its own.

        A call that is not done at the end of the block is cancelled, so that nothing half sent is taken for whole.
        """
        forbid_inside_transaction(self._name)
        limit = deadlines_of_calls.for_outgoing(STREAM_S if timeout is None else timeout)
        with spans.client_span(self._channel.tracer, self._name, self._channel.address):
            sent = [*(metadata or ()), ("traceparent", current_traceparent())]
            call = self._real().future(messages, timeout=limit, metadata=[pair for pair in sent if pair[1]])
            try:
                yield call
            finally:
                call.cancel()


@cache
def service_config() -> str:
    """Spreads calls over all addresses of a name, and repeats what may be repeated when nobody answered."""
    names = [
        {"service": method.containing_service.full_name, "method": method.name}
        for method in access.methods()
        if may_be_repeated(method)
    ]
    return json.dumps(
        {
            "loadBalancingConfig": [{"round_robin": {}}],
            "methodConfig": [{"name": names, "retryPolicy": RETRY}],
            # When most calls fail, repeating them only adds to the trouble.
            "retryThrottling": {"maxTokens": 20, "tokenRatio": 0.2},
        }
    )


def may_be_repeated(method: MethodDescriptor) -> bool:
    """Whether a second call does no harm: it only reads, or carries the id that makes a repeat answer as the first."""
    return method.name.startswith(("Get", "List", "Read")) or "request_id" in method.input_type.fields_by_name
