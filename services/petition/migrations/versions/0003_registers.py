"""Registers that come in as a spreadsheet, and where a case came from."""

from __future__ import annotations

revision, down_revision, branch_labels, depends_on = "0003", "0002", None, None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
