"""The tables of a case's files.

attachments        one row per file, removed ones too; names and notes in clear, masked in replies
blobs, blob_chunks the bytes (`services/chassis/blob_tables.py`)
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table, Text, text

from services.chassis.blob_tables import blobs_table, chunks_table
from services.chassis.types import Instant
from services.petition.adapters.tables import metadata

_REPEATABLE = text("request_id <> ''")

attachments = Table(
    "attachments", metadata,
    # UUIDv7: the order of ids is the order in which they came.
    Column("id", String(36), primary_key=True),
    Column("petition_id", String(36), ForeignKey("petitions.id"), nullable=False),
    Column("filename", Text, nullable=False),
    Column("content_type", String(127), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("note", Text, nullable=False),
    Column("uploaded_at", Instant, nullable=False),
    Column("uploaded_by", String(80), nullable=False),
    Column("uploaded_unit", String(64), nullable=False),
    Column("request_id", String(36), nullable=False),
    Column("blob", String(36), nullable=False),
    Column("thumbnail", String(36), nullable=False),
    Column("thumbnail_size", BigInteger, nullable=False),
    Column("thumbnail_sha256", String(64), nullable=False),
    Column("removed_at", Instant),
    Column("removed_by", String(80), nullable=False),
    Column("removed_unit", String(64), nullable=False),
    Column("removed_reason", Text, nullable=False),
    Index("attachments_newest_of_petition", "petition_id", "id"),
    Index("attachments_of_request", "petition_id", "uploaded_by", "request_id", unique=True,
          postgresql_where=_REPEATABLE, sqlite_where=_REPEATABLE),
)  # fmt: skip

blobs = blobs_table(metadata)
chunks = chunks_table(metadata)
