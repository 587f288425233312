"""Sessions and attempts in SQL. Of a refresh token only its hash is kept; each is used once."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Table, delete, insert, select, update

from gateway.accounts.model import Account
from gateway.accounts.tables import accounts, login_attempts, login_locks, refresh_tokens, sessions
from services.chassis import ids
from services.chassis.database import Database, Tx

_C, _R = sessions.c, refresh_tokens.c
# Cybersecurity Law art. 21: network logs for at least six months.
KEEP_ATTEMPTS = timedelta(days=190)
KEEP_SESSIONS = timedelta(days=190)
KEEP_LOCKS = timedelta(days=1)
BATCH = 1000


@dataclass(frozen=True)
class Session:
    """One signing-in, until its end."""

    id: str
    account_id: str
    post: str
    source: str
    browser: bool
    created_at: datetime
    last_used_at: datetime
    ends_at: datetime
    ended_at: datetime | None
    end_reason: str

    def lives(self, now: datetime, idle: timedelta) -> bool:
        """Whether it can go on."""
        return self.ended_at is None and now < self.ends_at and now - self.last_used_at < idle


def open_session(tx: Tx, account: Account, post: str, source: str, browser: bool, longest: timedelta) -> str:
    """Begins a session and returns its id."""
    values = {
        "id": ids.uuid7(), "account_id": account.id, "post": post, "source": source[:45], "browser": browser,
        "created_at": tx.now, "last_used_at": tx.now, "ends_at": tx.now + longest, "ended_at": None, "end_reason": "",
    }  # fmt: skip
    tx.conn.execute(insert(sessions), values)
    return str(values["id"])


def new_refresh(tx: Tx, session_id: str) -> str:
    """A token by which the session goes on, once."""
    token = secrets.token_urlsafe(32)
    tx.conn.execute(insert(refresh_tokens), {"hash": _digest(token), "session_id": session_id, "used_at": None})
    return token


def find(conn: Connection, session_id: str, *, lock: bool = False) -> Session | None:
    """The session of this id."""
    query = select(sessions).where(_C.id == session_id)
    row = conn.execute(query.with_for_update() if lock else query).mappings().first()
    return Session(**row) if row else None


def account_name(conn: Connection, session: Session) -> str:
    """Whose session it is."""
    return str(conn.scalar(select(accounts.c.name).where(accounts.c.id == session.account_id)))


def of_refresh(tx: Tx, token: str) -> tuple[Session, bool] | None:
    """The session that a refresh token belongs to, locked, and whether the token was used before; None: no token."""
    kept = tx.conn.execute(select(_R.session_id, _R.used_at).where(_R.hash == _digest(token)).with_for_update()).first()
    found = find(tx.conn, kept.session_id, lock=True) if kept else None
    return (found, kept.used_at is not None) if kept and found else None


def use_refresh(tx: Tx, token: str, session_id: str) -> None:
    """It has been used; a second use means that somebody stole it."""
    tx.conn.execute(update(refresh_tokens).where(_R.hash == _digest(token)).values(used_at=tx.now))
    touch(tx, session_id)


def touch(tx: Tx, session_id: str) -> None:
    """The session was used just now."""
    tx.conn.execute(update(sessions).where(_C.id == session_id).values(last_used_at=tx.now))


def set_post(tx: Tx, session_id: str, post: str) -> None:
    """From now on it acts in another post."""
    tx.conn.execute(update(sessions).where(_C.id == session_id).values(post=post))


def end(tx: Tx, session_id: str, reason: str) -> int:
    """Ends one session; the number of sessions that ended by it."""
    return _end(tx, reason, _C.id == session_id)


def end_all(tx: Tx, account_id: str, reason: str, but: str = "") -> int:
    """Signs an account out everywhere, but for one session. The number of sessions that ended."""
    return _end(tx, reason, _C.account_id == account_id, _C.id != but)


def page(conn: Connection, account_id: str, before: str, limit: int) -> list[Session]:
    """An account's sessions, newest first."""
    query = select(sessions).where(_C.account_id == account_id).order_by(_C.id.desc()).limit(limit)
    rows = conn.execute(query.where(_C.id < before) if before else query).mappings()
    return [Session(**row) for row in rows]


def note_attempt(tx: Tx, account: str, source: str, outcome: str, kind: str = "password") -> None:
    """Keeps what came of an attempt to sign in. `account` is empty when what was typed is no account."""
    values = {"at": tx.now, "account": account, "source": source[:45], "outcome": outcome, "kind": kind}
    tx.conn.execute(insert(login_attempts), values)


def prune(db: Database, now: datetime) -> dict[str, int]:
    """Forgets what is past its time, a little at a time. Rows deleted by table."""
    return {
        "sessions": _prune(db, sessions, _C.ends_at < now - KEEP_SESSIONS),
        "login_attempts": _prune(db, login_attempts, login_attempts.c.at < now - KEEP_ATTEMPTS),
        "login_locks": _prune(db, login_locks, login_locks.c.touched_at < now - KEEP_LOCKS),
    }


def _prune(db: Database, table: Table, old: ColumnElement[bool]) -> int:
    key, total = next(iter(table.primary_key.columns)), 0
    while True:
        with db.transaction() as tx:
            chosen = select(key).where(old).limit(BATCH)
            deleted = tx.conn.execute(delete(table).where(key.in_(chosen))).rowcount
        total += deleted
        if deleted < BATCH:
            return total


def _end(tx: Tx, reason: str, *which: ColumnElement[bool]) -> int:
    living = update(sessions).where(_C.ended_at.is_(None), _C.ends_at > tx.now, *which)
    return int(tx.conn.execute(living.values(ended_at=tx.now, end_reason=reason)).rowcount)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
