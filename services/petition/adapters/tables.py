"""Petition's own tables; the ledgers beside them are the chassis's.

petitions         one row per registration; the public code as keyed hash only
petition_persons  petitioners and the other side of a dispute, with keyed hashes for exact look-up
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Date, ForeignKey, Index, Integer, MetaData, String, Table, Text, false, text

from services.chassis.types import Instant

metadata = MetaData()


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _short(name: str, length: int = 64) -> Column[str]:
    return Column(name, String(length), nullable=False)


def _later(name: str, length: int) -> Column[str]:
    """A column of a later release: the one before writes rows without it."""
    return Column(name, String(length), nullable=False, server_default="")


petitions = Table(
    "petitions", metadata,
    Column("id", String(36), primary_key=True),
    Column("case_number", String(25), nullable=False, unique=True),
    Column("public_code_hash", String(64), nullable=False, unique=True),
    _short("state", 12),
    _short("channel", 12),
    _short("petition_class", 12),
    _short("division_code", 12),
    Column("person_count", Integer, nullable=False),
    _text("subject"),
    _text("content"),
    Column("received_on", Date, nullable=False),
    Column("registered_at", Instant, nullable=False),
    _short("registered_unit"),
    _short("accused_unit"),
    _short("earlier_case_number", 40),
    _short("responsible_unit"),
    _short("officer", 80),
    Column("outcome", String(20)),
    _text("opinion"),
    _text("legal_basis"),
    _text("reason"),
    Column("route", String(20)),
    Column("satisfaction", String(20)),
    _text("evaluation_comment"),
    _short("owner_service", 30),
    _short("owner_tier", 12),
    _short("origin_tier", 12),
    Column("owner_epoch", Integer, nullable=False),
    _later("batch_no", 40),
    Column("leader_reception", Boolean, nullable=False, server_default=false()),
    Column("repeated", Boolean, nullable=False, server_default=false()),
    _later("external_no", 64),
    _later("source_system", 40),
    _later("import_job_id", 36),
    _later("suspected_duplicate_of", 25),
    # Each ends in the id, so that no page skips a row.
    Index("petitions_newest_first", "registered_at", "id"),
    Index("petitions_newest_of_state", "state", "registered_at", "id"),
    Index("petitions_of_officer", "officer", "id"),
    Index("petitions_of_day", "received_on", "batch_no"),
    Index("petitions_of_other_systems", "source_system", "external_no", unique=True,
          postgresql_where=text("external_no <> ''"), sqlite_where=text("external_no <> ''")),
    Index("petitions_of_import", "import_job_id",
          postgresql_where=text("import_job_id <> ''"), sqlite_where=text("import_job_id <> ''")),
)  # fmt: skip

petition_persons = Table(
    "petition_persons", metadata,
    # UUIDv7: the order of ids is the order in which they were written down.
    Column("id", String(36), primary_key=True),
    Column("petition_id", String(36), ForeignKey("petitions.id"), nullable=False),
    # `applicant` or `respondent`.
    _short("side", 12),
    _text("name"),
    _text("phone"),
    _text("id_no"),
    _text("address"),
    Column("name_hash", String(64)),
    Column("phone_hash", String(64)),
    Column("id_no_hash", String(64)),
    Index("petition_persons_of_petition", "petition_id", "id"),
    Index("petition_persons_by_name", "name_hash"),
    Index("petition_persons_by_phone", "phone_hash",
          postgresql_where=text("phone_hash IS NOT NULL"), sqlite_where=text("phone_hash IS NOT NULL")),
    Index("petition_persons_by_id_no", "id_no_hash",
          postgresql_where=text("id_no_hash IS NOT NULL"), sqlite_where=text("id_no_hash IS NOT NULL")),
)  # fmt: skip
