"""Sessions: who is signed in, in which post, until when; and what the gateway vouches for towards services.

The caller holds an access token of ten minutes and a refresh token that is used once. A token alone proves nothing
for long: whose session it is, whether it goes on and what it may do are looked up in the database, which all gateway
processes share, at most a second ago.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from gateway import cookies, roles, source
from gateway.accounts import service_store, session_store, store
from gateway.accounts.model import Account, Appointment, State, own_prefix
from gateway.accounts.session_store import Session
from gateway.accounts.signing_in import Door
from services.chassis import audit, clock, tokens
from services.chassis.codes import keyed_hash
from services.chassis.database import Database
from services.chassis.identity import Identity, system
from services.chassis.refusal import Forbidden, Unauthenticated
from services.chassis.settings import Settings

AUDIENCE = "gateway"
# How old a look at a session may be: so long an ended one goes on at other gateway processes.
LOOK_EVERY_S = 1.0
# A session's last use is written down this often.
TOUCH_EVERY = timedelta(minutes=1)
# Internal tokens are used for this part of their life, so that one still lives when the call arrives and waits.
REUSED = 0.8
CACHED = 4096
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Signer:
    """Signs with the gateway's private key; a rotated key is taken up at the next signature."""

    def __init__(self, key_file: Path) -> None:
        self._file = key_file
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] = (0, 0)
        self._key: Any = None
        self._current_key()

    def sign(self, identity: Identity, audience: str, ttl_s: int) -> str:
        """A token for one audience."""
        return tokens.sign(self._current_key(), identity, [audience], ttl_s)

    def _current_key(self) -> Any:
        with self._lock:
            found = self._file.stat() if self._file.exists() else None
            stamp = (found.st_mtime_ns, found.st_ino) if found else (0, 0)
            if self._key is None or stamp != self._stamp:
                self._key, self._stamp = tokens.load_private(self._file), stamp
            return self._key


@dataclass(frozen=True)
class Standing:
    """Whoever sends a request, as the database knows them now."""

    identity: Identity
    account: Account | None = None
    session: Session | None = None
    post: Appointment | None = None
    must_change: bool = False


@dataclass(frozen=True)
class Opened:
    """What somebody who signed in takes along."""

    session_id: str
    access_token: str
    refresh_token: str
    expires_in: int
    must_change: bool
    post: str


