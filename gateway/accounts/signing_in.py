"""Proves people by password and programs by secret, and notes every attempt.

An unknown account, a wrong password and a closed account sound alike and cost alike.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from gateway.accounts import passwords, service_store, session_store, store
from gateway.accounts.model import Account, State
from gateway.accounts.service_store import ServiceAccount
from gateway.lockout import Lockout, locked
from services.chassis import audit, clock
from services.chassis.database import Database
from services.chassis.identity import Identity
from services.chassis.refusal import Refusal, Unauthenticated

LONGEST = 200


class Door:
    """Where people and programs prove who they are."""

    def __init__(self, db: Database, tier: str, key: bytes, password_max_days: int = 0) -> None:
        self._db = db
        self._tier = tier
        self._max_age = timedelta(days=password_max_days) if password_max_days else None
        self.people = Lockout(key)
        self.programs = Lockout(key, "c")

    def prove(self, name: str, password: str, source: str) -> Account:
        """Who signs in. Raises Unauthenticated, or Exhausted after too many failures."""
        name = name[:LONGEST]
        known = self._begin(self.people, name, source)
        right = passwords.matches(known.password_hash if known else passwords.decoy(), password)
        if known is None or not right:
            self._failed(self.people, known.name if known else "", name, source)
            raise wrong_login()
        refusal = self._obstacle(known)
        with self._db.transaction(self._as(known.name)) as tx:
            self.people.succeeded(tx, name, source)
            session_store.note_attempt(tx, known.name, source, "refused" if refusal else "succeeded")
            if refusal:
                audit.write(tx, "session.refused", "account", known.name, source=source, reason=refusal.reason)
        if refusal:
            raise refusal
        return known

    def prove_again(self, account: Account, password: str, source: str) -> None:
        """Whoever is signed in proves the present password once more. Counts like a sign-in."""
        known = self._begin(self.people, account.name, source)
        if known is None or not passwords.matches(known.password_hash, password):
            self._failed(self.people, account.name, account.name, source)
            raise wrong_login()
        with self._db.transaction(self._as(account.name)) as tx:
            self.people.succeeded(tx, account.name, source)

    def prove_program(self, client_id: str, secret: str, source: str) -> ServiceAccount:
        """The program that asks for a token. Raises Unauthenticated or Exhausted."""
        client_id = client_id[:LONGEST]
        self._begin(self.programs, client_id, source, "secret")
        with self._db.reading() as conn:
            found = service_store.by_secret(conn, client_id, secret, clock.now())
            known = service_store.find(conn, client_id, clock.now()) is not None
        if found is None:
            self._failed(self.programs, client_id if known else "", client_id, source, "secret")
            raise Unauthenticated(
                "CLIENT_FAILED",
                "应用标识或密钥不正确、已过期或已停用。",
                "The client id or secret is wrong, expired or switched off.",
            )
        with self._db.transaction(self._as(found.actor)) as tx:
            self.programs.succeeded(tx, client_id, source)
            session_store.note_attempt(tx, client_id, source, "succeeded", "secret")
        return found

    def must_change(self, account: Account, now: datetime) -> bool:
        """Whether a password must be chosen before anything else: a one-time one, or one past its age."""
        too_old = self._max_age is not None and now - account.password_changed_at > self._max_age
        return account.must_change or too_old

    def _begin(self, lockout: Lockout, name: str, source: str, kind: str = "password") -> Account | None:
        with self._db.transaction(self._as("")) as tx:
            known = store.find(tx.conn, name) if kind == "password" else None
            wait = lockout.begin(tx, name, source)
            if wait:
                session_store.note_attempt(tx, known.name if known else "", source, "locked", kind)
        if wait:
            raise locked(wait)
        return known

    def _failed(self, lockout: Lockout, known: str, typed: str, source: str, kind: str = "password") -> None:
        with self._db.transaction(self._as("")) as tx:
            locks = lockout.failed(tx, typed, source)
            session_store.note_attempt(tx, known, source, "failed", kind)
            audit.write(tx, "session.failed", "account", known, source=source, kind=kind)
            if locks:
                audit.write(tx, "account.locked", "account", known, source=source, kind=kind)

    def _obstacle(self, account: Account) -> Refusal | None:
        """Why somebody who knows the password does not get in all the same."""
        if account.state is State.CLOSED:
            return wrong_login()
        if account.state is State.DISABLED:
            return Unauthenticated(
                "ACCOUNT_DISABLED", "账号已停用,请联系系统管理员。", "The account is disabled; ask an administrator."
            )
        if account.usable_until is not None and account.usable_until <= clock.now():
            return Unauthenticated(
                "PASSWORD_EXPIRED",
                "一次性密码已过期,请系统管理员重置。",
                "The one-time password has expired; an administrator gives a new one.",
            )
        return None

    def _as(self, account: str) -> Identity:
        return Identity(account=account or "system:gateway", tier=self._tier)


def wrong_login() -> Unauthenticated:
    """The same words for a wrong account and a wrong password."""
    return Unauthenticated("LOGIN_FAILED", "账号或密码不正确,请重新输入。", "Account or password is wrong; try again.")
