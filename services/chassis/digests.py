"""Digests by which a repeated request is told from another one."""

from __future__ import annotations

import hashlib
import json


def body_digest(data: bytes) -> str:
    """SHA-256 of the bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(obj: object) -> bytes:
    """JSON in one fixed form: sorted keys, no spaces, UTF-8. NaN raises ValueError, what is no JSON TypeError."""
    return json.dumps(obj, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
