"""The first release: the directory."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Column, Date, Integer, String, Text

from services.chassis import migrations_v1, migrations_v2
from services.chassis.types import Instant

revision, down_revision, branch_labels, depends_on = "0001", None, None, None


def upgrade() -> None:
    """Makes the chassis tables and grid's own."""
    migrations_v1.create(op)
    migrations_v2.create(op)
    op.create_table(
        "staff_persons", Column("code", String(64), primary_key=True), Column("valid_from", Date, primary_key=True),
        _must("name", Text), _must("phone", Text),
    )  # fmt: skip
    op.create_table(
        "directory_log", Column("kind", String(20), primary_key=True), Column("version", BigInteger, primary_key=True),
        _must("published_at", Instant()), _must("actor", String(80)), _must("origin", String(12)),
        _must("filename", Text), _must("added", Integer), _must("changed", Integer), _must("ended", Integer),
        _must("rows", Integer), _must("digest", String(64)), _must("incarnation", String(36)),
    )  # fmt: skip


def downgrade() -> None:
    """Takes everything away again."""
    op.drop_table("directory_log")
    op.drop_table("staff_persons")
    migrations_v2.drop(op)
    migrations_v1.drop(op)


def _must(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=False)
