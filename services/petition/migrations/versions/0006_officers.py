"""An officer's cases are found at once, when somebody leaves."""

from __future__ import annotations

from alembic import op

revision, down_revision, branch_labels, depends_on = "0006", "0005", None, None


def upgrade() -> None:
    """One index more."""
    op.create_index("petitions_of_officer", "petitions", ["officer", "id"])


def downgrade() -> None:
    """Without it."""
    op.drop_index("petitions_of_officer", table_name="petitions")
