"""Sessions: a token of 8 hours for the caller, and a short one for the service that answers."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway import roles
from services.chassis import tokens
from services.chassis.identity import Identity
from services.chassis.refusal import Unauthenticated

AUDIENCE = "gateway"
SESSION_S = 8 * 3600
INTERNAL_S = 300
# An internal token is used this long, so that it still lives when the call arrives and waits.
REUSED_S = INTERNAL_S - 60
CACHED = 4096


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


class Sessions:
    """Opens sessions, proves them, and vouches towards services for whoever holds one."""

    def __init__(self, signer: Signer, verifier: tokens.Verifier, tier: str) -> None:
        self._signer = signer
        self._verifier = verifier
        self._public = Identity(
            account=roles.PUBLIC, tier=tier, scope=tier.rstrip("0"), roles=frozenset({roles.PUBLIC})
        )
        self._lock = threading.Lock()
        self._internal: OrderedDict[tuple[Identity, str], tuple[float, str]] = OrderedDict()

    def open(self, identity: Identity) -> str:
        """The session token of somebody who has just proved who they are. It names roles; permissions are looked up."""
        return self._signer.sign(replace(identity, permissions=frozenset()), AUDIENCE, SESSION_S)

    def caller(self, environ: Mapping[str, Any], *, open_to_all: bool) -> Identity:
        """Who sends this request; a citizen who did not sign in where the contract is open. Raises Unauthenticated."""
        if open_to_all and not environ.get("HTTP_AUTHORIZATION"):
            return self._public
        return self.identify(environ)

    def identify(self, environ: Mapping[str, Any]) -> Identity:
        """Who sends this request. Raises Unauthenticated."""
        scheme, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated(
                "TOKEN_MISSING",
                "请先登录:POST /v1/session,并在请求头 Authorization 中带上令牌。",
                "Sign in first: POST /v1/session, then send the token in the header Authorization: Bearer ….",
            )
        return self._verifier.verify(token.strip(), AUDIENCE)

    def internal_token(self, identity: Identity, service: str) -> str:
        """The short token by which a service knows the caller; signed once in four minutes, not once a call."""
        key, now = (identity, service), time.monotonic()
        with self._lock:
            kept = self._internal.get(key)
        if kept and kept[0] > now:
            return kept[1]
        vouched = replace(identity, permissions=roles.permissions(identity.roles))
        token = self._signer.sign(vouched, service, INTERNAL_S)
        with self._lock:
            self._internal[key] = (now + REUSED_S, token)
            self._internal.move_to_end(key)
            if len(self._internal) > CACHED:
                self._internal.popitem(last=False)
        return token