class Sessions:
    """Opens sessions, proves them, and vouches towards services for whoever holds one."""

    def __init__(
        self, signer: Signer, verifier: tokens.Verifier, settings: Settings, db: Database, hash_key: bytes
    ) -> None:
        self._signer = signer
        self._verifier = verifier
        self._settings = settings
        self._tier = settings.tier
        self._db = db
        self._key = hash_key
        self.door = Door(db, settings.tier, hash_key, settings.password_max_days)
        self._idle = timedelta(seconds=settings.session_idle_s)
        self._public = Identity(
            account=roles.PUBLIC, tier=self._tier, scope=own_prefix(self._tier), roles=frozenset({roles.PUBLIC})
        )
        self._lock = threading.Lock()
        self._internal: OrderedDict[tuple[Identity, str], tuple[float, str]] = OrderedDict()
        self._seen: OrderedDict[str, tuple[float, Standing]] = OrderedDict()

    # Beginning and going on

    def open(self, account: Account, post: str, place: str, *, browser: bool = False) -> Opened:
        """A session for somebody who has just proved who they are. Raises NotFound for a post that is not theirs."""
        chosen = account.post(post)
        with self._db.transaction(self.identity_of(account, chosen)) as tx:
            longest = timedelta(seconds=self._settings.session_longest_s)
            session_id = session_store.open_session(tx, account, chosen.post, place, browser, longest)
            refresh = session_store.new_refresh(tx, session_id)
            account = store.get(tx, account.name)
            account.last_sign_in_at = tx.now
            store.save(tx, account)
            audit.write(tx, "session.opened", "account", account.name, source=place, post=chosen.post, browser=browser)
            must_change = self.door.must_change(account, tx.now)
        return self._opened(account.name, session_id, refresh, must_change, chosen.post)

    def refresh(self, token: str, place: str) -> Opened:
        """Goes on with a session. A refresh token that was used before ends it: one of the two users stole it."""
        refusal, opened = None, None
        with self._db.transaction(system("gateway", self._tier)) as tx:
            found = session_store.of_refresh(tx, token)
            if found is None:
                refusal = _refresh_invalid()
            elif found[1]:
                session_id = found[0].id
                name = session_store.account_name(tx.conn, found[0])
                session_store.end(tx, session_id, "token_reused")
                audit.write(tx, "session.token_reused", "account", name, session=session_id, source=place)
                self._forget(session_id)
                refusal = _refresh_invalid()
            else:
                account = store.read(tx.conn, session_store.account_name(tx.conn, found[0]))
                if not found[0].lives(tx.now, self._idle) or account.state is not State.ACTIVE:
                    refusal = _ended()
                else:
                    session_store.use_refresh(tx, token, found[0].id)
                    fresh = session_store.new_refresh(tx, found[0].id)
                    must_change = self.door.must_change(account, tx.now)
                    opened = self._opened(account.name, found[0].id, fresh, must_change, found[0].post)
        if opened is None:
            raise refusal or _ended()
        return opened

    def switch_post(self, standing: Standing, post: str) -> Standing:
        """From now on the session acts in another post of the same account."""
        account, session = of_person(standing)
        chosen = account.post(post)
        with self._db.transaction(standing.identity) as tx:
            session_store.set_post(tx, session.id, chosen.post)
            audit.write(tx, "session.post_switched", "account", account.name, before=session.post, post=chosen.post)
        self._forget(session.id)
        return self._look_up(session.id)

    def end(self, standing: Standing, *, everywhere: bool = False) -> int:
        """Signs out, here or everywhere. The number of sessions that ended."""
        account, session = of_person(standing)
        with self._db.transaction(standing.identity) as tx:
            if everywhere:
                ended = session_store.end_all(tx, account.id, "signed_out")
            else:
                ended = session_store.end(tx, session.id, "signed_out")
            audit.write(tx, "session.closed", "account", account.name, sessions=ended, everywhere=everywhere)
        self.forget_all()
        return ended

    # Proving

    def caller(self, environ: Mapping[str, Any], *, open_to_all: bool) -> Identity:
        """Who sends this request; a citizen who did not sign in where the contract is open. Raises Unauthenticated."""
        if open_to_all and not environ.get("HTTP_AUTHORIZATION") and not cookies.access(environ):
            return self._public
        return self.identify(environ)

    def identify(self, environ: Mapping[str, Any]) -> Identity:
        """Who sends this request. Raises Unauthenticated, and Forbidden until a one-time password is changed."""
        standing = self.standing(environ)
        if standing.must_change:
            raise Forbidden(
                "PASSWORD_CHANGE_REQUIRED",
                "请先修改密码:POST /v1/session:changePassword。",
                "Change the password first: POST /v1/session:changePassword.",
            )
        return standing.identity

    def standing(self, environ: Mapping[str, Any]) -> Standing:
        """Who sends this request, also before the password is changed. Raises Unauthenticated."""
        token, in_cookie = _token(environ)
        proved = self._verifier.verify(token, AUDIENCE)
        if proved.account.startswith(service_store.PREFIX):
            return self._look_up(proved.account)
        if not proved.session:
            raise _ended()
        standing = self._look_up(proved.session)
        if standing.identity.account != proved.account:
            raise _ended()
        if in_cookie and environ["REQUEST_METHOD"] not in SAFE_METHODS:
            cookies.check_csrf(environ, self.csrf_token(proved.session), self._settings)
        return standing

    def check_refresh_csrf(self, environ: Mapping[str, Any], token: str) -> None:
        """A browser that goes on with its session sends the same token as with any change. Raises Forbidden."""
        with self._db.transaction(system("gateway", self._tier)) as tx:
            found = session_store.of_refresh(tx, token)
        if found is None:
            raise _refresh_invalid()
        cookies.check_csrf(environ, self.csrf_token(found[0].id), self._settings)

    def csrf_token(self, session_id: str) -> str:
        """What a browser must send beside the cookie: other sites can make it send the cookie, but not this."""
        return keyed_hash(self._key, f"csrf|{session_id}")

    # Vouching

    def internal_token(self, identity: Identity, service: str) -> str:
        """The short token by which a service knows the caller; signed once for many calls, not once a call."""
        identity = replace(identity, session="")
        key, now = (identity, service), time.monotonic()
        with self._lock:
            kept = self._internal.get(key)
        if kept and kept[0] > now:
            return kept[1]
        lives = self._settings.internal_token_s
        token = self._signer.sign(self.vouched(identity), service, lives)
        with self._lock:
            self._internal[key] = (now + lives * REUSED, token)
            self._internal.move_to_end(key)
            if len(self._internal) > CACHED:
                self._internal.popitem(last=False)
        return token

    def vouched(self, identity: Identity) -> Identity:
        """The identity with what its roles may do; those that hold permissions by name keep them."""
        if identity.account == OWN_NAME:
            return identity
        return replace(identity, permissions=roles.permissions(identity.roles))

    def token_for(self, program: service_store.ServiceAccount, audience: str) -> tuple[str, int]:
        """A program's token for one service, and how long it lives."""
        lives = self._settings.internal_token_s
        identity = self._as_program(program)
        if audience == AUDIENCE:
            identity = replace(identity, permissions=frozenset())
        return self._signer.sign(identity, audience, lives), lives

    def identity_of(self, account: Account, post: Appointment) -> Identity:
        """The account acting in one of its posts."""
        return _identity(account.name, self._tier, post)

    def forget_all(self) -> None:
        """What was changed here takes effect here at once; other processes look again within a second."""
        with self._lock:
            self._seen.clear()

    def _opened(self, name: str, session_id: str, refresh: str, must_change: bool, post: str) -> Opened:
        lives = self._settings.session_token_s
        token = self._signer.sign(Identity(name, self._tier, session=session_id), AUDIENCE, lives)
        return Opened(session_id, token, refresh, lives, must_change, post)

    def _forget(self, key: str) -> None:
        with self._lock:
            self._seen.pop(key, None)

    def _look_up(self, key: str) -> Standing:
        now = time.monotonic()
        with self._lock:
            seen = self._seen.get(key)
        if seen and now - seen[0] < LOOK_EVERY_S:
            return seen[1]
        standing = self._read(key)
        with self._lock:
            self._seen[key] = (now, standing)
            self._seen.move_to_end(key)
            if len(self._seen) > CACHED:
                self._seen.popitem(last=False)
        return standing

    def _read(self, key: str) -> Standing:
        now = clock.now()
        if key.startswith(service_store.PREFIX):
            return self._read_program(key.removeprefix(service_store.PREFIX), now)
        with self._db.reading() as conn:
            session = session_store.find(conn, key)
            account = store.read(conn, session_store.account_name(conn, session)) if session else None
        if session is None or account is None or not session.lives(now, self._idle):
            raise _ended()
        post = next((one for one in account.appointments if one.post == session.post), None)
        if account.state is not State.ACTIVE or post is None:
            raise _ended()
        if now - session.last_used_at > min(TOUCH_EVERY, self._idle / 4):
            with self._db.transaction(system("gateway", self._tier)) as tx:
                session_store.touch(tx, session.id)
        identity = replace(_identity(account.name, self._tier, post), session=session.id)
        return Standing(identity, account, session, post, self.door.must_change(account, now))

    def _read_program(self, client_id: str, now: datetime) -> Standing:
        with self._db.reading() as conn:
            program = service_store.find(conn, client_id, now)
        if program is None or not program.enabled or not program.expiries:
            raise _ended()
        return Standing(self._as_program(program))

    def _as_program(self, program: service_store.ServiceAccount) -> Identity:
        return _identity(program.actor, self._tier, program.appointment)


