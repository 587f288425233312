"""The tables of a service that keeps files: what is kept, and the bytes where they lie in rows.

blobs        one row per file's bytes: how far it is, and when it is to be swept
blob_chunks  the bytes in rows of at most 256 KiB; on SQLite in a file of their own beside the service's
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, text

from services.chassis.types import Bytes, Instant


def blobs_table(metadata: MetaData) -> Table:
    """The ledger of a service's files."""
    return Table(
        "blobs", metadata,
        Column("id", String(36), primary_key=True),
        # coming │ kept │ doomed (removed, for later) │ going (its bytes are being deleted)
        Column("state", String(8), nullable=False),
        # From then on it is swept; nothing: it stays.
        Column("due_at", Instant),
        Index("blobs_due", "due_at",
              postgresql_where=text("due_at IS NOT NULL"), sqlite_where=text("due_at IS NOT NULL")),
    )  # fmt: skip


def chunks_table(metadata: MetaData) -> Table:
    """The bytes of files, in rows."""
    return Table(
        "blob_chunks", metadata,
        Column("blob_id", String(36), primary_key=True),
        # Where in the file the chunk begins.
        Column("start", BigInteger, primary_key=True),
        Column("size", Integer, nullable=False),
        Column("data", Bytes, nullable=False),
    )  # fmt: skip
