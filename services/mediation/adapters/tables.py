"""The mediation service's own tables; the ledgers beside them are the chassis's.

mediations   one row per request that the hall sent
parties      who is asked whether to mediate, and what they said
"""

from __future__ import annotations

from sqlalchemy import Column, Date, ForeignKey, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

from services.chassis.types import Instant

metadata = MetaData()


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _short(name: str, length: int) -> Column[str]:
    return Column(name, String(length), nullable=False)


mediations = Table(
    "mediations", metadata,
    Column("id", String(36), primary_key=True),
    Column("referral_id", String(36), nullable=False, unique=True),
    _short("petition_id", 36),
    _short("case_number", 40),
    # 1 for the case's first mediation, 2 for its second.
    Column("round", Integer, nullable=False),
    _short("division_code", 12),
    _short("state", 12),
    _short("dispute_type", 40),
    _text("subject"),
    _text("content"),
    _text("referral_reason"),
    _short("unit", 64),
    # The unit complained of: it never reads the mediation.
    _short("accused_unit", 64),
    _short("mediator", 80),
    Column("applied_at", Instant, nullable=False),
    Column("closed_at", Instant),
    Column("withdrawal_asked_at", Instant),
    Column("petition_due_on", Date),
    _short("petition_colour", 10),
    _text("reason"),
    Column("form", String(10)),
    _short("agreement_no", 60),
    _text("terms"),
    Column("perform_by", Date),
    # Who has it in hand.
    Column("officer", String(80), nullable=False, server_default=""),
    Column("owner_epoch", Integer, nullable=False),
    _short("owner_tier", 12),
    _short("origin_tier", 12),
    _short("from_tier", 12),
    _short("to_tier", 12),
    # Also what keeps the numbers of agreements apart.
    UniqueConstraint("petition_id", "round", name="mediations_of_petition"),
    # Each ends in the id, so that no page skips a row.
    Index("mediations_newest_first", "applied_at", "id"),
    Index("mediations_newest_of_state", "state", "applied_at", "id"),
    Index("mediations_of_officer", "officer", "id"),
)  # fmt: skip

parties = Table(
    "parties", metadata,
    Column("mediation_id", String(36), ForeignKey("mediations.id"), primary_key=True),
    Column("id", String(36), primary_key=True),
    Column("position", Integer, nullable=False),
    _short("side", 12),
    _text("name"),
    _text("phone"),
    _text("id_no"),
    _text("address"),
    _short("consent", 8),
)  # fmt: skip
