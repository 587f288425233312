"""Refusals on the wire: there and back."""

from typing import Any

import grpc
import pytest
from google.rpc import status_pb2

from services.chassis import refusal as r
from services.chassis import statuses
from services.chassis.statuses import RichError


class Failed(grpc.RpcError):
    """A failed call, as grpc raises it, made of the status that a server sent."""

    def __init__(self, status: Any) -> None:
        self._status = status

    def code(self) -> Any:
        return self._status.code

    def details(self) -> Any:
        return self._status.details

    def trailing_metadata(self) -> Any:
        return self._status.trailing_metadata


class Plain:
    """A status that gRPC itself made."""

    def __init__(self, code: Any, details: Any = "failed to connect to ipv4:10.1.2.3:50051") -> None:
        self.code, self.details = code, details
        self.trailing_metadata: tuple[tuple[str, bytes], ...] = ()


EVERY_KIND = {
    r.Invalid("subject", "概况:必填。", "subject: required."): "INVALID_ARGUMENT",
    r.Unauthenticated("TOKEN_EXPIRED", "登录已过期。", "Expired."): "UNAUTHENTICATED",
    r.Forbidden("PERMISSION_DENIED", "没有权限。", "Not allowed.", permission="petition.read"): "PERMISSION_DENIED",
    r.NotFound("NOT_FOUND", "没有找到。", "Not found."): "NOT_FOUND",
    r.AlreadyExists("REQUEST_ID_REUSED", "请求编号已用过。", "Used before."): "ALREADY_EXISTS",
    r.IllegalMove("ILLEGAL_MOVE", "不能受理。", "Cannot.", state="a", allowed_states="b"): "FAILED_PRECONDITION",
    r.StaleEpoch("STALE_EPOCH", "已移交。", "Handed over."): "FAILED_PRECONDITION",
    r.Conflict("CONFLICT", "冲突。", "Conflict."): "ABORTED",
    r.Exhausted("EXHAUSTED", "已达上限。", "Limit."): "RESOURCE_EXHAUSTED",
    r.TooLate("DEADLINE_EXCEEDED", "超时。", "Too late."): "DEADLINE_EXCEEDED",
    r.Unavailable("DATABASE_UNAVAILABLE", "无法使用。", "Gone."): "UNAVAILABLE",
}


def sent(refusal: Any) -> Any:
    return Failed(statuses.to_status(refusal))


@pytest.mark.parametrize(("refusal", "code"), EVERY_KIND.items(), ids=lambda v: type(v).__name__)
def test_every_refusal_has_its_code_and_arrives_whole(refusal: Any, code: Any) -> None:
    rich = statuses.parse(sent(refusal))
    assert (rich.code, rich.message, rich.reason, rich.metadata) == (
        code,
        refusal.message,
        refusal.reason,
        refusal.details,
    )


@pytest.mark.parametrize("refusal", [one for one in EVERY_KIND if type(one) is not r.StaleEpoch])
def test_a_refusal_of_a_neighbour_can_be_passed_on_as_it_came(refusal: Any) -> None:
    passed = statuses.from_rpc_error(sent(refusal))
    assert type(passed) is type(refusal)
    assert (passed.reason if not isinstance(passed, r.Invalid) else "", passed.zh, passed.en, passed.details) == (
        refusal.reason if not isinstance(refusal, r.Invalid) else "",
        refusal.zh,
        refusal.en,
        refusal.details,
    )


def test_every_kind_of_refusal_stands_in_the_table() -> None:
    assert set(r.Refusal.__subclasses__()) == set(statuses.CODES)


def test_wrong_fields_arrive_with_their_paths_and_both_languages() -> None:
    first = r.Violation("representatives[0].phone", "电话:请更正。", "phone: correct it.")
    rich = statuses.parse(sent(r.Invalid.of([first, r.Violation("subject", "概况:必填。", "subject: required.")])))
    assert rich.violations == (
        ("representatives[0].phone", "电话:请更正。 phone: correct it."),
        ("subject", "概况:必填。 subject: required."),
    )


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_what_grpc_says_by_itself_is_replaced_by_a_sentence_for_people(code: Any) -> None:
    rich = statuses.parse(Failed(Plain(code)))
    assert (rich.code, rich.reason, rich.violations) == (code.name, code.name, ())
    assert "10.1.2.3" not in rich.message
    assert "。 " in rich.message


def test_a_status_of_another_make_is_not_taken_for_ours() -> None:
    plain = Plain(grpc.StatusCode.NOT_FOUND, "row 5 of table persons")
    other = status_pb2.Status(code=grpc.StatusCode.NOT_FOUND.value[0], message=plain.details)
    plain.trailing_metadata = (("grpc-status-details-bin", other.SerializeToString()),)
    assert "persons" not in statuses.parse(Failed(plain)).message


@pytest.mark.parametrize("details", [b"\xff\xff\xff", status_pb2.Status(code=5, message="other").SerializeToString()])
def test_details_that_contradict_the_status_are_left_aside(details: Any) -> None:
    plain = Plain(grpc.StatusCode.UNAVAILABLE)
    plain.trailing_metadata = (("grpc-status-details-bin", details),)
    assert statuses.parse(Failed(plain)) == RichError(
        "UNAVAILABLE", "服务暂时无法连接,请稍后重试。 The service cannot be reached; try again later.", "UNAVAILABLE"
    )


def test_an_error_that_never_was_a_call_is_told_too() -> None:
    class Bare(grpc.RpcError):
        def code(self) -> Any:
            return None

    assert statuses.parse(Bare()).code == "UNKNOWN"


def test_very_many_wrong_fields_still_fit_into_the_trailers_and_say_how_many_are_missing() -> None:
    many = [
        r.Violation(f"representatives[{i}].phone", "电话:请填写正确。" * 5, "write it right " * 5) for i in range(900)
    ]
    status = statuses.to_status(r.Invalid.of(many))
    size = len(status.details.encode()) * 3 + sum(len(value) * 4 // 3 for _, value in status.trailing_metadata)
    assert size < 8192 - 512
    violations = statuses.parse(Failed(status)).violations
    assert violations[0][0] == "representatives[0].phone"
    assert f"另有 {900 - (len(violations) - 1)} 处" in violations[-1][1]
