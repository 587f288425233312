"""Between the words of accounts and the contract's messages. Names and phones leave masked, but for a reveal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from gateway.accounts.model import Account, Appointment, State
from gateway.accounts.service_store import ServiceAccount
from gateway.accounts.session_store import Session
from gateway.accounts.store import Filters
from gateway.roles import ROLES, Side, permissions
from protos.accounts.v1 import accounts_pb2 as pb
from services.chassis.masking import mask_name, mask_phone
from services.chassis.refusal import Invalid


def appointments(given: Iterable[pb.Appointment]) -> tuple[Appointment, ...]:
    """Posts as the caller wrote them."""
    return tuple(appointment(one) for one in given)


def appointment(one: pb.Appointment) -> Appointment:
    """A post as the caller wrote it."""
    return Appointment(one.post, one.title, tuple(one.units), tuple(one.roles), one.scope)


def filters(request: pb.ListAccountsRequest) -> Filters:
    """What a list is narrowed to."""
    state = State(pb.AccountState.Name(request.state).removeprefix("ACCOUNT_STATE_").lower()) if request.state else None
    return Filters(state, request.role, request.unit, request.text.strip())


def account(shown: Account, must_change: bool, locked_until: datetime | None) -> pb.Account:
    """An account as an administrator sees it."""
    return pb.Account(
        account=shown.name, display_name=mask_name(shown.display_name), phone=mask_phone(shown.phone),
        state=_number(pb.AccountState, "ACCOUNT_STATE", shown.state), side=side(shown.side),
        appointments=[post(one) for one in shown.appointments], must_change_password=must_change,
        locked_until=stamp(locked_until), created_at=stamp(shown.created_at),
        password_changed_at=stamp(shown.password_changed_at), last_sign_in_at=stamp(shown.last_sign_in_at),
        closed_at=stamp(shown.closed_at),
    )  # fmt: skip


def post(one: Appointment) -> pb.Appointment:
    """A post."""
    return pb.Appointment(post=one.post, title=one.title, units=one.units, roles=one.roles, scope=one.scope)


def session(one: Session) -> pb.Session:
    """A signing-in."""
    return pb.Session(
        id=one.id, post=one.post, source=one.source, browser=one.browser, created_at=stamp(one.created_at),
        last_used_at=stamp(one.last_used_at), ends_at=stamp(one.ends_at), ended_at=stamp(one.ended_at),
        end_reason=one.end_reason,
    )  # fmt: skip


def program(one: ServiceAccount) -> pb.ServiceAccount:
    """An integrator's program."""
    return pb.ServiceAccount(
        client_id=one.client_id, title=one.title, enabled=one.enabled, appointment=post(one.appointment),
        created_at=stamp(one.created_at), expires_at=stamp(max(one.expiries, default=None)), secrets=len(one.expiries),
    )  # fmt: skip


def role(name: str) -> pb.Role:
    """A role and all that it may do."""
    return pb.Role(
        role=name, title=ROLES[name].zh, side=side(ROLES[name].side), permissions=sorted(permissions([name]))
    )


def attempt(row: Any) -> pb.LoginAttempt:
    """An attempt to sign in."""
    outcome = _number(pb.AttemptOutcome, "ATTEMPT_OUTCOME", row.outcome)
    return pb.LoginAttempt(at=stamp(row.at), account=row.account, source=row.source, outcome=outcome, kind=row.kind)


def audit_row(row: Any) -> pb.AuditRow:
    """A row of the audit."""
    return pb.AuditRow(
        number=row.id, at=stamp(row.at), actor=row.actor, on_behalf_of=row.on_behalf_of, action=row.action,
        subject_type=row.subject_type, subject_id=row.subject_id, details=row.details, trace_id=row.trace_id,
    )  # fmt: skip


def side(one: Side | None) -> Any:
    """The contract's number."""
    return _number(pb.Side, "SIDE", one) if one else 0


def stamp(at: datetime | None) -> Timestamp | None:
    """An instant; None for none."""
    if at is None:
        return None
    found = Timestamp()
    found.FromDatetime(at)
    return found


def instant(request: Any, field: str) -> datetime | None:
    """The instant in a field of a request; None when it is not given."""
    if not request.HasField(field):
        return None
    try:
        found: datetime = getattr(request, field).ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        zh, en = "时间超出范围,请更正。", "The time is out of range; correct it."
        raise Invalid(field, zh, en) from None
    return found


def _number(enum: Any, prefix: str, term: str) -> Any:
    return enum.Value(f"{prefix}_{term.upper()}")
