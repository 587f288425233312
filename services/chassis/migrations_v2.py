"""The chassis tables that came second: the directory and its versions. Each service's tree calls it once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Date, Integer, String, Text

from services.chassis.types import Instant


def create(op: Any) -> None:
    """Makes the tables of the directory."""
    op.create_table(
        "directory_entries", Column("kind", String(20), primary_key=True), Column("code", String(64), primary_key=True),
        Column("valid_from", Date, primary_key=True), Column("valid_to", Date), Column("name", Text, nullable=False),
        Column("parent", String(64), nullable=False), Column("level", String(20), nullable=False),
        Column("fields", Text, nullable=False), Column("revision", Integer, nullable=False),
    )  # fmt: skip
    op.create_index("directory_entries_of_parent", "directory_entries", ["kind", "parent", "code"])
    op.create_table(
        "directory_versions", Column("kind", String(20), primary_key=True),
        Column("version", BigInteger, nullable=False), Column("published_at", Instant(), nullable=False),
        Column("digest", String(64), nullable=False),
    )  # fmt: skip


def drop(op: Any) -> None:
    """Takes them away again."""
    op.drop_table("directory_versions")
    op.drop_table("directory_entries")
