"""The first release: mediations and the parties who are asked."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import Column, Date, ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.types import TypeEngine

from services.chassis import migrations_v1
from services.chassis.types import Instant

revision, down_revision, branch_labels, depends_on = "0001", None, None, None


def upgrade() -> None:
    """Makes the chassis tables and mediation's own."""
    migrations_v1.create(op)
    _mediations()
    _parties()


def downgrade() -> None:
    """Takes everything away again."""
    for table in ("parties", "mediations"):
        op.drop_table(table)
    migrations_v1.drop(op)


def _must(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]]) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _mediations() -> None:
    op.create_table(
        "mediations",
        Column("id", String(36), primary_key=True),
        Column("referral_id", String(36), nullable=False, unique=True),
        _must("petition_id", String(36)),
        _must("case_number", String(40)),
        _must("round", Integer),
        _must("division_code", String(12)),
        _must("state", String(12)),
        _must("dispute_type", String(40)),
        _must("subject", Text),
        _must("content", Text),
        _must("referral_reason", Text),
        _must("unit", String(64)),
        _must("accused_unit", String(64)),
        _must("mediator", String(80)),
        _must("applied_at", Instant()),
        Column("closed_at", Instant()),
        Column("withdrawal_asked_at", Instant()),
        Column("petition_due_on", Date),
        _must("petition_colour", String(10)),
        _must("reason", Text),
        Column("form", String(10)),
        _must("agreement_no", String(60)),
        _must("terms", Text),
        Column("perform_by", Date),
        _must("owner_epoch", Integer),
        _must("owner_tier", String(12)),
        _must("origin_tier", String(12)),
        _must("from_tier", String(12)),
        _must("to_tier", String(12)),
        UniqueConstraint("petition_id", "round", name="mediations_of_petition"),
    )
    op.create_index("mediations_newest_first", "mediations", ["applied_at", "id"])
    op.create_index("mediations_newest_of_state", "mediations", ["state", "applied_at", "id"])


def _parties() -> None:
    op.create_table(
        "parties",
        Column("mediation_id", String(36), ForeignKey("mediations.id"), primary_key=True),
        Column("id", String(36), primary_key=True),
        _must("position", Integer),
        _must("side", String(12)),
        _must("name", Text),
        _must("phone", Text),
        _must("id_no", Text),
        _must("address", Text),
        _must("consent", String(8)),
    )
