"""What following a case keeps beside the petitions.

attempts        failures, filings and prints by keyed hash of their source, for limits that all replicas share
citizen_access  what opens a case beside the phone's last digits, and how many slips were printed
materials       what petitioners added by code
progress        one row per timeline line, in an order in which no commit is ever skipped
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

from services.chassis.tables import Serial
from services.chassis.types import Instant
from services.petition.adapters.tables import metadata

attempts = Table(
    "attempts", metadata,
    Column("id", String(36), primary_key=True),
    # What was tried: `track`, `proof`, `file`, `slip` or `material`.
    Column("purpose", String(12), nullable=False),
    # Keyed hash of a client address, an account or a case; never the thing itself.
    Column("key_hash", String(64), nullable=False),
    Column("at", Instant, nullable=False),
    Index("attempts_of_key", "purpose", "key_hash", "at"),
    Index("attempts_age", "at"),
)  # fmt: skip

citizen_access = Table(
    "citizen_access", metadata,
    Column("petition_id", String(36), ForeignKey("petitions.id"), primary_key=True),
    Column("pin_hash", String(64)),
    Column("prints", Integer, nullable=False),
    Column("reissued", Integer, nullable=False),
)  # fmt: skip

materials = Table(
    "materials", metadata,
    # UUIDv7: newest last.
    Column("id", String(36), primary_key=True),
    Column("petition_id", String(36), ForeignKey("petitions.id"), nullable=False),
    Column("content", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("materials_of_petition", "petition_id", "id"),
)  # fmt: skip

progress = Table(
    "progress", metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    # PostgreSQL's number of the writing transaction; 0 on SQLite, which has one writer.
    Column("xid", BigInteger, nullable=False),
    Column("petition_id", String(36), nullable=False),
    # The line of the timeline.
    Column("entry_id", String(36), nullable=False),
    Column("at", Instant, nullable=False),
    Index("progress_in_order", "xid", "id"),
    Index("progress_age", "at"),
)  # fmt: skip
