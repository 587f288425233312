"""Registers that come in as a spreadsheet, and where a case came from."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import Boolean, Column, ForeignKey, Integer, String, Text, false, text
from sqlalchemy.types import TypeEngine

from services.chassis.types import Bytes, Instant

revision, down_revision, branch_labels, depends_on = "0003", "0002", None, None

TEXTS = {"batch_no": 40, "external_no": 64, "source_system": 40, "import_job_id": 36, "suspected_duplicate_of": 25}
FLAGS = ("leader_reception", "repeated")


def upgrade() -> None:
    """What a register says of a petition, jobs, their files and rows."""
    # The release before writes rows without these, so they have defaults of the database.
    for name, length in TEXTS.items():
        op.add_column("petitions", _must(name, String(length), server_default=""))
    for name in FLAGS:
        op.add_column("petitions", _must(name, Boolean(), server_default=false()))
    op.create_index("petitions_of_day", "petitions", ["received_on", "batch_no"])
    columns = ["source_system", "external_no"]
    op.create_index("petitions_of_other_systems", "petitions", columns, unique=True, **_where("external_no <> ''"))
    op.create_index("petitions_of_import", "petitions", ["import_job_id"], **_where("import_job_id <> ''"))
    _jobs()
    _files_and_rows()


def downgrade() -> None:
    """Takes them away again."""
    for table in ("import_rows", "job_rows", "job_files", "jobs"):
        op.drop_table(table)
    for index in ("petitions_of_import", "petitions_of_other_systems", "petitions_of_day"):
        op.drop_index(index, "petitions")
    for name in (*TEXTS, *FLAGS):
        op.drop_column("petitions", name)


def _must(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]], **more: Any) -> Column[Any]:
    return Column(name, kind, nullable=False, **more)


def _where(condition: str) -> dict[str, Any]:
    return {"postgresql_where": text(condition), "sqlite_where": text(condition)}


def _jobs() -> None:
    op.create_table(
        "jobs",
        Column("id", String(36), primary_key=True),
        *(_must(name, String(length)) for name, length in (("kind", 12), ("state", 12), ("account", 80))),
        *(_must(name, String(length)) for name, length in (("unit", 64), ("scope", 12))),
        _must("identity", Text),
        _must("dry_run", Boolean),
        _must("file_name", Text),
        _must("form", String(8)),
        _must("sheet", Text),
        _must("sha256", String(64)),
        _must("source_system", String(40)),
        _must("filter", Text),
        _must("reveal_reason", Text),
        _must("revealed", Boolean),
        _must("headings", Text),
        *(_must(f"rows_{name}", Integer) for name in ("total", "done", "accepted", "already", "suspected", "bad")),
        _must("created_at", Instant()),
        Column("started_at", Instant()),
        Column("ended_at", Instant()),
        _must("cancel_asked", Boolean),
        _must("failure_zh", Text),
        _must("failure_en", Text),
        _must("result_size", Integer),
        _must("result_sha256", String(64)),
        Column("file_until", Instant()),
        _must("lease_owner", String(36)),
        Column("lease_until", Instant()),
    )
    op.create_index("jobs_newest_first", "jobs", ["created_at", "id"])
    op.create_index("jobs_of_account", "jobs", ["account", "created_at", "id"])
    op.create_index("jobs_open", "jobs", ["created_at", "id"], **_where("state IN ('WAITING', 'RUNNING')"))


def _files_and_rows() -> None:
    op.create_table(
        "job_files",
        Column("job_id", String(36), ForeignKey("jobs.id"), primary_key=True),
        Column("part", String(8), primary_key=True),
        Column("n", Integer, primary_key=True),
        _must("data", Bytes()),
    )
    op.create_table(
        "job_rows",
        Column("job_id", String(36), ForeignKey("jobs.id"), primary_key=True),
        Column("row", Integer, primary_key=True),
        _must("kind", String(12)),
        _must("reason", Text),
        _must("cells", Text),
        _must("case_number", String(25)),
        _must("resembles", String(25)),
    )
    op.create_table(
        "import_rows",
        Column("sha256", String(64), primary_key=True),
        Column("sheet", String(64), primary_key=True),
        Column("row", Integer, primary_key=True),
        _must("petition_id", String(36)),
        _must("job_id", String(36)),
    )
