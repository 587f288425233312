"""What citizens and screens follow a case by."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, String, Text

from services.chassis.types import Instant

revision, down_revision, branch_labels, depends_on = "0004", "0003", None, None

Serial = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Limits by source, what opens a case, further material, and the order of all that happens."""
    op.create_table(
        "attempts",
        Column("id", String(36), primary_key=True),
        Column("purpose", String(12), nullable=False),
        Column("key_hash", String(64), nullable=False),
        Column("at", Instant(), nullable=False),
    )
    op.create_index("attempts_of_key", "attempts", ["purpose", "key_hash", "at"])
    op.create_index("attempts_age", "attempts", ["at"])
    op.create_table(
        "citizen_access",
        Column("petition_id", String(36), ForeignKey("petitions.id"), primary_key=True),
        Column("pin_hash", String(64)),
        Column("prints", Integer, nullable=False),
        Column("reissued", Integer, nullable=False),
    )
    op.create_table(
        "materials",
        Column("id", String(36), primary_key=True),
        Column("petition_id", String(36), ForeignKey("petitions.id"), nullable=False),
        Column("content", Text, nullable=False),
        Column("at", Instant(), nullable=False),
    )
    op.create_index("materials_of_petition", "materials", ["petition_id", "id"])
    op.create_table(
        "progress",
        Column("id", Serial, primary_key=True, autoincrement=True),
        Column("xid", BigInteger, nullable=False),
        Column("petition_id", String(36), nullable=False),
        Column("entry_id", String(36), nullable=False),
        Column("at", Instant(), nullable=False),
    )
    op.create_index("progress_in_order", "progress", ["xid", "id"])
    op.create_index("progress_age", "progress", ["at"])


def downgrade() -> None:
    """Takes it away again."""
    for table in ("progress", "materials", "citizen_access", "attempts"):
        op.drop_table(table)
