"""The accounts that may sign in: for now one, the demo account that `zongzhi setup` makes with a random password."""

from __future__ import annotations

import json
import secrets
import threading
from functools import cache
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.lockout import Lockout
from services.chassis import private_files
from services.chassis.identity import Identity
from services.chassis.refusal import Unauthenticated, Unavailable

LOGIN_FILE = "demo-login.json"
ACCOUNT_FILE = "keys/demo-account.json"
DEMO = {"account": "demo", "scope": "341702", "units": ["341702-XFJ", "341702-SFJ"], "roles": ["hall", "mediator"]}
LONGEST = 200

# argon2id, 19 MiB, 2 passes: the OWASP cheat sheet's first choice that still suits a small machine.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Each check holds 19 MiB: many at once must not drive a small machine out of memory.
_at_once = threading.BoundedSemaphore(2)


def create_demo_login(directory: Path) -> None:
    """Makes the demo account. The clear password stands in demo-login.json only; lost or deleted, a new one is made."""
    login, account = directory / LOGIN_FILE, directory / ACCOUNT_FILE
    account.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with private_files.alone(account.parent):
        if not login.exists():
            account.unlink(missing_ok=True)
            private_files.write_json(login, {"account": DEMO["account"], "password": secrets.token_urlsafe(15)})
        if not account.exists():
            password = json.loads(login.read_text())["password"]
            private_files.write_json(account, {**DEMO, "password_hash": _hasher.hash(password)})


class Accounts:
    """Proves account and password."""

    def __init__(self, directory: Path, tier: str, lockout: Lockout | None = None) -> None:
        self._file = directory / ACCOUNT_FILE
        self._tier = tier
        self._lockout = lockout or Lockout()
        self._decoy = _decoy()

    def prove(self, account: str, password: str, source: str) -> Identity:
        """Who signs in. Raises Unauthenticated for a wrong account or password alike, Exhausted after ten failures."""
        self._lockout.begin(account[:LONGEST], source)
        known = self._known()
        ours = known is not None and secrets.compare_digest(known["account"].encode(), account.encode())
        hashed = known["password_hash"] if known is not None and ours else self._decoy
        if not (_matches(hashed, password) and known is not None and ours):
            raise Unauthenticated(
                "LOGIN_FAILED", "账号或密码不正确,请重新输入。", "Account or password is wrong; try again."
            )
        self._lockout.succeeded(account[:LONGEST], source)
        return self._identity(known)

    def _identity(self, known: dict[str, Any]) -> Identity:
        units = list(known["units"])
        return Identity(
            account=known["account"],
            tier=self._tier,
            scope=known["scope"],
            units=frozenset(units),
            roles=frozenset(known["roles"]),
            unit=units[0] if units else "",
        )

    def _known(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self._file.read_text())
            missing = {*DEMO, "password_hash"} - found.keys()
        except FileNotFoundError:
            return None
        except (OSError, ValueError, AttributeError):
            missing = {"*"}
        if missing:
            raise Unavailable(
                "ACCOUNTS_UNREADABLE",
                "账号文件无法读取,请管理员删除它后运行 zongzhi setup。",
                "The account file cannot be read; the administrator deletes it and runs zongzhi setup.",
            )
        return found


@cache
def _decoy() -> str:
    """A hash of nobody's password: somebody who does not exist takes as long to refuse as somebody who does."""
    return _hasher.hash(secrets.token_urlsafe())


def _matches(hashed: str, password: str) -> bool:
    with _at_once:
        try:
            return _hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False
