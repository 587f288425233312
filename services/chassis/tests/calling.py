"""A small petition service over real gRPC on loopback, for tests of what surrounds a handler."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, empty_pb2

from protos.petition.v1 import petition_pb2 as pb
from protos.petition.v1 import petition_pb2_grpc
from services.chassis import clients, statuses, telemetry, tokens
from services.chassis.database import Database
from services.chassis.identity import Identity
from services.chassis.listeners import Listeners
from services.chassis.rpc import GrpcServer
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.chassis.telemetry import Telemetry

TIER = "341702000000"
OFFICER = Identity(
    account="demo",
    tier=TIER,
    scope="341702",
    units=frozenset({"341702-XFJ", "341702-SFJ"}),
    roles=frozenset({"hall"}),
    permissions=frozenset({"petition.read", "petition.register", "petition.accept"}),
    unit="341702-XFJ",
)
UNDECLARED = "/zongzhi.test.v1.UndeclaredService/Open"


@dataclass
class FakeDatabase:
    """Answers, stays silent or says it is gone, as a test wants it."""

    alive: bool = True
    answer: Callable[[], bool] | None = None

    def answers(self) -> bool:
        return self.answer() if self.answer else self.alive


@dataclass
class Desk(petition_pb2_grpc.PetitionServiceServicer):
    """Answers some calls by what the test puts in."""

    deed: Callable[[Any], Any] = lambda request: pb.Petition(id=request.id)
    seen: list[Any] = field(default_factory=list)

    def GetPetition(self, request: Any, context: Any) -> Any:
        self.seen.append(request)
        return self.deed(request)

    def AcceptPetition(self, request: Any, context: Any) -> Any:
        return self.GetPetition(request, context)

    def RegisterPetition(self, request: Any, context: Any) -> Any:
        self.seen.append(request)
        return pb.RegisterPetitionResponse()


@dataclass
class Running:
    """A running server, a stub for it, and tokens."""

    server: GrpcServer
    channel: clients.Channel
    desk: Desk
    db: FakeDatabase
    key: Any

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    @property
    def stub(self) -> Any:
        return petition_pb2_grpc.PetitionServiceStub(self.channel)

    def token(self, identity: Identity = OFFICER, audience: str = "petition", ttl_s: int = 300) -> str:
        return tokens.sign(self.key, identity, [audience], ttl_s)

    def get(self, id: str = "p-1", timeout: float | None = None) -> Any:
        return clients.call(self.stub.GetPetition, pb.GetPetitionRequest(id=id), token=self.token(), timeout=timeout)


def make_keys(directory: Path) -> tuple[Any, tokens.Verifier]:
    """A signing key and the verifier that trusts it."""
    tokens.create_keys(directory)
    key = tokens.load_private(directory / tokens.PRIVATE_FILE)
    return key, tokens.Verifier(directory / tokens.PUBLIC_FILE, TIER)


def a_service(desk: Desk, db: FakeDatabase, settings: Settings) -> Service:
    """The desk as a service of the chassis."""

    def join(server: grpc.Server) -> None:
        petition_pb2_grpc.add_PetitionServiceServicer_to_server(desk, server)  # type: ignore[no-untyped-call]
        server.add_generic_rpc_handlers((undeclared_handler(),))

    return Service(
        name="petition",
        settings=settings,
        db=cast(Database, db),
        join=join,
        grpc_names=("zongzhi.petition.v1.PetitionService",),
        listeners=Listeners(),
        on_crossing=lambda *_: None,
    )


@contextmanager
def a_server(
    directory: Path,
    deed: Callable[[Any], Any] | None = None,
    telemetry: Telemetry | None = None,
    db: FakeDatabase | None = None,
    **settings: Any,
) -> Iterator[Running]:
    """Serves a desk on a free port until the block ends."""
    key, verifier = make_keys(directory / "keys")
    desk, db = Desk(), db or FakeDatabase()
    if deed:
        desk.deed = deed
    server = GrpcServer(a_service(desk, db, Settings(tier=TIER, **settings)), verifier, telemetry)
    server.start()
    tracer = telemetry.tracer("gateway") if telemetry else None
    with clients.channel(f"127.0.0.1:{server.port}", tracer) as channel:
        try:
            yield Running(server, channel, desk, db, key)
        finally:
            server.stop(0.2)


def undeclared_handler() -> grpc.GenericRpcHandler:
    """An RPC whose contract says nothing about who may call it."""
    declare_undeclared()
    handler = grpc.unary_unary_rpc_method_handler(
        lambda request, _: request, empty_pb2.Empty.FromString, empty_pb2.Empty.SerializeToString
    )
    return grpc.method_handlers_generic_handler("zongzhi.test.v1.UndeclaredService", {"Open": handler})


def declare_undeclared() -> None:
    """Adds its contract to the pool; adding the same again changes nothing."""
    empty = ".google.protobuf.Empty"
    file = descriptor_pb2.FileDescriptorProto(
        name="protos/test/v1/undeclared.proto",
        package="zongzhi.test.v1",
        dependency=["google/protobuf/empty.proto"],
        service=[
            descriptor_pb2.ServiceDescriptorProto(
                name="UndeclaredService",
                method=[descriptor_pb2.MethodDescriptorProto(name="Open", input_type=empty, output_type=empty)],
            )
        ],
    )
    descriptor_pool.Default().Add(file)  # type: ignore[no-untyped-call]


def refused(run: Callable[..., Any], *args: Any, **kwargs: Any) -> statuses.RichError:
    """Makes a call that must fail, and says how."""
    with pytest.raises(grpc.RpcError) as caught:
        run(*args, **kwargs)
    return statuses.parse(caught.value)


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Waits until it is so; fails when it is not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def raising(error: Exception) -> Callable[[Any], Any]:
    """A handler that fails with this."""

    def deed(_: Any) -> Any:
        raise error

    return deed


def silent() -> Telemetry:
    """Telemetry that sends nothing."""
    return telemetry.configure("test", TIER, endpoint=None, version="0")
