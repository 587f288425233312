"""Changing the signing key without one refused call: publish, wait, sign, wait, retire.

    publish   the new public half joins the set; nobody signs with it yet
    (wait)    until every verifier has read the set; they look every second
    sign      the gateway signs with the new key; the former one goes on verifying
    (wait)    until the last token that the former key signed has expired
    retire    the former key leaves the set

Each step may be repeated, and leaves what it finds done already as it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from joserfc.jwk import OKPKey

from services.chassis import clock, ids, private_files
from services.chassis.refusal import IllegalMove
from services.chassis.tokens import ALGORITHM, LEEWAY_S, KeysBroken, load_private, load_public, public_jwks

NEXT_FILE = "token-next.jwk"
# In the public set, beside a key that has ceased to sign: when that was (Unix seconds).
STOPPED = "zongzhi_stopped_at"
# What clocks and files on other machines may be late by.
SLACK_S = 5
WAIT_S = 5.0

Say = Callable[[str, str], None]


@dataclass(frozen=True)
class KeyFiles:
    """Where the keys of an installation lie."""

    public: Path
    private: Path

    @property
    def next(self) -> Path:
        """The private half of a key that is published and does not sign yet."""
        return self.private.with_name(NEXT_FILE)


@dataclass(frozen=True)
class KeyState:
    """A key, what it does (`signing`, `published` or `old`), and until when an old one is needed."""

    kid: str
    state: str
    until: datetime | None = None


def listed(files: KeyFiles, lives_s: int) -> list[KeyState]:
    """Every key of the set, oldest first. Raises KeysBroken."""
    signing = str(load_private(files.private).kid)
    coming = str(load_private(files.next).kid) if files.next.exists() else ""
    states = {signing: "signing", coming: "published"}
    return [
        KeyState(kid, states[kid]) if kid in states else KeyState(kid, "old", _until(jwk, lives_s))
        for jwk in _set(files)
        for kid in [str(jwk["kid"])]
    ]


def publish(files: KeyFiles) -> str:
    """Makes the next key and publishes its public half. Returns its id; that of one published before, if it waits."""
    with private_files.alone(files.private.parent):
        if files.next.exists():
            key = load_private(files.next)
            if key.kid not in load_public(files.public):
                _write(files, [*_set(files), key.as_dict(private=False)])
            return str(key.kid)
        key = OKPKey.generate_key("Ed25519", {"kid": ids.uuid7(), "use": "sig", "alg": ALGORITHM}, private=True)
        # The private half first: whatever ends us here, the next try goes on with the same key.
        private_files.write_json(files.next, key.as_dict(private=True))
        _write(files, [*_set(files), key.as_dict(private=False)])
    return str(key.kid)


def sign(files: KeyFiles) -> str:
    """The published key signs from now on. Returns its id. Raises IllegalMove when none is published."""
    with private_files.alone(files.private.parent):
        if not files.next.exists():
            raise IllegalMove(
                "NO_KEY_PUBLISHED",
                "还没有发布新密钥,请先运行 zongzhi keys publish。",
                "No new key is published yet; run zongzhi keys publish first.",
            )
        key, former = load_private(files.next), load_private(files.private)
        if key.kid not in load_public(files.public):
            raise KeysBroken(files.public, "缺少新密钥的公钥,请先重新发布", "lacks the new key; publish it again first")
        now = int(clock.now().timestamp())
        # Marked first: ended between the two, the next try marks it again, and nobody takes it for never used.
        _write(files, [jwk | {STOPPED: now} if jwk["kid"] == former.kid else jwk for jwk in _set(files)])
        os.replace(files.next, files.private)
    return str(key.kid)


def retire(files: KeyFiles, lives_s: int) -> tuple[list[str], list[KeyState]]:
    """Takes old keys out of the set whose last token has expired: those, and the ones that are needed still."""
    with private_files.alone(files.private.parent):
        old = [key for key in listed(files, lives_s) if key.state == "old"]
        now = clock.now()
        over = [key.kid for key in old if key.until is None or key.until <= now]
        if over:
            _write(files, [jwk for jwk in _set(files) if jwk["kid"] not in over])
    return over, [key for key in old if key.kid not in over]


def rotate(files: KeyFiles, lives_s: int, say: Say, wait_s: float = WAIT_S, *, leave_old: bool = False) -> str:
    """All steps, with their waits. Interrupted, it is run again. Returns the id of the key that signs now."""
    kid = publish(files)
    say("published", kid)
    time.sleep(wait_s)
    sign(files)
    say("signing", kid)
    while not leave_old:
        retired, waiting = retire(files, lives_s)
        for former in retired:
            say("retired", former)
        if not waiting:
            break
        time.sleep(1.0)
    return kid


def _set(files: KeyFiles) -> list[dict[str, Any]]:
    return [dict(jwk) for jwk in public_jwks(files.public)]


def _write(files: KeyFiles, keys: list[dict[str, Any]]) -> None:
    private_files.write_json(files.public, {"keys": keys})


def _until(jwk: dict[str, Any], lives_s: int) -> datetime | None:
    """When the last token of an old key has expired; None when nobody knows that it ever signed."""
    stopped = jwk.get(STOPPED)
    if not isinstance(stopped, int):
        return None
    return datetime.fromtimestamp(stopped + lives_s + LEEWAY_S + SLACK_S, UTC)
