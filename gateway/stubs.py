"""One channel per neighbour, one precompiled call per route."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.trace import Tracer

from gateway.routes import Route, neighbour
from services.chassis import clients
from services.chassis.settings import Settings, SettingsMissing

DEADLINE_S = 10.0
PROBE_S = 1.0
# How a service hears where an open call comes from; it believes the word of the gateway only.
SOURCE = "zongzhi-source"

Call = Callable[[Message, str], Message]


class Stubs:
    """The neighbours that routes need."""

    def __init__(self, services: Iterable[ServiceDescriptor], channels: Mapping[str, grpc.Channel]) -> None:
        self._services = {neighbour(one): one.full_name for one in services}
        self._channels = self.channels = channels
        self._calls: dict[str, Any] = {}

    def call(self, route: Route, request: Message, token: str, source: str = "") -> Message:
        """Asks the service that answers this route, for at most 10 s. Raises grpc.RpcError.

        `source` is the address of a citizen who did not sign in: limits of open calls go by it.
        """
        method = self._calls.get(route.full_method)
        if method is None:
            method = self._calls[route.full_method] = self._channels[route.service].unary_unary(
                route.full_method,
                request_serializer=route.request_type.SerializeToString,
                response_deserializer=route.response_type.FromString,
            )
        metadata = ((SOURCE, source),) if source else ()
        reply: Message = clients.call(method, request, token=token, timeout=DEADLINE_S, metadata=metadata)
        return reply

    def stream(self, route: Route, messages: Iterable[Message], token: str) -> AbstractContextManager[Any]:
        """Sends a stream to the service that answers this route: grpc's future, cancelled when the block ends early."""
        method = self._calls.get(route.full_method)
        if method is None:
            channel: Any = self._channels[route.service]
            method = self._calls[route.full_method] = channel.stream_unary(
                route.full_method,
                request_serializer=route.request_type.SerializeToString,
                response_deserializer=route.response_type.FromString,
            )
        begun: AbstractContextManager[Any] = method.begin(messages, metadata=(("authorization", f"Bearer {token}"),))
        return begun

    def health(self) -> dict[str, str]:
        """How each neighbour is, asked all at once: `serving`, `not_serving`, or why it does not answer."""
        asked = {}
        for name, full_name in self._services.items():
            # Past the tracing wrapper: probes are no requests of anybody.
            channel = self._channels[name]
            real = channel.real() if isinstance(channel, clients.Channel) else channel
            request = health_pb2.HealthCheckRequest(service=full_name)
            asked[name] = health_pb2_grpc.HealthStub(real).Check.future(request, timeout=PROBE_S)
        return {name: _status(future) for name, future in asked.items()}

    def close(self) -> None:
        """Closes every channel."""
        for channel in self._channels.values():
            channel.close()


def open_channels(settings: Settings, services: Iterable[ServiceDescriptor], tracer: Tracer) -> dict[str, grpc.Channel]:
    """A channel to each neighbour, not yet connected. Raises SettingsMissing when the settings know no address."""
    channels: dict[str, grpc.Channel] = {}
    for name in {neighbour(one) for one in services}:
        try:
            address = settings.address_of(name)
        except AttributeError:
            raise SettingsMissing(
                f"没有服务 {name} 的地址设置。 There is no setting for the address of {name} ({name.upper()}_ADDRESS)."
            ) from None
        channels[name] = clients.channel(address, tracer, settings.grpc_tls_dir)
    return channels


def _status(future: Any) -> str:
    try:
        reply = future.result()
    except grpc.RpcError as error:
        return str(error.code().name.lower())
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status).lower())
