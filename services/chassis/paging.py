"""Pages of a list: how long they are, and the opaque token that says where the next one begins."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json

from services.chassis.refusal import Invalid

DEFAULT_SIZE = 50
LARGEST_SIZE = 200
VERSION = 1
LONGEST_TOKEN = 4096


def page_size(requested: int) -> int:
    """How many rows a page has: 50 when none is asked for, at most 200. A negative number raises Invalid."""
    if requested < 0:
        raise Invalid("page_size", "每页条数不能为负数。", "page_size must not be negative; 0 means 50, at most 200.")
    return min(requested or DEFAULT_SIZE, LARGEST_SIZE)


def encode_token(position: tuple[str, ...], filters: str) -> str:
    """The token after this position of a list with these filters. It is no secret; put no personal data into it."""
    content = {"v": VERSION, "f": _digest(filters), "p": position}
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode_token(token: str, filters: str) -> tuple[str, ...] | None:
    """The position to go on from; None for the first page. A damaged token or one of another list raises Invalid."""
    if not token:
        return None
    content = _content(token)
    position = content.get("p")
    if content.get("v") != VERSION or not isinstance(position, list) or not all(isinstance(p, str) for p in position):
        raise _damaged()
    if content.get("f") != _digest(filters):
        raise Invalid(
            "page_token",
            "翻页标记与当前筛选条件不符,请从第一页重新查询。",
            "The page token belongs to other filters; start again without page_token.",
        )
    return tuple(position)


def _content(token: str) -> dict[str, object]:
    if len(token) > LONGEST_TOKEN:
        raise _damaged()
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        content = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as wrong:
        raise _damaged() from wrong
    if not isinstance(content, dict):
        raise _damaged()
    return content


def _digest(filters: str) -> str:
    return hashlib.sha256(filters.encode()).hexdigest()[:12]


def _damaged() -> Invalid:
    return Invalid(
        "page_token",
        "翻页标记无效,请从第一页重新查询。",
        "The page token is damaged; start again without page_token.",
    )
