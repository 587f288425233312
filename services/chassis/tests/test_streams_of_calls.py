"""A caller's stream passes the same steps as every call, message by message, seen over real gRPC."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from protos.files.v1 import files_pb2
from protos.petition.v1 import attachments_pb2 as pb
from protos.petition.v1 import attachments_pb2_grpc
from services.chassis import clients, deadlines_of_calls, identity, spans, tokens
from services.chassis.database import Database, InsideTransaction
from services.chassis.listeners import Listeners
from services.chassis.refusal import IllegalMove
from services.chassis.rpc import GrpcServer
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.chassis.tests.calling import OFFICER, TIER, FakeDatabase, make_keys, refused, silent, until
from services.chassis.uploads import Incoming

UPLOADER = replace(OFFICER, permissions=frozenset({"petition.attach"}))
HEADER = files_pb2.Upload(header=files_pb2.UploadHeader(id="p-1", filename="a.pdf"))
END = files_pb2.Upload(end=files_pb2.UploadEnd())
Deed = Callable[[Iterator[Any]], Any]


class Cabinet(attachments_pb2_grpc.AttachmentServiceServicer):
    """Takes streams as a test tells it."""

    def __init__(self, deed: Deed) -> None:
        self.deed = deed
        self.seen: list[Any] = []
        self.ended = ""

    def UploadAttachment(self, messages: Iterator[Any], _: Any) -> pb.Attachment:
        try:
            answer: pb.Attachment = self.deed(self._each(messages))
        except Exception as error:
            self.ended = getattr(error, "reason", type(error).__name__)
            raise
        self.ended = "answered"
        return answer

    def _each(self, messages: Iterator[Any]) -> Iterator[Any]:
        for message in messages:
            self.seen.append(message)
            yield message


class Caller:
    """Sends streams to the cabinet."""

    def __init__(self, channel: clients.Channel, cabinet: Cabinet, key: Any) -> None:
        self.stub: Any = attachments_pb2_grpc.AttachmentServiceStub(channel)  # type: ignore[no-untyped-call]
        self.cabinet = cabinet
        self.key = key

    def metadata(self, who: Any = UPLOADER, audience: str = "petition") -> Any:
        """A token."""
        return (("authorization", f"Bearer {tokens.sign(self.key, who, [audience])}"),)

    def send(self, *messages: Any, timeout: float | None = None, **who: Any) -> Any:
        """The whole stream and its answer."""
        return self.stub.UploadAttachment(iter(messages), timeout=timeout, metadata=self.metadata(**who))


def kept(messages: Iterator[Any]) -> pb.Attachment:
    return pb.Attachment(size=sum(len(piece) for piece in Incoming(messages).pieces()))


@contextmanager
def a_cabinet(directory: Path, deed: Deed | None = None, telemetry: Any = None) -> Iterator[Caller]:
    key, verifier = make_keys(directory / "keys")
    cabinet = Cabinet(deed or kept)

    def join(server: grpc.Server) -> None:
        attachments_pb2_grpc.add_AttachmentServiceServicer_to_server(cabinet, server)  # type: ignore[no-untyped-call]

    service = Service(
        "petition", Settings(tier=TIER), cast(Database, FakeDatabase()), join,
        ("zongzhi.petition.v1.AttachmentService",), Listeners(), lambda *_: None,
    )  # fmt: skip
    server = GrpcServer(service, verifier, telemetry)
    port = server.start()
    with clients.channel(f"127.0.0.1:{port}", telemetry.tracer("gateway") if telemetry else None) as channel:
        try:
            yield Caller(channel, cabinet, key)
        finally:
            server.stop(0.2)


def data(size: int = 1000) -> files_pb2.Upload:
    return files_pb2.Upload(data=b"x" * size)


def test_a_stream_is_answered_once_and_its_handler_knows_caller_and_deadline(tmp_path: Path) -> None:
    known: list[Any] = []

    def deed(messages: Iterator[Any]) -> Any:
        answer = kept(messages)
        known.append((identity.current(), deadlines_of_calls.remaining()))
        return answer

    with a_cabinet(tmp_path, deed) as caller:
        assert caller.send(HEADER, data(), data(5), END).size == 1005
    ((who, left),) = known
    assert who == UPLOADER
    assert clients.STREAM_S - 30 < left <= clients.STREAM_S + 1


def test_who_may_not_call_is_refused_before_any_message_is_looked_at(tmp_path: Path) -> None:
    wrong = files_pb2.Upload(header=files_pb2.UploadHeader())
    with a_cabinet(tmp_path) as caller:
        assert refused(caller.send, wrong, who=OFFICER).code == "PERMISSION_DENIED"
        assert refused(caller.send, wrong, audience="mediation").reason == "TOKEN_AUDIENCE"
        assert refused(caller.stub.UploadAttachment, iter([wrong])).reason == "TOKEN_MISSING"
        assert caller.cabinet.seen == []


def test_every_message_meets_the_field_rules_and_the_first_wrong_one_ends_it(tmp_path: Path) -> None:
    with a_cabinet(tmp_path) as caller:
        error = refused(caller.send, files_pb2.Upload(header=files_pb2.UploadHeader(id="p-1")))
        assert (error.code, error.violations[0][0]) == ("INVALID_ARGUMENT", "header.filename")
        assert caller.cabinet.seen == []
        assert refused(caller.send, HEADER, data(), data(262_145), data()).violations[0][0] == "data"
        assert caller.cabinet.seen == [HEADER, data()]


def test_bytes_that_are_no_message_are_the_callers_mistake(tmp_path: Path) -> None:
    with a_cabinet(tmp_path) as caller:
        method = caller.stub.UploadAttachment._channel.real().stream_unary(caller.stub.UploadAttachment._name)
        error = refused(method, iter([HEADER.SerializeToString(), b"\x0a\xff\xff"]), 5, caller.metadata())
        assert error.code == "INVALID_ARGUMENT"


def test_a_refusal_in_the_middle_reaches_a_caller_who_is_still_sending(tmp_path: Path) -> None:
    def deed(messages: Iterator[Any]) -> Any:
        next(messages)
        raise IllegalMove("FULL", "已满。", "It is full.")

    def endless() -> Iterator[Any]:
        yield HEADER
        while True:
            yield data(200_000)

    with a_cabinet(tmp_path, deed) as caller:
        error = refused(caller.stub.UploadAttachment, endless(), metadata=caller.metadata())
    assert (error.code, error.reason) == ("FAILED_PRECONDITION", "FULL")


def test_a_stream_that_breaks_off_raises_or_lacks_its_end(tmp_path: Path) -> None:
    go = threading.Event()

    def breaking() -> Iterator[Any]:
        yield HEADER
        yield data()
        go.wait(30)
        raise ConnectionError("the line is dead")

    with a_cabinet(tmp_path) as caller:
        for _ in range(10):
            go.clear()
            caller.cabinet.ended = ""
            caller.cabinet.seen.clear()
            with caller.stub.UploadAttachment.begin(breaking(), metadata=caller.metadata()) as call:
                until(lambda: len(caller.cabinet.seen) == 2)
                go.set()
                until(call.done)
            until(lambda: caller.cabinet.ended != "")
            assert caller.cabinet.ended in ("STREAM_BROKEN", "UPLOAD_BROKEN")


def test_a_stream_that_its_caller_leaves_is_cancelled(tmp_path: Path) -> None:
    go = threading.Event()

    def waiting() -> Iterator[Any]:
        yield HEADER
        go.wait(30)

    with a_cabinet(tmp_path) as caller:
        with caller.stub.UploadAttachment.begin(waiting(), metadata=caller.metadata()) as call:
            until(lambda: len(caller.cabinet.seen) == 1)
        assert call.cancelled()
        until(lambda: caller.cabinet.ended in ("STREAM_BROKEN", "UPLOAD_BROKEN"))
        go.set()


def test_a_stream_ends_with_its_time(tmp_path: Path) -> None:
    go = threading.Event()

    def slow() -> Iterator[Any]:
        yield HEADER
        go.wait(30)

    with a_cabinet(tmp_path) as caller:
        error = refused(caller.stub.UploadAttachment, slow(), timeout=0.3, metadata=caller.metadata())
        assert error.code == "DEADLINE_EXCEEDED"
        until(lambda: caller.cabinet.ended in ("STREAM_BROKEN", "UPLOAD_BROKEN", "DEADLINE_EXCEEDED"))
        go.set()


def test_no_stream_is_begun_while_a_transaction_is_open(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'own.db'}")
    with a_cabinet(tmp_path) as caller, db.transaction():
        with pytest.raises(InsideTransaction):
            caller.send(HEADER)
        with pytest.raises(InsideTransaction), caller.stub.UploadAttachment.begin(iter([HEADER])):
            pass
    db.close()


def test_a_stream_is_one_trace_from_the_caller_to_the_handler(tmp_path: Path) -> None:
    recording, exporter = silent(), InMemorySpanExporter()
    recording.add_span_processor(SimpleSpanProcessor(exporter))
    with a_cabinet(tmp_path, telemetry=recording) as caller:
        with caller.stub.UploadAttachment.begin(iter([HEADER, data(), END]), metadata=caller.metadata()) as call:
            assert call.result().size == 1000
        until(lambda: len(exporter.get_finished_spans()) == 2)
    found: Any = sorted(exporter.get_finished_spans(), key=lambda span: span.kind.name)
    client, server = found
    assert server.parent.span_id == client.context.span_id
    assert server.attributes[spans.RPC_STATUS] == "OK"
