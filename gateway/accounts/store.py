"""Accounts in SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from gateway.accounts.model import Account, Appointment, State
from gateway.accounts.passwords import REMEMBERED
from gateway.accounts.tables import (
    accounts,
    appointment_roles,
    appointment_units,
    appointments,
    former_passwords,
)
from gateway.roles import ROLES, Side
from services.chassis.database import Tx
from services.chassis.refusal import AlreadyExists, NotFound

_C = accounts.c
_CHANGING = (
    "display_name", "phone", "state", "password_hash", "must_change", "password_changed_at", "usable_until",
    "last_sign_in_at", "closed_at",
)  # fmt: skip
_ADMINISTRATORS = [name for name, role in ROLES.items() if role.side is Side.ADMINISTRATOR]


@dataclass(frozen=True)
class Filters:
    """What a list of accounts is narrowed to; an empty field does not narrow."""

    state: State | None = None
    role: str = ""
    unit: str = ""
    text: str = ""


def find(conn: Connection, name: str, *, lock: bool = False) -> Account | None:
    """The account of this name, its row locked when it is to be changed."""
    query = select(accounts).where(_C.name == name)
    rows = conn.execute(query.with_for_update() if lock else query).mappings().all()
    return next(iter(_accounts(conn, rows)), None)


def get(tx: Tx, name: str) -> Account:
    """The account, locked. Raises NotFound."""
    found = find(tx.conn, name, lock=True)
    if found is None:
        raise no_account(name)
    return found


def read(conn: Connection, name: str) -> Account:
    """The account. Raises NotFound."""
    found = find(conn, name)
    if found is None:
        raise no_account(name)
    return found


def page(conn: Connection, filters: Filters, after: str, limit: int) -> list[Account]:
    """Accounts by name."""
    query = select(accounts).where(_C.name > after, *_narrowed(filters)).order_by(_C.name).limit(limit)
    return _accounts(conn, conn.execute(query).mappings().all())


def add(tx: Tx, account: Account) -> None:
    """Keeps a new account. Raises AlreadyExists when the name was ever given out."""
    values = {name: getattr(account, name) for name in ("id", "name", "created_at", *_CHANGING)}
    taken = tx.conn.execute(select(_C.id).where(_C.name == account.name)).first()
    try:
        if taken is None:
            tx.conn.execute(insert(accounts), {**values, "state": account.state.value})
            _put_appointments(tx, account)
            return
    except IntegrityError:
        pass  # somebody else was faster; said below
    raise AlreadyExists(
        "ACCOUNT_TAKEN",
        "该账号已被使用(注销的账号也不再分配),请换一个。",
        "This account name is taken, or belonged to a closed account; choose another.",
    )


def save(tx: Tx, account: Account) -> None:
    """Keeps what changed, without the posts."""
    values = {name: getattr(account, name) for name in _CHANGING}
    tx.conn.execute(update(accounts).where(_C.id == account.id).values(**{**values, "state": account.state.value}))


def save_appointments(tx: Tx, account: Account) -> None:
    """Replaces the posts by the account's present ones."""
    for table in (appointment_roles, appointment_units, appointments):
        tx.conn.execute(delete(table).where(table.c.account_id == account.id))
    _put_appointments(tx, account)


def other_administrators(tx: Tx, account: Account) -> int:
    """How many active administrators there are beside this one. Their rows are locked: two never remove each other."""
    is_administrator = exists().where(
        appointment_roles.c.account_id == _C.id, appointment_roles.c.role.in_(_ADMINISTRATORS)
    )
    active = select(_C.id).where(_C.state == State.ACTIVE.value, is_administrator).order_by(_C.id).with_for_update()
    return sum(found != account.id for found in tx.conn.scalars(active))


def former(conn: Connection, account: Account) -> list[str]:
    """Kept forms of the passwords that are not taken again: the present one and the last five."""
    query = select(former_passwords.c.password_hash).where(former_passwords.c.account_id == account.id)
    newest = query.order_by(former_passwords.c.id.desc()).limit(REMEMBERED)
    return [account.password_hash, *conn.scalars(newest)]


def remember_password(tx: Tx, account: Account) -> None:
    """Keeps the form of the present password among the former ones, before it is replaced."""
    of_account = former_passwords.c.account_id == account.id
    tx.conn.execute(insert(former_passwords), {"account_id": account.id, "password_hash": account.password_hash})
    newest = select(former_passwords.c.id).where(of_account).order_by(former_passwords.c.id.desc()).limit(REMEMBERED)
    kept = list(tx.conn.scalars(newest))
    tx.conn.execute(delete(former_passwords).where(of_account, former_passwords.c.id.not_in(kept)))


def count(conn: Connection) -> int:
    """How many accounts there are."""
    return int(conn.scalar(select(func.count()).select_from(accounts)) or 0)


def no_account(name: str) -> NotFound:
    """There is no account of this name."""
    return NotFound.thing("该账号", "account", name)


def _narrowed(filters: Filters) -> Iterable[ColumnElement[bool]]:
    if filters.state is not None:
        yield _C.state == filters.state.value
    if filters.role:
        yield exists().where(appointment_roles.c.account_id == _C.id, appointment_roles.c.role == filters.role)
    if filters.unit:
        yield exists().where(appointment_units.c.account_id == _C.id, appointment_units.c.unit == filters.unit)
    if filters.text:
        yield _C.name.contains(filters.text.lower(), autoescape=True)


def _put_appointments(tx: Tx, account: Account) -> None:
    for position, one in enumerate(account.appointments):
        key = {"account_id": account.id, "post": one.post}
        row = {**key, "position": position, "title": one.title, "scope": one.scope}
        tx.conn.execute(insert(appointments), row)
        units = [{**key, "unit": unit, "position": n} for n, unit in enumerate(one.units)]
        if units:
            tx.conn.execute(insert(appointment_units), units)
        tx.conn.execute(insert(appointment_roles), [{**key, "role": role} for role in one.roles])


def _accounts(conn: Connection, rows: Sequence[RowMapping]) -> list[Account]:
    posts = appointments_of(conn, [row["id"] for row in rows])
    return [
        Account(**{**row, "state": State(row["state"])}, appointments=tuple(posts[row["id"]])) for row in rows
    ]  # fmt: skip


def appointments_of(conn: Connection, account_ids: Sequence[str]) -> dict[str, list[Appointment]]:
    """The posts of several accounts, the first one first."""
    found: dict[str, list[Appointment]] = defaultdict(list)
    if not account_ids:
        return found
    units = _grouped(conn, appointment_units, "unit", account_ids)
    roles = _grouped(conn, appointment_roles, "role", account_ids)
    query = select(appointments).where(appointments.c.account_id.in_(account_ids)).order_by(appointments.c.position)
    for row in conn.execute(query):
        key = (row.account_id, row.post)
        given = Appointment(row.post, row.title, tuple(units[key]), tuple(roles[key]), row.scope)
        found[row.account_id].append(given)
    return found


def _grouped(conn: Connection, table: Any, column: str, ids: Sequence[str]) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    order = table.c.position if "position" in table.c else table.c[column]
    query = select(table.c.account_id, table.c.post, table.c[column]).where(table.c.account_id.in_(ids))
    for account_id, post, value in conn.execute(query.order_by(order)):
        found[account_id, post].append(value)
    return found
