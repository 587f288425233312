"""The tables of the directory: every service's read copy, and in grid the directory itself.

directory_entries   one code of a kind in one period; no name, phone or address of a person
directory_versions  which version of a kind the entries are
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Date, Index, Integer, String, Table, Text

from services.chassis.tables import metadata
from services.chassis.types import Instant

directory_entries = Table(
    "directory_entries",
    metadata,
    Column("kind", String(20), primary_key=True),
    Column("code", String(64), primary_key=True),
    # What began before anybody wrote it down begins with the first day of year 1.
    Column("valid_from", Date, primary_key=True),
    Column("valid_to", Date),
    Column("name", Text, nullable=False),
    Column("parent", String(64), nullable=False),
    Column("level", String(20), nullable=False),
    # Further fields as canonical JSON: a copy keeps what a newer release sends, and shows it once it knows it.
    Column("fields", Text, nullable=False),
    # How often the code was changed; kept by grid alone, 0 in copies.
    Column("revision", Integer, nullable=False),
    Index("directory_entries_of_parent", "kind", "parent", "code"),
)

directory_versions = Table(
    "directory_versions",
    metadata,
    Column("kind", String(20), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("published_at", Instant, nullable=False),
    # Digest of the entries: tells whether a table of a newer release differs from the one that this version began as.
    Column("digest", String(64), nullable=False),
)
