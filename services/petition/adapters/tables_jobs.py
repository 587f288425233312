"""The tables of registers that come in and go out.

jobs         one row per import or export: who ordered it, how far it is, which process works at it
job_files    the file that came, and the file that came of it, in pieces
job_rows     rows of an import that were refused, and those that may be duplicates
import_rows  rows of files that are in: each comes in once
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, text

from services.chassis.types import Bytes, Instant
from services.petition.adapters.tables import metadata

jobs = Table(
    "jobs", metadata,
    Column("id", String(36), primary_key=True),
    Column("kind", String(12), nullable=False),
    Column("state", String(12), nullable=False),
    Column("account", String(80), nullable=False),
    Column("unit", String(64), nullable=False),
    Column("scope", String(12), nullable=False),
    # For whom the job acts, as it was when they ordered it: canonical JSON.
    Column("identity", Text, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("form", String(8), nullable=False),
    Column("sheet", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("source_system", String(40), nullable=False),
    # What is exported: the filter as canonical JSON.
    Column("filter", Text, nullable=False),
    Column("reveal_reason", Text, nullable=False),
    Column("revealed", Boolean, nullable=False),
    # What the headings mean, which are unknown and which are left out: canonical JSON.
    Column("headings", Text, nullable=False),
    Column("rows_total", Integer, nullable=False),
    Column("rows_done", Integer, nullable=False),
    Column("rows_accepted", Integer, nullable=False),
    Column("rows_already", Integer, nullable=False),
    Column("rows_suspected", Integer, nullable=False),
    Column("rows_bad", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    Column("cancel_asked", Boolean, nullable=False),
    Column("failure_zh", Text, nullable=False),
    Column("failure_en", Text, nullable=False),
    Column("result_size", Integer, nullable=False),
    Column("result_sha256", String(64), nullable=False),
    Column("file_until", Instant),
    # The process that works at it, and until when nobody else may.
    Column("lease_owner", String(36), nullable=False),
    Column("lease_until", Instant),
    Index("jobs_newest_first", "created_at", "id"),
    Index("jobs_of_account", "account", "created_at", "id"),
    Index("jobs_open", "created_at", "id", postgresql_where=text("state IN ('WAITING', 'RUNNING')"),
          sqlite_where=text("state IN ('WAITING', 'RUNNING')")),
)  # fmt: skip

job_files = Table(
    "job_files", metadata,
    Column("job_id", String(36), ForeignKey("jobs.id"), primary_key=True),
    # `source` or `result`.
    Column("part", String(8), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("data", Bytes, nullable=False),
)  # fmt: skip

job_rows = Table(
    "job_rows", metadata,
    Column("job_id", String(36), ForeignKey("jobs.id"), primary_key=True),
    Column("row", Integer, primary_key=True),
    # `bad` or `suspected`.
    Column("kind", String(12), nullable=False),
    Column("reason", Text, nullable=False),
    # The cells of a bad row, canonical JSON; gone with the job's files.
    Column("cells", Text, nullable=False),
    Column("case_number", String(25), nullable=False),
    Column("resembles", String(25), nullable=False),
)  # fmt: skip

import_rows = Table(
    "import_rows", metadata,
    Column("sha256", String(64), primary_key=True),
    Column("sheet", String(64), primary_key=True),
    Column("row", Integer, primary_key=True),
    Column("petition_id", String(36), nullable=False),
    Column("job_id", String(36), nullable=False),
)  # fmt: skip
