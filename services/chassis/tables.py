"""The tables that every service has beside its own. One definition; each service's database holds its own copy.

outbox        events that this service announced, one row per listener, kept 7 days after the confirm
outbox_seq    last seq given per (to_tier, to_service, aggregate)
inbox         envelopes received, as they came
inbox_cursor  last seq applied per (from_tier, source, aggregate)
held          aggregates whose next event could not be applied: why, how often, when again
timeline      what happened to a case, for people
audit         who did what; `audit_seals` chains it
deadlines     every time limit, with its unit and legal source
referrals     requests between services and tiers, seen from either end
requests      first answers to request ids
search_texts  normalised text (and tokens, on PostgreSQL) of what can be searched
number_blocks case numbers handed out
deployment    incarnation and node character of this installation
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from services.chassis.types import Bytes, Instant, Tokens

metadata = MetaData()

# SQLite counts rows by INTEGER PRIMARY KEY only.
Serial = BigInteger().with_variant(Integer, "sqlite")

outbox = Table(
    "outbox",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("event_id", String(36), nullable=False, unique=True),
    # `local`, `up`, or `down:<tier>`.
    Column("destination", String(20), nullable=False),
    Column("to_tier", String(12), nullable=False),
    Column("to_service", String(30), nullable=False),
    Column("aggregate_id", String(36), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("type", String(120), nullable=False),
    # The whole zongzhi.link.v1.Envelope, serialised.
    Column("envelope", Bytes, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("sent_at", Instant),
    UniqueConstraint("to_tier", "to_service", "aggregate_id", "seq", name="outbox_order"),
    Index(
        "outbox_unsent",
        "destination",
        "id",
        postgresql_where=text("sent_at IS NULL"),
        sqlite_where=text("sent_at IS NULL"),
    ),
    Index("outbox_sent", "sent_at"),
)

outbox_seq = Table(
    "outbox_seq",
    metadata,
    Column("to_tier", String(12), primary_key=True),
    Column("to_service", String(30), primary_key=True),
    Column("aggregate_id", String(36), primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("event_id", String(36), nullable=False),
    Column("from_tier", String(12), nullable=False),
    Column("source", String(30), nullable=False),
    Column("aggregate_id", String(36), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("type", String(120), nullable=False),
    Column("envelope", Bytes, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("applied_at", Instant),
    # `applied`, `refused`, `unknown`, `discarded` or `expired`.
    Column("outcome", String(20)),
    UniqueConstraint("from_tier", "source", "aggregate_id", "seq", name="inbox_order"),
    Index("inbox_waiting", "id", postgresql_where=text("applied_at IS NULL"), sqlite_where=text("applied_at IS NULL")),
    Index("inbox_applied", "applied_at"),
)

inbox_cursor = Table(
    "inbox_cursor",
    metadata,
    Column("from_tier", String(12), primary_key=True),
    Column("source", String(30), primary_key=True),
    Column("aggregate_id", String(36), primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
)

held = Table(
    "held",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("from_tier", String(12), nullable=False),
    Column("source", String(30), nullable=False),
    Column("aggregate_id", String(36), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("event_id", String(36), nullable=False),
    Column("type", String(120), nullable=False),
    # `error` (tried again by itself), `stale_epoch`, `conflict` or `undecodable` (wait for a person).
    Column("kind", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    # The second envelope of a conflict, as it came.
    Column("envelope", Bytes),
    Column("tries", Integer, nullable=False),
    Column("first_at", Instant, nullable=False),
    Column("next_try_at", Instant),
    # `held`, `retried` or `discarded`.
    Column("state", String(12), nullable=False),
    Column("closed_by", String(80)),
    Column("closed_at", Instant),
    Column("close_reason", Text),
    Index(
        "held_open",
        "from_tier",
        "source",
        "aggregate_id",
        postgresql_where=text("state = 'held'"),
        sqlite_where=text("state = 'held'"),
    ),
)

timeline = Table(
    "timeline",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("subject_id", String(36), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("at", Instant, nullable=False),
    Column("kind", String(60), nullable=False),
    Column("text_zh", Text, nullable=False),
    Column("text_en", Text, nullable=False),
    Column("actor", String(80), nullable=False),
    Column("unit", String(64), nullable=False),
    UniqueConstraint("subject_id", "seq", name="timeline_order"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("actor", String(80), nullable=False),
    Column("on_behalf_of", String(80), nullable=False),
    Column("unit", String(64), nullable=False),
    Column("action", String(80), nullable=False),
    Column("subject_type", String(30), nullable=False),
    Column("subject_id", String(36), nullable=False),
    # Canonical JSON, no personal data.
    Column("details", Text, nullable=False),
    Column("trace_id", String(32), nullable=False),
    Index("audit_subject", "subject_id", "id"),
)

audit_seals = Table(
    "audit_seals",
    metadata,
    Column("seal_no", Serial, primary_key=True, autoincrement=False),
    Column("audit_id", BigInteger, nullable=False, unique=True),
    Column("hash", String(64), nullable=False),
)

deadlines = Table(
    "deadlines",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("subject_type", String(30), nullable=False),
    Column("subject_id", String(36), nullable=False),
    Column("kind", String(30), nullable=False),
    Column("length", Integer, nullable=False),
    # `day` or `workday`.
    Column("unit", String(8), nullable=False),
    Column("source", String(80), nullable=False),
    Column("started_on", Date, nullable=False),
    Column("amber_on", Date, nullable=False),
    Column("due_on", Date, nullable=False),
    # The instants at which it turns, for the sweeper's index.
    Column("amber_at", Instant, nullable=False),
    Column("red_at", Instant, nullable=False),
    Column("provisional", Boolean, nullable=False),
    # `running`, `suspended`, `met` or `cancelled`.
    Column("state", String(10), nullable=False),
    Column("suspended_on", Date),
    Column("suspended_days", Integer, nullable=False),
    Column("met_on", Date),
    Column("amber_told_at", Instant),
    Column("red_told_at", Instant),
    Index("deadlines_of_subject", "subject_id"),
    Index(
        "deadlines_amber",
        "amber_at",
        "id",
        postgresql_where=text("state = 'running' AND amber_told_at IS NULL"),
        sqlite_where=text("state = 'running' AND amber_told_at IS NULL"),
    ),
    Index(
        "deadlines_red",
        "red_at",
        "id",
        postgresql_where=text("state = 'running' AND red_told_at IS NULL"),
        sqlite_where=text("state = 'running' AND red_told_at IS NULL"),
    ),
    # For counting and filtering by colour.
    Index(
        "deadlines_running",
        "red_at",
        "amber_at",
        "subject_id",
        postgresql_where=text("state = 'running'"),
        sqlite_where=text("state = 'running'"),
    ),
)

referrals = Table(
    "referrals",
    metadata,
    Column("id", String(36), primary_key=True),
    # `out`: this service asked; `in`: it was asked.
    Column("direction", String(3), nullable=False),
    Column("subject_id", String(36), nullable=False),
    Column("from_service", String(30), nullable=False),
    Column("from_tier", String(12), nullable=False),
    Column("to_service", String(30), nullable=False),
    Column("to_tier", String(12), nullable=False),
    Column("state", String(12), nullable=False),
    Column("owner_epoch", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("sent_at", Instant, nullable=False),
    Column("answered_at", Instant),
    Index("referrals_of_subject", "subject_id", "sent_at"),
)

requests = Table(
    "requests",
    metadata,
    Column("account", String(80), primary_key=True),
    Column("method", String(80), primary_key=True),
    Column("request_id", String(36), primary_key=True),
    Column("digest", String(64), nullable=False),
    # The first answer, sealed: it may hold a public code.
    Column("answer", Bytes, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("requests_age", "created_at"),
)

search_texts = Table(
    "search_texts",
    metadata,
    # A number, because SQLite's full-text index names rows by numbers that must survive VACUUM.
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("subject_id", String(36), nullable=False, unique=True),
    Column("normalised", Text, nullable=False),
    Column("tokens", Tokens, nullable=False),
    Index("search_texts_tokens", "tokens", postgresql_using="gin").ddl_if(dialect="postgresql"),
)

number_blocks = Table(
    "number_blocks",
    metadata,
    Column("division_code", String(12), primary_key=True),
    Column("letter", String(1), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("node", String(1), primary_key=True),
    Column("next", Integer, nullable=False),
)

deployment = Table(
    "deployment",
    metadata,
    Column("tier", String(12), primary_key=True),
    # Renewed by every restore.
    Column("incarnation", String(36), nullable=False),
    Column("node", String(1), nullable=False),
)
