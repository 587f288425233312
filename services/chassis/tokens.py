"""Tokens that say who is asking: signed by the gateway with Ed25519 (RFC 8037, RFC 9864), verified by every service.

The private key lies only where the gateway runs. Services read the public set (JWKS) from a file and read it again
when it changes, so that a key is rotated without a restart. A token names its tier and the services it is for.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from services.chassis import clock, ids, private_files
from services.chassis.identity import Identity
from services.chassis.refusal import Unauthenticated

log = logging.getLogger(__name__)

ALGORITHM = "Ed25519"
TTL_S = 300
LEEWAY_S = 10
# Looking at the file costs a system call; a rotated key announces itself by an unknown kid anyway.
LOOK_EVERY_S = 1.0
CACHED_TOKENS = 2048
LONGEST_TOKEN = 8192
PUBLIC_FILE = "tokens.jwks"
PRIVATE_FILE = "token-private.jwk"
# After a rotation the key before still verifies tokens that are under way.
KEPT_KEYS = 2


class KeysBroken(Exception):
    """A key file is missing or holds something else; the message is one sentence that names the file."""

    def __init__(self, path: Path, zh: str, en: str) -> None:
        super().__init__(f"密钥文件 {path} {zh}。 The key file {path} {en}.")


@dataclass(frozen=True)
class _Proved:
    """What a token says, once its signature is verified."""

    identity: Identity
    audience: frozenset[str]
    expires: float


def sign(
    private_jwk: OKPKey | Mapping[str, Any], identity: Identity, audience: Sequence[str], ttl_s: int = TTL_S
) -> str:
    """A token that vouches for `identity` towards the services in `audience` for `ttl_s` seconds."""
    key = private_jwk if isinstance(private_jwk, OKPKey) else OKPKey.import_key(dict(private_jwk))
    issued = int(clock.now().timestamp())
    claims = {
        "iss": identity.tier,
        "sub": identity.account,
        "aud": list(audience),
        "iat": issued,
        "exp": issued + ttl_s,
        "jti": ids.uuid7(),
        "units": sorted(identity.units, key=lambda unit: (unit != identity.unit, unit)),
        "roles": sorted(identity.roles),
        "scope": identity.scope,
        "perms": sorted(identity.permissions),
        "obo": identity.on_behalf_of,
        **({"sid": identity.session} if identity.session else {}),
    }
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, claims, key, algorithms=[ALGORITHM])


class Verifier:
    """Proves tokens of one tier. Thread-safe; a token that was proved once is looked up until it expires."""

    def __init__(self, keys_file: Path, tier: str, now: Callable[[], datetime] = clock.now) -> None:
        self._file = keys_file
        self._tier = tier
        self._now = now
        self._lock = threading.Lock()
        self._proved: OrderedDict[str, _Proved] = OrderedDict()
        self._looked_at = time.monotonic()
        self._stamp = _stamp(keys_file)
        self._keys = load_public(keys_file)

    def verify(self, token: str, audience: str) -> Identity:
        """Who the token speaks for. Raises Unauthenticated saying why not; the token itself is never repeated."""
        self._look()
        proved = self._recall(token) or self._prove(token)
        if self._now().timestamp() >= proved.expires + LEEWAY_S:
            raise Unauthenticated("TOKEN_EXPIRED", "登录已过期,请重新登录。", "The sign-in has expired; sign in again.")
        if audience not in proved.audience:
            raise Unauthenticated(
                "TOKEN_AUDIENCE",
                "令牌不适用于该服务,请重新申请。",
                "The token is not for this service; request another.",
            )
        return proved.identity

    def _recall(self, token: str) -> _Proved | None:
        with self._lock:
            proved = self._proved.get(token)
            if proved is not None:
                self._proved.move_to_end(token)
            return proved

    def _prove(self, token: str) -> _Proved:
        keys = self._keys
        proved = self._read(token)
        with self._lock:
            # Keys that changed meanwhile may not vouch for this token any more.
            if keys is self._keys:
                self._proved[token] = proved
                if len(self._proved) > CACHED_TOKENS:
                    self._proved.popitem(last=False)
        return proved

    def _read(self, token: str) -> _Proved:
        if not token or len(token) > LONGEST_TOKEN:
            raise _invalid()
        try:
            signed = jws.deserialize_compact(token, self._key_of, algorithms=[ALGORITHM])
            return _proved(json.loads(signed.payload), self._tier)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            # The cause may quote the token, so it is not kept either.
            raise _invalid() from None

    def _key_of(self, signed: Any) -> OKPKey:
        kid = signed.headers().get("kid")
        if kid not in self._keys:
            self._reload_if_changed()
        return self._keys[kid]

    def _look(self) -> None:
        if time.monotonic() - self._looked_at >= LOOK_EVERY_S:
            self._reload_if_changed()

    def _reload_if_changed(self) -> None:
        with self._lock:
            self._looked_at = time.monotonic()
            stamp = _stamp(self._file)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            try:
                self._keys = load_public(self._file)
            except KeysBroken as broken:
                # Going on with the keys of a minute ago is better than signing everybody out.
                log.error("token keys cannot be read again, keeping the former ones: %s", broken)
                return
            self._proved.clear()
            log.info("token keys read again", extra={"fields": {"keys": len(self._keys)}})


def load_public(path: Path) -> dict[str, OKPKey]:
    """The public keys of a JWKS file by kid. Raises KeysBroken."""
    keys = [_key(path, jwk) for jwk in _public_jwks(path)]
    if not keys:
        raise KeysBroken(path, "没有密钥,请重新生成", "holds no key; create it again")
    return {str(key.kid): key for key in keys}


def load_private(path: Path) -> OKPKey:
    """The gateway's signing key. Raises KeysBroken."""
    key = _key(path, _json(path))
    if not key.is_private:
        raise KeysBroken(path, "不是私钥,请换成私钥文件", "is not a private key; put the private one there")
    return key


