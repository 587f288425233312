"""The tables of files as they came first, for the tree of a service that keeps files. Never edited afterwards."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Integer, String, text

from services.chassis.types import Bytes, Instant


def create(op: Any) -> None:
    """Makes the ledger and the rows of bytes, which stay empty on SQLite: there the bytes have a file of their own."""
    op.create_table(
        "blobs",
        Column("id", String(36), primary_key=True),
        Column("state", String(8), nullable=False),
        Column("due_at", Instant()),
    )
    due = text("due_at IS NOT NULL")
    op.create_index("blobs_due", "blobs", ["due_at"], postgresql_where=due, sqlite_where=due)
    op.create_table(
        "blob_chunks",
        Column("blob_id", String(36), primary_key=True),
        Column("start", BigInteger, primary_key=True),
        Column("size", Integer, nullable=False),
        Column("data", Bytes(), nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Photos and office documents are compressed already; trying again costs time at every chunk.
        op.execute("ALTER TABLE blob_chunks ALTER COLUMN data SET STORAGE EXTERNAL")


def drop(op: Any) -> None:
    """Takes them away again."""
    op.drop_table("blob_chunks")
    op.drop_table("blobs")
