"""Every no that HTTP callers hear, as a problem document (RFC 9457). One table turns gRPC statuses into HTTP's."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry import trace
from werkzeug import Response

from services.chassis.refusal import Invalid, Refusal, Violation
from services.chassis.statuses import RichError, code_of

CONTENT_TYPE = "application/problem+json"
# A person mends a form in rounds; more lines than this help nobody.
MOST_VIOLATIONS = 50
RETRY_AFTER_S = 5


@dataclass(frozen=True)
class Kind:
    """A kind of problem: HTTP status, and its title in Chinese and in English."""

    status: int
    zh: str
    en: str

    @property
    def title(self) -> str:
        """Chinese first."""
        return f"{self.zh} {self.en}"


# gRPC code name → what HTTP says. FAILED_PRECONDITION is 409, not 400: the request is right, the case is not there yet.
KINDS: dict[str, Kind] = {
    "OK": Kind(200, "成功", "OK"),
    "INVALID_ARGUMENT": Kind(400, "填写有误", "Something in the request is wrong"),
    "OUT_OF_RANGE": Kind(400, "超出范围", "Out of range"),
    "UNAUTHENTICATED": Kind(401, "请先登录", "Sign in first"),
    "PERMISSION_DENIED": Kind(403, "没有权限", "Not permitted"),
    "NOT_FOUND": Kind(404, "没有找到", "Not found"),
    "FAILED_PRECONDITION": Kind(409, "当前状态不允许此操作", "The present state does not allow this"),
    "ALREADY_EXISTS": Kind(409, "已经存在", "It exists already"),
    "ABORTED": Kind(409, "与他人的操作冲突", "Somebody else was faster"),
    "RESOURCE_EXHAUSTED": Kind(429, "请求过多", "Too many requests"),
    "CANCELLED": Kind(503, "请求被取消", "The call was cancelled"),
    "UNAVAILABLE": Kind(503, "服务暂不可用", "Temporarily unavailable"),
    "DEADLINE_EXCEEDED": Kind(504, "等待超时", "It took too long"),
    "UNIMPLEMENTED": Kind(501, "没有此功能", "Not part of this release"),
    "UNKNOWN": Kind(500, "系统出错", "Internal error"),
    "INTERNAL": Kind(500, "系统出错", "Internal error"),
    "DATA_LOSS": Kind(500, "系统出错", "Internal error"),
    # HTTP's own, which no gRPC code names.
    "METHOD_NOT_ALLOWED": Kind(405, "请求方法不对", "Wrong method"),
    "CONTENT_TOO_LARGE": Kind(413, "内容过大", "Too large"),
    "RANGE_NOT_SATISFIABLE": Kind(416, "所要的部分不存在", "No such part"),
    "URI_TOO_LONG": Kind(414, "网址过长", "Address too long"),
    "MISDIRECTED": Kind(421, "主机名不对", "Wrong host"),
    "HEADERS_TOO_LARGE": Kind(431, "请求头过大", "Headers too large"),
    "UNSUPPORTED_MEDIA_TYPE": Kind(415, "内容类型不对", "Wrong content type"),
}
INTERNAL_DETAIL = (
    "系统内部出错,请稍后重试;若仍出错,请把追踪编号(instance)告知管理员。",
    "An internal error; try again later, and if it persists tell your administrator the trace id (instance).",
)


class HttpRefusal(Exception):
    """A no that HTTP itself demands: wrong method, content type or size."""

    def __init__(self, code: str, zh: str, en: str, **headers: str) -> None:
        super().__init__(f"{zh} {en}")
        self.code = code
        self.headers = headers


@dataclass(frozen=True)
class Problem:
    """A problem document before it is written: the key of KINDS and what it says."""

    code: str
    detail: str
    reason: str
    violations: tuple[tuple[str, str], ...] = ()
    details: dict[str, str] = field(default_factory=dict)

    def document(self, instance: str) -> dict[str, Any]:
        """The members of RFC 9457, then ours: `reason` for programs, `violations` for wrong fields, `details`."""
        kind = KINDS.get(self.code, KINDS["UNKNOWN"])
        shown: dict[str, Any] = {
            "type": type_of(self.code),
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail,
            "instance": instance,
            "reason": self.reason,
        }
        if self.violations:
            shown["violations"] = [{"field": path, "message": said} for path, said in self.violations[:MOST_VIOLATIONS]]
        if self.details:
            shown["details"] = self.details
        return shown


def of_refusal(refusal: Refusal) -> Problem:
    """A no of the gateway itself."""
    violations = refusal.violations if isinstance(refusal, Invalid) else ()
    listed = tuple((one.field, one.message) for one in violations)
    return Problem(code_of(refusal).name, refusal.message, refusal.reason, listed, dict(refusal.details))


def of_rich_error(error: RichError) -> Problem:
    """A no of a service, already parsed from its gRPC status."""
    return Problem(error.code, error.message, error.reason, error.violations, dict(error.metadata))


def of_http(refusal: HttpRefusal) -> Problem:
    """A no of HTTP itself."""
    return Problem(refusal.code, str(refusal), refusal.code)


def internal() -> Problem:
    """What nobody foresaw: the trace id, and nothing of the cause."""
    return Problem("INTERNAL", " ".join(INTERNAL_DETAIL), "INTERNAL")


def answer(problem: Problem, **headers: str) -> Response:
    """The HTTP response that says it."""
    document = problem.document(trace_id())
    response = Response(json.dumps(document, ensure_ascii=False), document["status"], content_type=CONTENT_TYPE)
    if document["status"] == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="zongzhi"'
    if document["status"] in (429, 503):
        response.headers["Retry-After"] = problem.details.get("retry_after_s", str(RETRY_AFTER_S))
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response


def type_of(code: str) -> str:
    """The address that explains this kind of problem: its place on the documentation page."""
    return f"/docs#problem-{(code if code in KINDS else 'UNKNOWN').lower().replace('_', '-')}"


def trace_id() -> str:
    """The trace id of the running request, 32 hexadecimal digits; zeros outside of one."""
    return trace.format_trace_id(trace.get_current_span().get_span_context().trace_id)


def grpc_codes_without_kind() -> list[str]:
    """gRPC codes that the table forgets; none, or a caller would get a wrong status."""
    return [code.name for code in grpc.StatusCode if code.name not in KINDS]


def invalid(violations: list[Violation]) -> Invalid:
    """All wrong fields at once."""
    return Invalid.of(violations[:MOST_VIOLATIONS])
