"""The centre behind real gRPC on loopback, as the gateway and integrators reach it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from protos.mediation.v1.mediation_pb2_grpc import MediationServiceStub
from services.chassis import clients, tokens
from services.chassis.identity import Identity
from services.chassis.rpc import GrpcServer
from services.chassis.statuses import RichError, parse
from services.mediation.tests.centre import TIER, Centre, a_mediator


@dataclass(frozen=True)
class Wire:
    """A running server, and calls to it with signed tokens."""

    centre: Centre
    stub: Any
    key: Any

    def call(self, method: str, request: Message, who: Identity | None = None, audience: str = "mediation") -> Any:
        """One RPC, by a mediator unless somebody else is named."""
        token = tokens.sign(self.key, who or a_mediator(), [audience])
        return clients.call(getattr(self.stub, method), request, token=token)

    def error(
        self, method: str, request: Message, who: Identity | None = None, audience: str = "mediation"
    ) -> RichError:
        """The refusal of one RPC."""
        with pytest.raises(grpc.RpcError) as info:
            self.call(method, request, who, audience)
        return parse(info.value)


@contextmanager
def a_wire(centre: Centre, directory: Path) -> Iterator[Wire]:
    """Serves the centre on a free port until the block ends."""
    tokens.create_keys(directory / "keys")
    server = GrpcServer(centre.service, tokens.Verifier(directory / "keys" / tokens.PUBLIC_FILE, TIER))
    port = server.start()
    try:
        with clients.channel(f"127.0.0.1:{port}") as channel:
            stub = MediationServiceStub(channel)  # type: ignore[no-untyped-call]
            yield Wire(centre, stub, tokens.load_private(directory / "keys" / tokens.PRIVATE_FILE))
    finally:
        server.stop(0.2)
