"""Who has a mediation in hand, found at once when somebody leaves."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, String

revision, down_revision, branch_labels, depends_on = "0003", "0002", None, None


def upgrade() -> None:
    """A column and its index; the release before goes on writing rows without it."""
    op.add_column("mediations", Column("officer", String(80), nullable=False, server_default=""))
    op.create_index("mediations_of_officer", "mediations", ["officer", "id"])


def downgrade() -> None:
    """Without them."""
    op.drop_index("mediations_of_officer", table_name="mediations")
    with op.batch_alter_table("mediations") as table:
        table.drop_column("officer")
