"""Integrators' programs and their secrets in SQL. Secrets are 256 random bits, so a plain hash keeps them safe."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from gateway.accounts.model import Appointment
from gateway.accounts.tables import service_accounts, service_secrets
from services.chassis.database import Tx
from services.chassis.refusal import AlreadyExists, NotFound

_C, _S = service_accounts.c, service_secrets.c
# The identity of a program, beside `system:` for our own services and plain names for people.
PREFIX = "service:"


@dataclass
class ServiceAccount:
    """An integrator's program, and when each of its working secrets ends."""

    id: str
    client_id: str
    title: str
    enabled: bool
    appointment: Appointment
    created_at: datetime
    expiries: list[datetime] = field(default_factory=list)

    @property
    def actor(self) -> str:
        """By what name it stands in tokens and audits."""
        return f"{PREFIX}{self.client_id}"


def find(conn: Connection, client_id: str, now: datetime, *, lock: bool = False) -> ServiceAccount | None:
    """The program of this name."""
    query = select(service_accounts).where(_C.client_id == client_id)
    rows = conn.execute(query.with_for_update() if lock else query).mappings().all()
    return next(iter(_read(conn, rows, now)), None)


def get(tx: Tx, client_id: str) -> ServiceAccount:
    """The program, locked. Raises NotFound."""
    found = find(tx.conn, client_id, tx.now, lock=True)
    if found is None:
        raise NotFound.thing("该应用", "service account", client_id)
    return found


def page(conn: Connection, after: str, limit: int, now: datetime) -> list[ServiceAccount]:
    """Programs by name."""
    query = select(service_accounts).where(_C.client_id > after).order_by(_C.client_id).limit(limit)
    return _read(conn, conn.execute(query).mappings().all(), now)


def add(tx: Tx, program: ServiceAccount) -> None:
    """Keeps a new one. Raises AlreadyExists."""
    values = {name: getattr(program, name) for name in ("id", "client_id", "title", "enabled", "created_at")}
    taken = tx.conn.execute(select(_C.id).where(_C.client_id == program.client_id)).first()
    try:
        if taken is None:
            tx.conn.execute(
                insert(service_accounts), {**values, "appointment": json.dumps(asdict(program.appointment))}
            )
            return
    except IntegrityError:
        pass  # somebody else was faster; said below
    raise AlreadyExists("CLIENT_TAKEN", "该应用标识已被使用,请换一个。", "This client id is taken; choose another.")


def switch(tx: Tx, program: ServiceAccount, enabled: bool) -> None:
    """Lets it in, or keeps it out and ends all of its secrets."""
    program.enabled = enabled
    tx.conn.execute(update(service_accounts).where(_C.id == program.id).values(enabled=enabled))
    if not enabled:
        tx.conn.execute(delete(service_secrets).where(_S.service_account_id == program.id))
        program.expiries = []


def new_secret(tx: Tx, program: ServiceAccount, secret: str, valid: timedelta, overlap: timedelta) -> datetime:
    """Adds a secret. Of those before only the newest goes on working, for `overlap` at most. Returns when it ends."""
    of_program = _S.service_account_id == program.id
    working = select(_S.hash, _S.expires_at).where(of_program).order_by(_S.created_at.desc(), _S.hash)
    for n, row in enumerate(tx.conn.execute(working).all()):
        one = _S.hash == row.hash
        if n:
            tx.conn.execute(delete(service_secrets).where(one))
        else:
            until = min(row.expires_at, tx.now + overlap)
            tx.conn.execute(update(service_secrets).where(one).values(expires_at=until))
    expires = tx.now + valid
    values = {"hash": digest(secret), "service_account_id": program.id, "created_at": tx.now, "expires_at": expires}
    tx.conn.execute(insert(service_secrets), values)
    program.expiries = _expiries(tx.conn, [program.id], tx.now).get(program.id, [])
    return expires


def by_secret(conn: Connection, client_id: str, secret: str, now: datetime) -> ServiceAccount | None:
    """The program that proves itself by this secret; None when it is wrong, expired, or the program is kept out."""
    program = find(conn, client_id, now)
    kept = conn.execute(select(_S.service_account_id, _S.expires_at).where(_S.hash == digest(secret))).first()
    if program is None or kept is None or kept.service_account_id != program.id:
        return None
    return program if program.enabled and kept.expires_at > now else None


def make_secret() -> str:
    """A new secret."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """How a secret of full randomness is kept."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _read(conn: Connection, rows: Sequence[RowMapping], now: datetime) -> list[ServiceAccount]:
    ends = _expiries(conn, [row["id"] for row in rows], now)
    return [
        ServiceAccount(**{**row, "appointment": _appointment(row["appointment"])}, expiries=ends.get(row["id"], []))
        for row in rows
    ]


def _expiries(conn: Connection, ids: Sequence[str], now: datetime) -> dict[str, list[datetime]]:
    found: dict[str, list[datetime]] = {}
    query = select(_S.service_account_id, _S.expires_at).where(_S.service_account_id.in_(ids), _S.expires_at > now)
    for row in conn.execute(query.order_by(_S.expires_at)) if ids else ():
        found.setdefault(row.service_account_id, []).append(row.expires_at)
    return found


def _appointment(text: str) -> Appointment:
    kept: dict[str, Any] = json.loads(text)
    return Appointment(**{**kept, "units": tuple(kept["units"]), "roles": tuple(kept["roles"])})
