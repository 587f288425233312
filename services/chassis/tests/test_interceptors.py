"""What every call passes on its way to a handler, seen by a caller over real gRPC."""

import contextlib
import logging
import sqlite3
import threading
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf import empty_pb2
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import exc

from protos.petition.v1 import petition_pb2 as pb
from services.chassis import clients, deadlines_of_calls, identity, interceptors, spans, statuses, tokens
from services.chassis.identity import NOBODY, Identity
from services.chassis.refusal import NotFound
from services.chassis.tests.calling import (
    OFFICER,
    TIER,
    UNDECLARED,
    a_server,
    make_keys,
    raising,
    refused,
    silent,
)

GET = "/zongzhi.petition.v1.PetitionService/GetPetition"
PERSONAL = "张三 13800000000"


# Who may call


def test_a_handler_knows_its_caller(tmp_path: Path) -> None:
    callers = []

    def deed(request: Any) -> Any:
        callers.append(identity.current())
        return pb.Petition(id=request.id)

    with a_server(tmp_path, deed) as running:
        assert running.get("p-1").id == "p-1"
    assert callers == [OFFICER]


class Context:
    """What gRPC tells of a call, as far as the steps ask."""

    def __init__(self, token: str, remaining: float) -> None:
        self.metadata = [("authorization", f"Bearer {token}")]
        self.remaining = remaining

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return self.metadata

    def time_remaining(self) -> float:
        return self.remaining

    def abort_with_status(self, status: Any) -> None:
        raise grpc.RpcError(status.code)


def context_of(key: Any, remaining: float = 3.0) -> Any:
    return Context(tokens.sign(key, OFFICER, ["petition"]), remaining)


def test_a_call_whose_caller_has_left_is_not_begun(tmp_path: Path) -> None:
    key, verifier = make_keys(tmp_path)
    begun = []
    call = interceptors._Call(
        interceptors.Pipeline("petition", verifier), GET, lambda request, _: begun.append(request)
    )
    with pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
        call(pb.GetPetitionRequest(id="p"), context_of(key, remaining=-0.1))
    assert begun == []


@pytest.mark.parametrize("fails", [False, True])
def test_caller_and_deadline_are_forgotten_after_the_call(tmp_path: Path, fails: Any) -> None:
    key, verifier = make_keys(tmp_path)
    known = []

    def behaviour(request: Any, context: Any) -> Any:
        known.append((identity.current(), deadlines_of_calls.remaining() is not None))
        return 1 / (not fails)

    call = interceptors._Call(interceptors.Pipeline("petition", verifier), GET, behaviour)
    with contextlib.suppress(grpc.RpcError):
        call(pb.GetPetitionRequest(id="p"), context_of(key))
    assert known == [(OFFICER, True)]
    assert (identity.current(), deadlines_of_calls.remaining()) == (NOBODY, None)


def test_without_a_token_nothing_is_answered(tmp_path: Path) -> None:
    with a_server(tmp_path) as running:
        error = refused(running.stub.GetPetition, pb.GetPetitionRequest(id="p-1"))
        assert (error.code, error.reason) == ("UNAUTHENTICATED", "TOKEN_MISSING")
        assert running.desk.seen == []


def test_a_token_for_another_service_is_refused(tmp_path: Path) -> None:
    with a_server(tmp_path) as running:
        token = running.token(audience="mediation")
        error = refused(clients.call, running.stub.GetPetition, pb.GetPetitionRequest(id="p-1"), token=token)
        assert (error.code, error.reason) == ("UNAUTHENTICATED", "TOKEN_AUDIENCE")


def test_permission_is_denied_before_anybody_learns_whether_the_thing_exists(tmp_path: Path) -> None:
    nobody_special = Identity(account="clerk", tier=TIER, permissions=frozenset({"petition.register"}))
    with a_server(tmp_path, raising(NotFound.thing("信访件", "petition", "p-1"))) as running:
        token = running.token(nobody_special)
        error = refused(clients.call, running.stub.GetPetition, pb.GetPetitionRequest(id="p-1"), token=token)
        assert (error.code, error.reason) == ("PERMISSION_DENIED", "PERMISSION_DENIED")
        assert error.metadata == {"permission": "petition.read"}
        assert "查看信访事项" in error.message
        assert running.desk.seen == []


def test_permission_is_denied_before_fields_are_judged(tmp_path: Path) -> None:
    nobody_special = Identity(account="clerk", tier=TIER)
    with a_server(tmp_path) as running:
        token = running.token(nobody_special)
        error = refused(clients.call, running.stub.GetPetition, pb.GetPetitionRequest(), token=token)
        assert error.code == "PERMISSION_DENIED"


