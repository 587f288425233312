"""The first release: petitions, the persons in them, and the copy of the directory."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import Column, Date, ForeignKey, Integer, String, Text, text
from sqlalchemy.types import TypeEngine

from services.chassis import migrations_v1
from services.chassis.types import Instant

revision, down_revision, branch_labels, depends_on = "0001", None, None, None


def upgrade() -> None:
    """Makes the chassis tables and petition's own."""
    migrations_v1.create(op)
    _petitions()
    _persons()
    _directory()


def downgrade() -> None:
    """Takes everything away again."""
    for table in ("offices", "divisions", "petition_persons", "petitions"):
        op.drop_table(table)
    migrations_v1.drop(op)


def _must(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]], **more: Any) -> Column[Any]:
    return Column(name, kind, nullable=False, **more)


def _petitions() -> None:
    op.create_table(
        "petitions",
        Column("id", String(36), primary_key=True),
        _must("case_number", String(25), unique=True),
        _must("public_code_hash", String(64), unique=True),
        _must("state", String(12)),
        _must("channel", String(12)),
        _must("petition_class", String(12)),
        _must("division_code", String(12)),
        _must("person_count", Integer),
        _must("subject", Text),
        _must("content", Text),
        _must("received_on", Date),
        _must("registered_at", Instant()),
        _must("registered_unit", String(64)),
        _must("accused_unit", String(64)),
        _must("earlier_case_number", String(40)),
        _must("responsible_unit", String(64)),
        _must("officer", String(80)),
        Column("outcome", String(20)),
        _must("opinion", Text),
        _must("legal_basis", Text),
        _must("reason", Text),
        Column("route", String(20)),
        Column("satisfaction", String(20)),
        _must("evaluation_comment", Text),
        _must("owner_service", String(30)),
        _must("owner_tier", String(12)),
        _must("origin_tier", String(12)),
        _must("owner_epoch", Integer),
    )
    op.create_index("petitions_newest_first", "petitions", ["registered_at", "id"])
    op.create_index("petitions_newest_of_state", "petitions", ["state", "registered_at", "id"])


def _persons() -> None:
    op.create_table(
        "petition_persons",
        Column("id", String(36), primary_key=True),
        Column("petition_id", String(36), ForeignKey("petitions.id"), nullable=False),
        _must("side", String(12)),
        _must("name", Text),
        _must("phone", Text),
        _must("id_no", Text),
        _must("address", Text),
        Column("name_hash", String(64)),
        Column("phone_hash", String(64)),
        Column("id_no_hash", String(64)),
    )
    op.create_index("petition_persons_of_petition", "petition_persons", ["petition_id", "id"])
    op.create_index("petition_persons_by_name", "petition_persons", ["name_hash"])
    for key in ("phone", "id_no"):
        given = text(f"{key}_hash IS NOT NULL")
        where: dict[str, Any] = {"postgresql_where": given, "sqlite_where": given}
        op.create_index(f"petition_persons_by_{key}", "petition_persons", [f"{key}_hash"], **where)


def _directory() -> None:
    op.create_table(
        "divisions",
        Column("code", String(12), primary_key=True),
        _must("name", Text),
        _must("level", String(20)),
        _must("parent", String(12)),
    )
    op.create_index("divisions_of_parent", "divisions", ["parent", "code"])
    op.create_table(
        "offices",
        Column("code", String(64), primary_key=True),
        _must("name", Text),
        _must("kind", String(20)),
    )
