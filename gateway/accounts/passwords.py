"""Passwords: how they are kept, which ones are taken, and the one-time ones that are given out."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from services.chassis.refusal import Invalid

LONGEST = 200
SHORTEST = 12
# How many former passwords are not taken again.
REMEMBERED = 5
FEWEST_DIFFERENT = 5
# No 0 O 1 l I: it is read from a screen and typed in.
_LETTERS = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
NOBODYS = "!"
# What guessers try first, without digits and signs at either end.
_COMMON = frozenset(
    "password passw0rd p@ssw0rd p@ssword admin administrator root qwerty qwertyuiop qwertyuiopasdfghjkl asdfghjkl "
    "asdfghjklzxcvbnm zxcvbnm qazwsx qazwsxedc qazwsxedcrfv letmein welcome iloveyou woaini woaini1314 woaizhongguo "
    "zhongguo zhonghua beijing guichi chizhou anhui zongzhi zongzhizhongxin xinfang xinfangju government "
    "changeme default system abcdefg abcdefgh abcdefghijkl abcabc abcd aaaa huawei test testtest secret".split()
)

# argon2id, 19 MiB, 2 passes: the OWASP cheat sheet's first choice that still suits a small machine.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Each check holds 19 MiB: many at once must not drive a small machine out of memory.
_at_once = threading.BoundedSemaphore(2)


def hashed(password: str) -> str:
    """The form in which a password is kept."""
    with _at_once:
        return _hasher.hash(password)


def matches(kept: str, password: str) -> bool:
    """Whether this is the password. A kept form that opens to nothing costs as much time as any other."""
    with _at_once:
        try:
            return _hasher.verify(kept if kept != NOBODYS else decoy(), password)
        except (VerificationError, InvalidHashError):
            return False


@cache
def decoy() -> str:
    """A hash of nobody's password: somebody who does not exist takes as long to refuse as somebody who does."""
    return _hasher.hash(secrets.token_urlsafe())


def one_time() -> str:
    """A password to hand over on paper: 95 bits in four groups."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))


def check(password: str, account: str, former: Iterable[str] = ()) -> None:
    """Raises Invalid saying which rule the new password breaks. `former` are kept forms of earlier ones."""
    if problem := _problem(password, account):
        raise Invalid("new_password", *problem, reason="PASSWORD_WEAK")
    if any(matches(one, password) for one in former):
        raise Invalid(
            "new_password",
            f"不能与当前及最近 {REMEMBERED} 次用过的密码相同,请换一个。",
            f"It must differ from the present password and the last {REMEMBERED}; choose another.",
            reason="PASSWORD_REUSED",
        )


def _problem(password: str, account: str) -> tuple[str, str] | None:
    if not SHORTEST <= len(password) <= LONGEST:
        return (
            f"新密码须为 {SHORTEST} 至 {LONGEST} 个字符。",
            f"The new password must have {SHORTEST} to {LONGEST} characters.",
        )
    lower = password.casefold()
    if account.casefold() in lower:
        return "新密码不能包含账号。", "The new password must not contain the account name."
    if len(set(lower)) < FEWEST_DIFFERENT or len(_kinds(password)) < 2 or _is_common(lower):
        return (
            "新密码过于简单:请混用字母、数字或符号,避开常见词、键盘顺序和重复字符。",
            "The new password is too simple: mix letters, digits or signs, and avoid common words, keyboard rows and "
            "repetition.",
        )
    return None


def _kinds(password: str) -> set[str]:
    return {"digit" if c.isdigit() else "letter" if c.isalpha() else "sign" for c in password}


def _is_common(lower: str) -> bool:
    core = lower.strip("0123456789!@#$%^&*()-_=+.,?~ ")
    return core in _COMMON or (core == "" and not any(not c.isdigit() for c in lower))