def test_an_rpc_whose_contract_names_no_permission_is_refused_to_everyone(tmp_path: Path) -> None:
    with a_server(tmp_path) as running:
        method = running.channel.unary_unary(
            UNDECLARED,
            request_serializer=empty_pb2.Empty.SerializeToString,
            response_deserializer=empty_pb2.Empty.FromString,
        )
        error = refused(clients.call, method, empty_pb2.Empty(), token=running.token())
        assert (error.code, error.reason) == ("PERMISSION_DENIED", "ACCESS_UNDECLARED")


# What is refused


def test_all_wrong_fields_come_back_at_once_with_their_paths(tmp_path: Path) -> None:
    request = pb.RegisterPetitionRequest(
        channel=pb.CHANNEL_VISIT, representatives=[pb.Person(name="某甲"), pb.Person()]
    )
    with a_server(tmp_path) as running:
        error = refused(clients.call, running.stub.RegisterPetition, request, token=running.token())
        assert (error.code, error.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")
        paths = [path for path, _ in error.violations]
        assert paths == ["request_id", "division_code", "representatives[1].name", "subject", "content"]
        assert running.desk.seen == []


def test_bytes_that_are_no_message_are_the_callers_mistake(tmp_path: Path) -> None:
    with a_server(tmp_path) as running:
        method = running.channel.unary_unary("/zongzhi.petition.v1.PetitionService/GetPetition")
        error = refused(clients.call, method, b"\x0a\x02\xff\xfe", token=running.token())
        assert error.code == "INVALID_ARGUMENT"
        assert "解析" in error.message


def test_an_rpc_that_is_not_there_is_called_unimplemented(tmp_path: Path) -> None:
    with a_server(tmp_path) as running:
        method = running.channel.unary_unary("/zongzhi.petition.v1.PetitionService/Nothing")
        assert refused(clients.call, method, b"", token=running.token()).code == "UNIMPLEMENTED"


def test_a_refusal_reaches_the_caller_with_reason_sentence_and_details(tmp_path: Path) -> None:
    with a_server(tmp_path, raising(NotFound.thing("信访件", "petition", "p-9"))) as running:
        assert refused(running.get, "p-9") == statuses.RichError(
            code="NOT_FOUND",
            message="没有找到信访件,或您无权查看。 No such petition, or not yours to see.",
            reason="NOT_FOUND",
            metadata={"id": "p-9"},
        )


# What goes wrong


def test_a_defect_shows_the_caller_an_id_and_nothing_of_the_exception(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with a_server(tmp_path, raising(ZeroDivisionError(PERSONAL)), telemetry=silent()) as running:
        error = refused(running.get)
        assert (error.code, error.reason) == ("INTERNAL", "INTERNAL")
        assert PERSONAL not in repr(error)
        assert "ZeroDivision" not in repr(error)
        assert len(error.metadata["error_id"]) == 32
        assert error.metadata["error_id"] in error.message


def test_a_defect_is_logged_with_its_type_its_place_and_the_id_that_the_caller_was_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), a_server(tmp_path, raising(ZeroDivisionError(PERSONAL))) as running:
        error = refused(running.get)
    record: Any
    (record,) = [one for one in caplog.records if one.name == "services.chassis.interceptors"]
    assert record.fields["error_id"] == error.metadata["error_id"]
    assert record.fields["error"] == "ZeroDivisionError"
    assert record.fields["method"] == "zongzhi.petition.v1.PetitionService/GetPetition"
    assert record.exc_info[0] is ZeroDivisionError
    assert PERSONAL not in record.getMessage()


def sqlite_error(kind: Any, statement: Any) -> Any:
    with sqlite3.connect(":memory:") as connection:
        try:
            connection.execute(statement)
        except sqlite3.Error as error:
            return kind("SELECT", {}, error)
    raise AssertionError("the statement was right")


class Busy(sqlite3.OperationalError):
    sqlite_errorcode = sqlite3.SQLITE_BUSY


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (exc.OperationalError("SELECT", {}, psycopg.OperationalError(PERSONAL)), "UNAVAILABLE"),
        (exc.OperationalError("SELECT", {}, psycopg.errors.AdminShutdown(PERSONAL)), "UNAVAILABLE"),
        (exc.OperationalError("SELECT", {}, Busy(PERSONAL)), "UNAVAILABLE"),
        (exc.InterfaceError("SELECT", {}, psycopg.InterfaceError(PERSONAL)), "UNAVAILABLE"),
        (exc.TimeoutError(PERSONAL), "UNAVAILABLE"),
        (exc.OperationalError("SELECT", {}, psycopg.errors.QueryCanceled(PERSONAL)), "DEADLINE_EXCEEDED"),
        (exc.OperationalError("SELECT", {}, psycopg.errors.SerializationFailure(PERSONAL)), "ABORTED"),
        (exc.OperationalError("SELECT", {}, psycopg.errors.DeadlockDetected(PERSONAL)), "ABORTED"),
        (exc.IntegrityError("INSERT", {}, psycopg.errors.UniqueViolation(PERSONAL)), "INTERNAL"),
        (exc.ProgrammingError("SELECT", {}, psycopg.errors.UndefinedTable(PERSONAL)), "INTERNAL"),
        (sqlite_error(exc.OperationalError, "SELECT * FROM nothing"), "INTERNAL"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(getattr(value, "orig", None) or value).__name__,
)
def test_trouble_with_the_database_is_told_apart_from_defects(tmp_path: Path, error: Any, code: Any) -> None:
    with a_server(tmp_path, raising(error)) as running:
        told = refused(running.stub.GetPetition.__call__, pb.GetPetitionRequest(id="p"), 2, bearer(running))
        assert told.code == code
        assert PERSONAL not in repr(told)
        assert "SELECT" not in repr(told)


def bearer(running: Any) -> Any:
    return [("authorization", f"Bearer {running.token()}")]


# Deadlines


def test_a_handler_knows_how_long_its_caller_still_waits(tmp_path: Path) -> None:
    left = []

    def deed(request: Any) -> Any:
        left.append(deadlines_of_calls.remaining() or 0.0)
        return pb.Petition()

    with a_server(tmp_path, deed) as running:
        running.get(timeout=9)
    # gRPC rounds what is left up on its way.
    assert 4 < left[0] < 9.1


def test_a_call_made_for_a_caller_ends_before_the_caller_leaves(tmp_path: Path) -> None:
    left = []

    def far(request: Any) -> Any:
        left.append(deadlines_of_calls.remaining() or 0.0)
        return pb.Petition()

    with a_server(tmp_path / "far", far) as behind:

        def near(request: Any) -> Any:
            left.append(deadlines_of_calls.remaining() or 0.0)
            return behind.get()

        with a_server(tmp_path / "near", near) as front:
            front.get(timeout=9)
    assert left[1] < left[0] - deadlines_of_calls.MARGIN_S / 2


def test_a_call_that_waited_longer_than_its_caller_is_not_begun(tmp_path: Path) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def deed(request: Any) -> Any:
        entered.set()
        go_on.wait(60)
        return pb.Petition()

    with a_server(tmp_path, deed, grpc_threads=1) as running:
        first = threading.Thread(target=running.get)
        first.start()
        entered.wait(60)
        assert refused(running.get, "late", timeout=0.1).code == "DEADLINE_EXCEEDED"
        go_on.set()
        first.join(60)
        running.get("after")
        assert [request.id for request in running.desk.seen] == ["p-1", "after"]


# Traces and metrics


def traced() -> Any:
    recording, exporter = silent(), InMemorySpanExporter()
    recording.add_span_processor(SimpleSpanProcessor(exporter))
    return recording, exporter


def test_a_call_is_one_trace_from_the_caller_to_the_handler(tmp_path: Path) -> None:
    recording, exporter = traced()
    with a_server(tmp_path, telemetry=recording) as running:
        running.get()
    client, server = sorted(exporter.get_finished_spans(), key=lambda span: span.kind.name)
    assert server.parent.span_id == client.context.span_id
    assert (client.kind.name, server.kind.name) == ("CLIENT", "SERVER")
    assert server.attributes[spans.RPC_STATUS] == "OK"


def test_the_id_of_a_defect_is_its_trace(tmp_path: Path) -> None:
    recording, exporter = traced()
    with a_server(tmp_path, raising(ZeroDivisionError(PERSONAL)), telemetry=recording) as running:
        error = refused(running.get)
    server = next(span for span in exporter.get_finished_spans() if span.kind.name == "SERVER")
    assert error.metadata["error_id"] == f"{server.context.trace_id:032x}"
    assert server.attributes[spans.RPC_STATUS] == "INTERNAL"
    assert [event.attributes[spans.EXCEPTION_TYPE] for event in server.events] == ["ZeroDivisionError"]
    assert PERSONAL not in server.to_json()


def test_every_answered_call_is_measured_by_method_and_code(tmp_path: Path) -> None:
    recording = silent()
    with a_server(tmp_path, raising(NotFound.thing("信访件", "petition", "p-1")), telemetry=recording) as running:
        refused(running.get)
    counts = recording.meters.collect()["rpc.server.call.duration.count"]
    ((labels, count),) = counts.items()
    assert "rpc.response.status_code=NOT_FOUND" in labels
    assert "rpc.method=zongzhi.petition.v1.PetitionService/GetPetition" in labels
    assert count == 1
