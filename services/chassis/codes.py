"""The two codes of a case, and the keyed hashes by which private values are looked up.

The case number is readable and opens nothing. The public code opens the public page, so it is random, it is stored as a
keyed hash, and it never stands in a path, a log or a span.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from services.chassis.refusal import Invalid

ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# A restore moves to the next character. I and O are left out: on paper they are read as 1 and 0.
NODE_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
READ_AS = str.maketrans("ILO", "110")
FILLING = re.compile(r"[\s\-‐‑‒–—―−_.·]+")
CASE_NUMBER = re.compile(rf"(\d{{12}})([A-Z])(\d{{6}})([{NODE_ALPHABET}])(\d{{4}})[0-9A-Z]", re.ASCII)
LONGEST_NUMBER_OF_DAY = 9999
SHORTEST_KEY = 16
PHONE_FILLING = re.compile(r"[\s\-‐‑‒–—―−_.·()/]+")
PHONE = re.compile(r"\+?\d{3,15}(?:x\d{1,6})?", re.ASCII)
EXTENSION = re.compile(r"(?:转|分机|EXT\.?|X|#)+:?", re.IGNORECASE)
CHINA_PREFIX = re.compile(r"(?:\+|00)86(?=\d)|^86(?=1[3-9]\d{9}$)|^0(?=1[3-9]\d{9}$)", re.ASCII)
ID_18 = re.compile(r"\d{17}[\dX]", re.ASCII)
ID_15 = re.compile(r"\d{15}", re.ASCII)
OTHER_ID = re.compile(r"(?=.*\d)[A-Z][A-Z0-9]{5,17}|\d{8}", re.ASCII)
ID_WEIGHTS = tuple(2**power % 11 for power in range(17, 0, -1))
ID_CHECKS = "10X98765432"
PUBLIC_LENGTH = 12


class Chooser(Protocol):
    """Something that picks one character at random: the `secrets` module, or a seeded `random.Random` in a test."""

    def choice(self, seq: Sequence[str], /) -> str: ...


def mod37_36_check(text: str) -> str:
    """The check character of ISO/IEC 7064 MOD 37,36 for a text over 0-9A-Z; another character raises ValueError."""
    carry = 36
    for character in text:
        carry = (carry + ALPHANUMERIC.index(character)) % 36 or 36
        carry = carry * 2 % 37
    return ALPHANUMERIC[(37 - carry) % 36]


def valid_mod37_36(text: str) -> bool:
    """Whether the last character is the check character of those before it."""
    if len(text) < 2 or not set(text) <= set(ALPHANUMERIC):
        return False
    return mod37_36_check(text[:-1]) == text[-1]


@dataclass(frozen=True)
class CaseNumber:
    """A case number taken apart: where and when the case was registered, by which service, at which node."""

    division: str
    service: str
    on: date
    node: str
    sequence: int

    def __str__(self) -> str:
        return case_number(self.division, self.service, self.on, self.node, self.sequence)


def case_number(division12: str, service_letter: str, on: date, node: str, sequence: int) -> str:
    """Division code, service letter, yyMMdd, node, four digits, check character. A wrong part raises ValueError."""
    if not 0 <= sequence <= LONGEST_NUMBER_OF_DAY:
        raise ValueError(f"当日编号已用完:{sequence}。 A day has the numbers 0 to 9999, not {sequence}.")
    body = f"{division12}{service_letter}{on:%y%m%d}{node}{sequence:04d}"
    if not 2000 <= on.year <= 2099 or not CASE_NUMBER.fullmatch(body + "0"):
        raise ValueError(f"案件编号的组成部分不符合规则:{body}。 These parts make no case number: {body}.")
    return body + mod37_36_check(body)


def parse_case_number(text: str) -> CaseNumber:
    """Reads a case number as people type it: small letters, spaces, hyphens and full-width characters are allowed."""
    plain = _plain(text)
    found = CASE_NUMBER.fullmatch(plain)
    if found is None:
        raise Invalid(
            "case_number",
            "案件编号应为 25 位:12 位区划代码、1 位字母、6 位日期、1 位节点码、4 位序号、1 位校验码。",
            "A case number has 25 characters: 12 digits, a letter, 6 digits of the date, a node, 4 digits, a check.",
        )
    if not valid_mod37_36(plain):
        raise _mistyped()
    division, service, day, node, sequence = found.groups()
    try:
        on = date(2000 + int(day[:2]), int(day[2:4]), int(day[4:]))
    except ValueError as wrong:
        raise _mistyped() from wrong
    return CaseNumber(division, service, on, node, int(sequence))


def next_node(char: str) -> str:
    """The node character of the next incarnation; after the last comes the first. An unknown one raises ValueError."""
    return NODE_ALPHABET[(NODE_ALPHABET.index(char) + 1) % len(NODE_ALPHABET)]


def new_public_code(rng: Chooser = secrets) -> str:
    """Twelve random characters (60 bits) and a check character, in the form that is hashed: 13 without hyphens."""
    body = "".join(rng.choice(CROCKFORD) for _ in range(PUBLIC_LENGTH))
    return body + _public_check(body)


def display_public_code(code: str) -> str:
    """The form on the slip: XXXX-XXXX-XXXX-C."""
    return "-".join((code[:4], code[4:8], code[8:12], code[12:]))


def normalise_public_code(text: str) -> str:
    """What a person typed, as it is hashed: I and L read as 1, O as 0. Raises Invalid without repeating it."""
    plain = _plain(text).translate(READ_AS)
    if len(plain) != PUBLIC_LENGTH + 1 or not set(plain) <= set(CROCKFORD):
        raise Invalid(
            "public_code",
            "查询码应为 13 位数字和字母,请照回执单重新输入。",
            "A public code has 13 digits and letters; copy it again from the slip.",
        )
    if _public_check(plain[:-1]) != plain[-1]:
        raise Invalid(
            "public_code",
            "查询码有误,请照回执单逐位核对。",
            "The public code is mistyped; compare each character with the slip.",
        )
    return plain


def keyed_hash(key: bytes, text: str) -> str:
    """HMAC-SHA256 in hex, for looking up a value that must not be stored readably. Normalise the text first."""
    if len(key) < SHORTEST_KEY:
        raise ValueError(f"密钥至少 {SHORTEST_KEY} 字节。 The key must have at least {SHORTEST_KEY} bytes.")
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def normalise_phone(text: str) -> str:
    """A phone number in one form: digits, China's country code left out, an extension after `x`. Raises Invalid.

    Numbers of other countries keep their plus sign; a Chinese landline gets the 0 of its area code back.
    """
    plain = PHONE_FILLING.sub("", unicodedata.normalize("NFKC", text))
    plain = EXTENSION.sub("x", plain)
    short = CHINA_PREFIX.sub("", plain, count=1)
    if short != plain and not short.startswith(("0", "1", "400", "800", "95")):
        short = "0" + short
    if not PHONE.fullmatch(short):
        raise Invalid(
            "phone",
            "电话号码应为 3 至 15 位数字,可带区号和分机号。",
            "A phone number has 3 to 15 digits; an area code and an extension are allowed.",
        )
    return "+" + short[2:] if short.startswith("00") else short


def normalise_id_no(text: str) -> str:
    """An identity number in one form: 18 characters, an old one of 15 digits brought to 18. Raises Invalid.

    The check character follows GB 11643-1999. Passports and travel permits (a letter first, or 8 digits) stay.
    """
    plain = _plain(text)
    if ID_15.fullmatch(plain):
        body = f"{plain[:6]}19{plain[6:]}"
        plain = body + _id_check(body)
    if ID_18.fullmatch(plain):
        if _id_check(plain[:17]) != plain[17] or not _is_date(plain[6:14]):
            raise _wrong_id("校验不通过,请逐位核对", "its check character or date does not fit; compare each character")
    elif not OTHER_ID.fullmatch(plain):
        raise _wrong_id("应为 18 位(或旧式 15 位)", "write 18 characters, or 15 of the old kind")
    return plain


def _id_check(body: str) -> str:
    return ID_CHECKS[sum(int(digit) * weight for digit, weight in zip(body, ID_WEIGHTS, strict=True)) % 11]


def _is_date(digits: str) -> bool:
    try:
        return bool(date(int(digits[:4]), int(digits[4:6]), int(digits[6:])))
    except ValueError:
        return False


def _wrong_id(zh: str, en: str) -> Invalid:
    return Invalid("id_no", f"证件号码有误:{zh}。", f"The identity number is wrong: {en}.")


def _public_check(body: str) -> str:
    """A weighted sum over the field of 32 elements, its sign always one of the 32.

    Each place has a weight of its own (the powers of x modulo x⁵ + x² + 1), so every single wrong character and every
    exchange of two characters, neighbours or not, is found; so is a doubled character typed as another doubled one.
    ISO 7064 and Crockford's own check need signs outside the 32, which are hard to type or read back as another.
    """
    total = 0
    for character in body:
        total = _times_x(total ^ CROCKFORD.index(character))
    return CROCKFORD[total]


def _times_x(element: int) -> int:
    doubled = element << 1
    return doubled ^ 0b100101 if doubled & 0b100000 else doubled


def _plain(text: str) -> str:
    return FILLING.sub("", unicodedata.normalize("NFKC", text)).upper()


def _mistyped() -> Invalid:
    return Invalid(
        "case_number",
        "案件编号有误:校验不通过,请逐位核对。",
        "The case number is mistyped: its check character does not fit; compare each character.",
    )