OWN_NAME = "system:gateway"


def own_identity(tier: str, permissions: frozenset[str], on_behalf_of: str) -> Identity:
    """The gateway itself, doing for an administrator what the administrator may not see."""
    acting = system("gateway", tier, on_behalf_of)
    return replace(acting, scope=own_prefix(tier), permissions=permissions)


def of_person(standing: Standing) -> tuple[Account, Session]:
    """The account and session of somebody who signed in. Raises Forbidden for a program, which has neither."""
    if standing.account is None or standing.session is None:
        raise Forbidden(
            "NO_SESSION", "应用令牌没有会话,此操作只供人员使用。", "A program has no session; this is for people only."
        )
    return standing.account, standing.session


def client_address(environ: Mapping[str, Any], settings: Settings) -> str:
    """Where a request comes from, as lock-outs and audits name it."""
    return source.address(environ, settings.trusted_proxies)


def _identity(name: str, tier: str, post: Appointment) -> Identity:
    held = frozenset(post.roles)
    return Identity(
        account=name, tier=tier, scope=post.scope, units=frozenset(post.units), roles=held,
        permissions=roles.permissions(held), unit=post.units[0] if post.units else "",
    )  # fmt: skip


def _token(environ: Mapping[str, Any]) -> tuple[str, bool]:
    """The access token, and whether a cookie brought it."""
    scheme, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip(), False
    kept = "" if scheme else cookies.access(environ)
    if not kept:
        raise Unauthenticated(
            "TOKEN_MISSING",
            "请先登录:POST /v1/session,并在请求头 Authorization 中带上令牌。",
            "Sign in first: POST /v1/session, then send the token in the header Authorization: Bearer ….",
        )
    return kept, True


def _ended() -> Unauthenticated:
    return Unauthenticated("SESSION_ENDED", "会话已结束,请重新登录。", "The session has ended; sign in again.")


def _refresh_invalid() -> Unauthenticated:
    return Unauthenticated(
        "REFRESH_INVALID", "续期令牌无效,请重新登录。", "The refresh token is not valid; sign in again."
    )
