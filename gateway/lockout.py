"""Stops whoever guesses passwords: ten failures per account, a hundred per source, in fifteen minutes.

Kept in the gateway's database, so that all its processes count together. Names that are no account are counted alike,
under a keyed hash: what was typed there may have been a password.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from gateway.accounts.tables import login_locks
from services.chassis.codes import keyed_hash
from services.chassis.database import Tx
from services.chassis.refusal import Exhausted
from services.chassis.upserts import Upsert

WINDOW = timedelta(minutes=15)
LOCKED_FOR = timedelta(minutes=15)
PER_ACCOUNT = 10
PER_SOURCE = 100

_C = login_locks.c
_OPEN = Upsert(login_locks, lambda insert_: insert_.on_conflict_do_nothing())
_LOCKED = select(login_locks).where(_C.key == bindparam("of_key")).with_for_update()
_SAVE = update(login_locks).where(_C.key == bindparam("of_key"))


@dataclass
class _Lock:
    """What is known of one account or source."""

    key: str
    most: int
    failures: list[float]
    locked_until: datetime | None

    def wait(self, now: datetime) -> float:
        """Seconds until the next attempt is allowed; 0 when it is."""
        if self.locked_until is not None and self.locked_until > now:
            return (self.locked_until - now).total_seconds()
        if len(self.failures) < self.most:
            return 0.0
        # As many as are allowed are being looked at in this moment.
        return max(1.0, self.failures[0] + WINDOW.total_seconds() - now.timestamp())


class Lockout:
    """Counts attempts of one kind (`a`: accounts, `c`: integrators' programs) and of their sources."""

    def __init__(self, key: bytes, kind: str = "a") -> None:
        self._key = key
        self._kind = kind

    def begin(self, tx: Tx, name: str, source: str) -> float:
        """Counts the attempt as failed until `succeeded`, so that guesses at once count too. Seconds to wait, or 0."""
        locks = [self._open(tx, *limit) for limit in self._limits(name, source)]
        wait = max(lock.wait(tx.now) for lock in locks)
        if not wait:
            for lock in locks:
                lock.failures.append(tx.now.timestamp())
                self._save(tx, lock)
        return wait

    def failed(self, tx: Tx, name: str, source: str) -> bool:
        """It was wrong. Whether this one locks the account."""
        locks = [self._open(tx, *limit) for limit in self._limits(name, source)]
        for lock in locks:
            if len(lock.failures) >= lock.most:
                lock.failures, lock.locked_until = [], tx.now + LOCKED_FOR
                self._save(tx, lock)
        return locks[0].locked_until is not None and locks[0].locked_until > tx.now

    def succeeded(self, tx: Tx, name: str, source: str) -> None:
        """It was right: earlier mistakes of the account are forgiven, and this attempt was none of the source's."""
        account, place = (self._open(tx, *limit) for limit in self._limits(name, source))
        account.failures, place.failures = [], place.failures[:-1]
        for lock in (account, place):
            self._save(tx, lock)

    def unlock(self, tx: Tx, name: str) -> bool:
        """Ends a lock-out before its time. Whether there was one."""
        lock = self._open(tx, self._name_key(name), PER_ACCOUNT)
        was_locked = bool(lock.wait(tx.now))
        lock.failures, lock.locked_until = [], None
        self._save(tx, lock)
        return was_locked

    def locked_until(self, conn: Connection, name: str, now: datetime) -> datetime | None:
        """Until when the account is locked; None when it is not."""
        row = conn.execute(select(_C.locked_until).where(_C.key == self._name_key(name))).first()
        until: datetime | None = row.locked_until if row else None
        return until if until is not None and until > now else None

    def _name_key(self, name: str) -> str:
        return f"{self._kind}:{keyed_hash(self._key, 'login|' + name.casefold())}"

    def _limits(self, name: str, source: str) -> tuple[tuple[str, int], tuple[str, int]]:
        # Always in this order, so that no two wait for each other.
        return (self._name_key(name), PER_ACCOUNT), (f"s:{source}", PER_SOURCE)

    def _open(self, tx: Tx, key: str, most: int) -> _Lock:
        first = {"key": key, "failures": "[]", "locked_until": None, "touched_at": tx.now}
        tx.conn.execute(_OPEN.of(tx.db), first)
        row: Any = tx.conn.execute(_LOCKED, {"of_key": key}).one()
        since = (tx.now - WINDOW).timestamp()
        return _Lock(key, most, [at for at in json.loads(row.failures) if at > since], row.locked_until)

    def _save(self, tx: Tx, lock: _Lock) -> None:
        values = {"failures": json.dumps(lock.failures), "locked_until": lock.locked_until, "touched_at": tx.now}
        tx.conn.execute(_SAVE.values(**values), {"of_key": lock.key})


def locked(wait_s: float) -> Exhausted:
    """The no that whoever is locked out hears, whether the account exists or not."""
    minutes = max(1, round(wait_s / 60))
    return Exhausted(
        "LOGIN_LOCKED",
        f"登录失败次数过多,请在 {minutes} 分钟后再试,或请系统管理员解锁。",
        f"Too many failed sign-ins; try again in {minutes} minutes, or ask an administrator to unlock the account.",
        retry_after_s=str(int(wait_s) + 1),
    )
