"""How one audit row is chained to the one before it; shared by the sealer and the check."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import Connection, Label, RowMapping, literal_column

from services.chassis.digests import canonical_json
from services.chassis.tables import audit

GENESIS = ""
_FIELDS = tuple(column.name for column in audit.columns)
# Read as text and never parsed: a time that was tampered with may be none at all.
_AT = {
    "sqlite": "audit.at",
    "postgresql": """to_char(audit.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
}


def columns(conn: Connection) -> list[Any]:
    """The columns of an audit row as they are hashed: the time as text in UTC, with microseconds."""
    at: Label[Any] = literal_column(_AT[conn.dialect.name]).label("at")
    return [at if name == "at" else audit.c[name] for name in _FIELDS]


def chained(before: str, row: RowMapping) -> str:
    """The hash that follows `before`; "" for a row that cannot have been written by us."""
    try:
        body = canonical_json({name: row[name] for name in _FIELDS})
    except (TypeError, ValueError):
        return ""
    return hashlib.sha256(before.encode() + body).hexdigest()
