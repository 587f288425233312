"""Files of a case."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, String, Text, text
from sqlalchemy.types import TypeEngine

from services.chassis import migrations_blobs
from services.chassis.types import Instant

revision, down_revision, branch_labels, depends_on = "0002", "0001", None, None


def upgrade() -> None:
    """What a case holds, and the bytes."""
    migrations_blobs.create(op)
    op.create_table(
        "attachments",
        Column("id", String(36), primary_key=True),
        Column("petition_id", String(36), ForeignKey("petitions.id"), nullable=False),
        _must("filename", Text()),
        _must("content_type", String(127)),
        _must("size", BigInteger()),
        _must("sha256", String(64)),
        _must("note", Text()),
        _must("uploaded_at", Instant()),
        _must("uploaded_by", String(80)),
        _must("uploaded_unit", String(64)),
        _must("request_id", String(36)),
        _must("blob", String(36)),
        _must("thumbnail", String(36)),
        _must("thumbnail_size", BigInteger()),
        _must("thumbnail_sha256", String(64)),
        Column("removed_at", Instant()),
        _must("removed_by", String(80)),
        _must("removed_unit", String(64)),
        _must("removed_reason", Text()),
    )
    op.create_index("attachments_newest_of_petition", "attachments", ["petition_id", "id"])
    given = text("request_id <> ''")
    op.create_index(
        "attachments_of_request", "attachments", ["petition_id", "uploaded_by", "request_id"], unique=True,
        postgresql_where=given, sqlite_where=given,
    )  # fmt: skip


def downgrade() -> None:
    """Takes them away again."""
    op.drop_table("attachments")
    migrations_blobs.drop(op)


def _must(name: str, kind: TypeEngine[Any]) -> Column[Any]:
    return Column(name, kind, nullable=False)
