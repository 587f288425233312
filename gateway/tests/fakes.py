"""Services that answer what a test tells them, on real gRPC, built from the same descriptors as the routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from services.chassis import statuses
from services.chassis.identity import Identity
from services.chassis.refusal import Refusal
from services.chassis.tokens import Verifier

Answer = Callable[[Message], Message]


@dataclass
class Heard:
    """A call that a fake service received."""

    method: str
    request: Any
    metadata: Mapping[str, str]
    seconds_left: float


@dataclass
class FakeServices:
    """All services behind one server. `answers` by RPC name; else an empty reply."""

    services: Sequence[ServiceDescriptor]
    answers: dict[str, Answer] = field(default_factory=dict)
    calls: list[Heard] = field(default_factory=list)
    # host:port, once started.
    address: str = ""

    def start(self) -> None:
        """Listens on a free port."""
        self.server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        self.health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self.server)
        for one in self.services:
            self.tell_health(one.full_name, True)
            handlers = {method.name: self._handler(method) for method in one.methods}
            self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(one.full_name, handlers),))
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        self.address = f"127.0.0.1:{port}"

    def stop(self) -> None:
        """At once."""
        self.server.stop(0).wait()

    def tell_health(self, full_name: str, serving: bool) -> None:
        """What the health service says of one service."""
        states = health_pb2.HealthCheckResponse
        self.health.set(full_name, states.SERVING if serving else states.NOT_SERVING)

    @property
    def last(self) -> Heard:
        """The newest call."""
        return self.calls[-1]

    def identity_of_last(self, verifier: Verifier, service: str) -> Identity:
        """Whom the newest call's token vouches for, towards this service."""
        return verifier.verify(self.last.metadata["authorization"].removeprefix("Bearer "), service)

    def _handler(self, method: MethodDescriptor) -> Any:
        reply = GetMessageClass(method.output_type)

        def answer(request: Message, context: grpc.ServicerContext) -> Message:
            metadata = {str(key): str(value) for key, value in context.invocation_metadata()}
            self.calls.append(Heard(method.name, request, metadata, context.time_remaining()))
            if method.name not in self.answers:
                return reply()
            try:
                return self.answers[method.name](request)
            except Refusal as refusal:
                context.abort_with_status(statuses.to_status(refusal))
                raise
            except BareStatus as bare:
                context.abort(bare.code, "ipv4:10.0.0.1:1 said no to 13800000000")
                raise

        kind = GetMessageClass(method.input_type)
        if method.client_streaming:
            return grpc.stream_unary_rpc_method_handler(
                lambda messages, context: answer(messages, context), kind.FromString, lambda m: m.SerializeToString()
            )
        return grpc.unary_unary_rpc_method_handler(answer, kind.FromString, lambda message: message.SerializeToString())


def refuse(refusal: Refusal) -> Answer:
    """An answer that says no."""

    def answer(_: Message) -> Message:
        raise refusal

    return answer


def fail(code: grpc.StatusCode) -> Answer:
    """An answer with a bare status, as gRPC itself or a peer of another make gives it."""

    def answer(_: Message) -> Message:
        raise BareStatus(code)

    return answer


class BareStatus(Exception):
    """Becomes a status without details."""

    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__(code.name)
        self.code = code
