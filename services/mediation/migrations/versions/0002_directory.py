"""The read copy of the directory."""

from __future__ import annotations

from alembic import op

from services.chassis import migrations_v2

revision, down_revision, branch_labels, depends_on = "0002", "0001", None, None


def upgrade() -> None:
    """Makes the tables of the directory."""
    migrations_v2.create(op)


def downgrade() -> None:
    """Takes them away again."""
    migrations_v2.drop(op)
