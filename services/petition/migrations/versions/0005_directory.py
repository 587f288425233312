"""The directory in place of the copies of divisions and offices; what stood in these moves over as version 0."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from alembic import op
from sqlalchemy import Column, Connection, MetaData, String, Table, Text, func, insert, literal, select
from sqlalchemy import Date as SqlDate

from services.chassis import migrations_v2
from services.chassis.types import Instant

revision, down_revision, branch_labels, depends_on = "0005", "0004", None, None

# What each entry has beside its code and name: the kind, and the old columns that become parent and level.
MOVED = {"divisions": ("divisions", "parent", "level"), "offices": ("units", None, "kind")}


def upgrade() -> None:
    """Makes the directory, moves the old copies into it, and takes them away."""
    migrations_v2.create(op)
    for old in MOVED:
        _move(op.get_bind(), old)
        op.drop_table(old)


def downgrade() -> None:
    """Puts the old copies back as they were shipped: empty until `zongzhi seed` of the release before fills them."""
    migrations_v2.drop(op)
    level, parent = _must("level", String(20)), _must("parent", String(12))
    op.create_table("divisions", _code(12), _must("name", Text()), level, parent)
    op.create_index("divisions_of_parent", "divisions", ["parent", "code"])
    op.create_table("offices", _code(64), _must("name", Text()), _must("kind", String(20)))


def _move(conn: Connection, old: str) -> None:
    kind, parent, level = MOVED[old]
    metadata = MetaData()
    before = Table(old, metadata, autoload_with=conn)
    entries, versions = (
        Table(name, metadata, autoload_with=conn) for name in ("directory_entries", "directory_versions")
    )
    if not conn.execute(select(func.count()).select_from(before)).scalar():
        return
    above = before.c[parent] if parent else literal("", String)
    moved = select(
        literal(kind, String), before.c.code, literal(date.min, SqlDate), before.c.name, above, before.c[level],
        literal("{}", String), literal(0),
    )  # fmt: skip
    names = ["kind", "code", "valid_from", "name", "parent", "level", "fields", "revision"]
    conn.execute(insert(entries).from_select(names, moved))
    # Loaded anew as version 1 by the next `zongzhi seed`.
    published = literal(datetime.now(UTC), Instant())
    first = select(literal(kind, String), literal(0), published, literal("", String))
    conn.execute(insert(versions).from_select(["kind", "version", "published_at", "digest"], first))


def _code(length: int) -> Column[Any]:
    return Column("code", String(length), primary_key=True)


def _must(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=False)
