"""Refusal ↔ gRPC status, in one table.

A status carries google.rpc.ErrorInfo (domain `zongzhi`, the reason, its details) and, for wrong fields,
google.rpc.BadRequest; its message is the sentence for people, Chinese first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from services.chassis import refusal as r

DOMAIN = "zongzhi"

CODES: dict[type[r.Refusal], grpc.StatusCode] = {
    r.Invalid: grpc.StatusCode.INVALID_ARGUMENT,
    r.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    r.Forbidden: grpc.StatusCode.PERMISSION_DENIED,
    r.NotFound: grpc.StatusCode.NOT_FOUND,
    r.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    r.IllegalMove: grpc.StatusCode.FAILED_PRECONDITION,
    r.StaleEpoch: grpc.StatusCode.FAILED_PRECONDITION,
    r.Conflict: grpc.StatusCode.ABORTED,
    r.Exhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    r.TooLate: grpc.StatusCode.DEADLINE_EXCEEDED,
    r.Unavailable: grpc.StatusCode.UNAVAILABLE,
}
# The first refusal of a code stands for it on the way back.
REFUSALS = {code: kind for kind, code in reversed(CODES.items()) if kind is not r.Invalid}

# A status travels in the trailers, where peers accept 8 KiB; Chinese takes 9 bytes a character in `grpc-message`.
SENTENCE_BYTES = 300
VIOLATIONS_BYTES = 3000
DETAIL_BYTES = 200

# What is said when a status came without words of ours, from gRPC itself or from a peer of another make.
SENTENCES: dict[grpc.StatusCode, tuple[str, str]] = {
    grpc.StatusCode.UNAVAILABLE: ("服务暂时无法连接,请稍后重试。", "The service cannot be reached; try again later."),
    grpc.StatusCode.DEADLINE_EXCEEDED: ("等待时间已过,请重试。", "The time to wait has passed; try again."),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (
        "请求过多或内容过大,请稍后重试或缩小内容。",
        "Too many calls at once or too large a message; try again later or send less.",
    ),
    grpc.StatusCode.UNIMPLEMENTED: ("该服务版本没有此功能。", "This release of the service has no such call."),
    grpc.StatusCode.CANCELLED: (
        "服务正在停止或请求已取消,请重试。",
        "The service is stopping or the call was cancelled; try again.",
    ),
}
UNKNOWN_SENTENCE = ("服务出错,请稍后重试。", "The service failed; try again later.")


@dataclass(frozen=True)
class RichError:
    """A failed call: name of the code, sentence for people, reason for programs, details, wrong fields."""

    code: str
    message: str
    reason: str
    metadata: dict[str, str] = field(default_factory=dict)
    # Pairs of a path and what is wrong there, Chinese first.
    violations: tuple[tuple[str, str], ...] = ()


def code_of(refusal: r.Refusal) -> grpc.StatusCode:
    """The gRPC code of a refusal; of a refusal that the table does not name, its parent's."""
    found = (CODES[kind] for kind in type(refusal).__mro__ if kind in CODES)
    return next(found, grpc.StatusCode.UNKNOWN)


def to_status(refusal: r.Refusal) -> grpc.Status:
    """The status that says this refusal to the caller."""
    violations = refusal.violations if isinstance(refusal, r.Invalid) else ()
    return rich_status(code_of(refusal), refusal.reason, refusal.zh, refusal.en, refusal.details, violations)


def rich_status(
    code: grpc.StatusCode,
    reason: str,
    zh: str,
    en: str,
    metadata: dict[str, str],
    violations: tuple[r.Violation, ...] = (),
) -> grpc.Status:
    """A status with our details, cut to what fits into the trailers of a call."""
    status = status_pb2.Status(code=code.value[0], message=f"{_cut(zh, SENTENCE_BYTES)} {_cut(en, SENTENCE_BYTES)}")
    shown = {name: _cut(str(value), DETAIL_BYTES) for name, value in metadata.items()}
    _pack(status, error_details_pb2.ErrorInfo(domain=DOMAIN, reason=reason, metadata=shown))
    if violations:
        _pack(status, _bad_request(violations))
    return cast(grpc.Status, rpc_status.to_status(status))


def parse(error: grpc.RpcError) -> RichError:
    """What a failed call said. Our own words are kept; those of gRPC, which name addresses, are replaced."""
    code = error.code() or grpc.StatusCode.UNKNOWN
    status = _status_of(error)
    rich = RichError(code.name, " ".join(SENTENCES.get(code, UNKNOWN_SENTENCE)), code.name)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details if status else ():
        _unpack(detail, info)
        _unpack(detail, bad)
    if status is None or info.domain != DOMAIN:
        return rich
    violations = tuple((one.field, one.description) for one in bad.field_violations)
    return RichError(code.name, status.message, info.reason, dict(info.metadata), violations)


def from_rpc_error(error: grpc.RpcError) -> r.Refusal:
    """The refusal that a neighbour gave, to be passed on. What it did not mean for callers becomes Unavailable."""
    rich = parse(error)
    violations = [r.Violation(path, *_languages(text)) for path, text in rich.violations]
    if rich.code == grpc.StatusCode.INVALID_ARGUMENT.name:
        return r.Invalid.of(violations or [r.Violation("", *_languages(rich.message))])
    kind = REFUSALS.get(grpc.StatusCode[rich.code], r.Unavailable)
    return kind(rich.reason, *_languages(rich.message), **rich.metadata)


def _languages(message: str) -> tuple[str, str]:
    zh, stop, en = message.partition("。 ")
    return (zh + "。", en) if stop else (message, "")


def _status_of(error: grpc.RpcError) -> status_pb2.Status | None:
    try:
        return rpc_status.from_call(error)
    except (ValueError, AttributeError, DecodeError):
        # The details contradict the status, or the error never was a call.
        return None


def _bad_request(violations: tuple[r.Violation, ...]) -> error_details_pb2.BadRequest:
    bad, room = error_details_pb2.BadRequest(), VIOLATIONS_BYTES
    for i, violation in enumerate(violations):
        room -= len(f"{violation.field}{violation.message}".encode())
        if room < 0:
            left = len(violations) - i
            bad.field_violations.add(description=f"另有 {left} 处错误未列出。 {left} more wrong fields are not listed.")
            break
        bad.field_violations.add(field=violation.field, description=violation.message)
    return bad


def _cut(text: str, most: int) -> str:
    encoded = text.encode()
    return text if len(encoded) <= most else encoded[:most].decode(errors="ignore") + "…"


def _pack(status: status_pb2.Status, detail: Message) -> None:
    packed = Packed()
    packed.Pack(detail)
    status.details.append(packed)


def _unpack(detail: Packed, into: Message) -> None:
    """Leaves `into` as it is when the detail is of another type."""
    detail.Unpack(into)
