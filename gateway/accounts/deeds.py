"""What an administrator does with accounts. Each function is one deed in an open transaction; the edge commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from gateway.accounts import passwords, service_store, session_store, store
from gateway.accounts.model import (
    Account,
    Appointment,
    State,
    appointed,
    keep_an_administrator,
    not_oneself,
)
from gateway.accounts.service_store import ServiceAccount
from gateway.lockout import Lockout
from gateway.roles import Side, sides
from services.chassis import audit, ids
from services.chassis.database import Tx
from services.chassis.refusal import IllegalMove, Invalid

ONE_TIME_LIVES = timedelta(days=7)
SECRET_DAYS = 365
OVERLAP_HOURS = 24


def create(
    tx: Tx, name: str, display_name: str, phone: str, posts: Sequence[Appointment], hashed: str
) -> Account:  # fmt: skip
    """Opens an account with a one-time password, of which the hash is given."""
    account = Account(
        id=ids.uuid7(), name=name, display_name=display_name.strip(), phone=phone.strip(), state=State.ACTIVE,
        password_hash=hashed, must_change=True, password_changed_at=tx.now, created_at=tx.now,
        appointments=appointed(posts, tx.identity.tier), usable_until=tx.now + ONE_TIME_LIVES,
    )  # fmt: skip
    store.add(tx, account)
    _record(tx, "account.created", account, appointments=_told(account.appointments))
    return account


def appoint(tx: Tx, name: str, posts: Sequence[Appointment]) -> Account:
    """Says anew which posts an officer holds."""
    account = _others(tx, name)
    before, after = account.appointments, appointed(posts, tx.identity.tier)
    if Side.ADMINISTRATOR not in sides(role for post in after for role in post.roles):
        keep_an_administrator(account, store.other_administrators(tx, account))
    account.appointments = after
    store.save_appointments(tx, account)
    _record(tx, "account.appointed", account, before=_told(before), after=_told(after))
    return account


def disable(tx: Tx, name: str, reason: str) -> Account:
    """Keeps an officer out until enabled again."""
    account = _others(tx, name)
    keep_an_administrator(account, store.other_administrators(tx, account))
    account.move(State.DISABLED)
    store.save(tx, account)
    ended = session_store.end_all(tx, account.id, "disabled")
    _record(tx, "account.disabled", account, reason=reason, sessions=ended)
    return account


def enable(tx: Tx, name: str) -> Account:
    """Lets a disabled account sign in again."""
    account = _others(tx, name)
    account.move(State.ACTIVE)
    store.save(tx, account)
    _record(tx, "account.enabled", account)
    return account


def reset(tx: Tx, name: str, hashed: str) -> Account:
    """Gives a new one-time password, of which the hash is given."""
    account = _others(tx, name)
    store.remember_password(tx, account)
    account.password_hash, account.must_change = hashed, True
    account.password_changed_at, account.usable_until = tx.now, tx.now + ONE_TIME_LIVES
    store.save(tx, account)
    ended = session_store.end_all(tx, account.id, "password_reset")
    _record(tx, "account.password_reset", account, sessions=ended)
    return account


def unlock(tx: Tx, name: str, lockout: Lockout) -> Account:
    """Ends a lock-out before its time."""
    account = _others(tx, name)
    _record(tx, "account.unlocked", account, was_locked=lockout.unlock(tx, name))
    return account


def change_password(tx: Tx, name: str, hashed: str, keep_session: str) -> Account:
    """An officer chooses a password; every other session of the account ends."""
    account = store.get(tx, name)
    store.remember_password(tx, account)
    account.password_hash, account.must_change, account.usable_until = hashed, False, None
    account.password_changed_at = tx.now
    store.save(tx, account)
    ended = session_store.end_all(tx, account.id, "password_changed", but=keep_session)
    _record(tx, "account.password_changed", account, sessions=ended)
    return account


def revoke(tx: Tx, name: str) -> tuple[Account, int]:
    """Signs an officer out everywhere."""
    account = store.get(tx, name)
    ended = session_store.end_all(tx, account.id, "revoked")
    _record(tx, "account.sessions_revoked", account, sessions=ended)
    return account, ended


def close(tx: Tx, name: str, reason: str) -> Account:
    """Ends an account for good. That nothing is open was looked at before."""
    account = _others(tx, name)
    keep_an_administrator(account, store.other_administrators(tx, account))
    account.move(State.CLOSED)
    account.password_hash, account.phone, account.closed_at = passwords.NOBODYS, "", tx.now
    store.save(tx, account)
    ended = session_store.end_all(tx, account.id, "closed")
    _record(tx, "account.closed", account, reason=reason, sessions=ended)
    return account


def may_be_closed(account: Account, actor: str) -> None:
    """Refuses at once what would be refused in the end, before any service is asked."""
    not_oneself(actor, account)
    account.must_be_open()


def create_program(
    tx: Tx, client_id: str, title: str, post: Appointment, secret: str, valid_days: int
) -> tuple[ServiceAccount, datetime]:  # fmt: skip
    """Opens an account for an integrator's program."""
    (given,) = appointed([post], tx.identity.tier)
    if sides(given.roles) != {Side.OPERATOR}:
        zh, en = "应用只能有业务角色。", "A program holds operator roles only."
        raise Invalid("appointment.roles", zh, en, reason="SIDES_MIXED")
    program = ServiceAccount(ids.uuid7(), client_id, title.strip(), True, given, tx.now)
    service_store.add(tx, program)
    expires = service_store.new_secret(tx, program, secret, timedelta(days=valid_days or SECRET_DAYS), timedelta())
    audit.write(
        tx, "service.created", "service", client_id, title=program.title, appointment=_told([given])[0],
        expires=expires.isoformat(),
    )  # fmt: skip
    return program, expires


def rotate_secret(
    tx: Tx, client_id: str, secret: str, overlap_hours: int, valid_days: int
) -> tuple[ServiceAccount, datetime]:  # fmt: skip
    """Gives a program a new secret; the one before goes on working for a while."""
    program = service_store.get(tx, client_id)
    if not program.enabled:
        zh, en = "该应用已停用,请先启用。", "The program is switched off; switch it on first."
        raise IllegalMove("SERVICE_OFF", zh, en, state="off")
    overlap = timedelta(hours=overlap_hours or OVERLAP_HOURS)
    expires = service_store.new_secret(tx, program, secret, timedelta(days=valid_days or SECRET_DAYS), overlap)
    audit.write(
        tx, "service.secret_rotated", "service", client_id, overlap_hours=overlap_hours or OVERLAP_HOURS,
        expires=expires.isoformat(),
    )  # fmt: skip
    return program, expires


def switch_program(tx: Tx, client_id: str, enabled: bool) -> ServiceAccount:
    """Keeps a program out, or lets it in again."""
    program = service_store.get(tx, client_id)
    if program.enabled != enabled:
        service_store.switch(tx, program, enabled)
        audit.write(tx, "service.enabled" if enabled else "service.disabled", "service", client_id)
    return program


def _others(tx: Tx, name: str) -> Account:
    """Somebody else's account, locked and not closed."""
    account = store.get(tx, name)
    not_oneself(tx.identity.account, account)
    account.must_be_open()
    return account


def _told(posts: Sequence[Appointment]) -> list[dict[str, object]]:
    return [asdict(post) for post in posts]


def _record(tx: Tx, action: str, account: Account, **details: object) -> None:
    audit.write(tx, action, "account", account.name, **details)
