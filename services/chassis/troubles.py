"""Exceptions that are nobody's refusal: which of them pass by themselves, and what the caller is told of the others."""

from __future__ import annotations

from typing import Any

import grpc
from sqlalchemy import exc

from services.chassis import statuses
from services.chassis.refusal import Conflict, Refusal, TooLate, Unavailable

# SQLSTATE (PostgreSQL, appendix A): serialization failure, deadlock, lock not available in time.
CONFLICTS = frozenset({"40001", "40P01", "55P03"})
# A statement was cut off by statement_timeout.
CANCELLED = "57014"
# SQLite's primary result code of a statement that is wrong in itself: a defect, not a passing trouble.
SQLITE_ERROR = 1


def refusal_of(error: Exception) -> Refusal | None:
    """The refusal that an exception amounts to when trying again may help; None when it is a defect of ours."""
    if isinstance(error, exc.DBAPIError):
        return _of_database(error)
    if isinstance(error, exc.TimeoutError):
        return _unavailable()
    if isinstance(error, grpc.RpcError):
        return _of_neighbour(error)
    return None


def internal(error_id: str) -> grpc.Status:
    """What the caller is told of a defect: an id to ask about, and nothing of the exception."""
    return statuses.rich_status(
        grpc.StatusCode.INTERNAL,
        "INTERNAL",
        f"系统内部错误,请稍后重试;如再次发生,请将编号 {error_id} 告知管理员。",
        f"Internal error; try again later, and if it happens again tell your administrator the id {error_id}.",
        {"error_id": error_id},
    )


def _of_database(error: exc.DBAPIError) -> Refusal | None:
    state = _sqlstate(error.orig)
    if state == CANCELLED:
        return TooLate(
            "DEADLINE_EXCEEDED",
            "数据库处理超时,未作任何更改,请缩小范围后重试。",
            "The database took too long; nothing was written. Narrow the request and try again.",
        )
    if state in CONFLICTS:
        return Conflict(
            "CONFLICT",
            "与他人的操作冲突,未作任何更改,请重试。",
            "Somebody else changed the same at the same time; nothing was written. Try again.",
        )
    passing = error.connection_invalidated or isinstance(error, exc.OperationalError | exc.InterfaceError)
    return _unavailable() if passing and not _is_wrong_statement(error.orig) else None


def _of_neighbour(error: grpc.RpcError) -> Refusal | None:
    """A neighbour that does not answer is not our defect; that it refused what we asked of it is."""
    code = error.code()
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return statuses.from_rpc_error(error)
    return None


def _unavailable() -> Unavailable:
    return Unavailable(
        "DATABASE_UNAVAILABLE",
        "数据库暂时无法使用,请稍后重试。",
        "The database does not answer for now; try again later.",
    )


def _sqlstate(cause: Any) -> str:
    return str(getattr(cause, "sqlstate", None) or "")


def _is_wrong_statement(cause: Any) -> bool:
    return (getattr(cause, "sqlite_errorcode", 0) or 0) & 0xFF == SQLITE_ERROR