def create_keys(directory: Path) -> None:
    """Makes the signing key and its public set, readable by their owner only; what is there already stays as it is."""
    public, private = directory / PUBLIC_FILE, directory / PRIVATE_FILE
    with private_files.alone(directory):
        if not private.exists():
            _add_key(directory)
            return
        key = load_private(private)
        if not public.exists():
            private_files.write_json(public, {"keys": [key.as_dict(private=False)]})
        elif key.kid not in load_public(public):
            raise KeysBroken(
                public, f"与 {private} 不配套,请成对恢复", f"does not match {private}; restore both together"
            )


def rotate_keys(directory: Path) -> None:
    """Makes a new signing key. The public set keeps the one before, so that tokens under way stay valid."""
    with private_files.alone(directory):
        _add_key(directory)


def _add_key(directory: Path) -> None:
    public = directory / PUBLIC_FILE
    key = OKPKey.generate_key("Ed25519", {"kid": ids.uuid7(), "use": "sig", "alg": ALGORITHM}, private=True)
    former = [one.as_dict(private=False) for one in load_public(public).values()] if public.exists() else []
    # The public half first: nothing is ever signed that nobody can verify.
    private_files.write_json(public, {"keys": [*former, key.as_dict(private=False)][-KEPT_KEYS:]})
    private_files.write_json(directory / PRIVATE_FILE, key.as_dict(private=True))


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise KeysBroken(path, "不存在,请先生成密钥", "does not exist; create the keys first") from None
    except (OSError, ValueError):
        raise KeysBroken(path, "无法读取,请从备份恢复", "cannot be read; restore it from a backup") from None
    if not isinstance(content, dict):
        raise KeysBroken(path, "内容不是密钥,请从备份恢复", "holds no keys; restore it from a backup")
    return content


def _public_jwks(path: Path) -> list[Any]:
    jwks = _json(path).get("keys")
    if not isinstance(jwks, list):
        raise KeysBroken(path, "不是 JWKS,请从备份恢复", "is not a JWKS; restore it from a backup")
    return jwks


def _key(path: Path, jwk: Any) -> OKPKey:
    try:
        key = OKPKey.import_key(jwk)
        if jwk["crv"] == ALGORITHM and isinstance(jwk["kid"], str) and jwk["kid"]:
            key.check_key_op("verify")
            return key
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        pass  # said below, without quoting what may be a private key
    raise KeysBroken(
        path, "含有无效的 Ed25519 密钥,请从备份恢复", "holds a broken Ed25519 key; restore it from a backup"
    )


def _stamp(path: Path) -> tuple[int, int, int]:
    """Changes when the file is written or replaced."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _proved(claims: dict[str, Any], tier: str) -> _Proved:
    if claims["iss"] != tier:
        raise ValueError("issued by another tier")
    units = _texts(claims.get("units", []))
    identity = Identity(
        account=_text(claims["sub"]),
        tier=tier,
        scope=_text(claims.get("scope", "")),
        units=frozenset(units),
        roles=frozenset(_texts(claims.get("roles", []))),
        permissions=frozenset(_texts(claims.get("perms", []))),
        on_behalf_of=_text(claims.get("obo", "")),
        unit=units[0] if units else "",
        session=_text(claims.get("sid", "")),
    )
    if not identity.account:
        raise ValueError("speaks for nobody")
    return _Proved(identity, frozenset(_texts(claims["aud"])), _seconds(claims["exp"]))


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("a time is a number")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is expected")
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise TypeError("a list of texts is expected")
    return [_text(one) for one in value]


def _invalid() -> Unauthenticated:
    return Unauthenticated("TOKEN_INVALID", "令牌无效,请重新登录。", "The token is not valid; sign in again.")
