"""The chassis tables as the first release made them. Never edited afterwards: later changes are later migrations.

The columns stand here again and are not taken from `tables.py`, because a migration must do next year what it did on
the day it was written; a test compares what all migrations together make with `tables.py`.
"""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import BigInteger, Boolean, Column, Date, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.types import TypeEngine

from services.chassis.types import Bytes, Instant, Tokens

# The module `alembic.op` has the methods of this class; it is what a migration passes.
Op = Operations
SERIAL = BigInteger().with_variant(Integer, "sqlite")
APPEND_ONLY = {"audit": "id", "audit_seals": "seal_no"}


def create(op: Any) -> None:
    """Makes the tables, the append-only triggers and, on SQLite, the full-text index. `op` is `alembic.op`."""
    for make in (_outbox, _inbox, _held, _timeline, _audit, _deadlines, _referrals, _requests, _search, _numbers):
        make(op)
    if op.get_bind().dialect.name == "sqlite":
        _sqlite_triggers(op)
        _sqlite_search(op)
    else:
        _postgres_triggers(op)
        op.create_index("search_texts_tokens", "search_texts", ["tokens"], postgresql_using="gin")


def drop(op: Any) -> None:
    """Takes everything away again, with what is in it."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE search_fts")
    for table in (
        "deployment", "number_blocks", "search_texts", "requests", "referrals", "deadlines", "audit_seals", "audit",
        "timeline", "held", "inbox_cursor", "inbox", "outbox_seq", "outbox",
    ):  # fmt: skip
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change()")


def _must(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]]) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _may(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]]) -> Column[Any]:
    return Column(name, kind, nullable=True)


def _key(name: str, length: int) -> Column[Any]:
    return Column(name, String(length), primary_key=True)


def _serial() -> Column[Any]:
    return Column("id", SERIAL, primary_key=True, autoincrement=True)


def _partial_index(op: Op, name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, postgresql_where=text(where), sqlite_where=text(where))


def _outbox(op: Op) -> None:
    op.create_table(
        "outbox", _serial(), _must("event_id", String(36)), _must("destination", String(20)),
        _must("to_tier", String(12)), _must("to_service", String(30)), _must("aggregate_id", String(36)),
        _must("seq", BigInteger), _must("type", String(120)), _must("envelope", Bytes), _must("created_at", Instant()),
        _may("sent_at", Instant()), UniqueConstraint("event_id"),
        UniqueConstraint("to_tier", "to_service", "aggregate_id", "seq", name="outbox_order"),
    )  # fmt: skip
    _partial_index(op, "outbox_unsent", "outbox", ["destination", "id"], "sent_at IS NULL")
    op.create_index("outbox_sent", "outbox", ["sent_at"])
    op.create_table(
        "outbox_seq", _key("to_tier", 12), _key("to_service", 30), _key("aggregate_id", 36),
        _must("last_seq", BigInteger),
    )  # fmt: skip


def _inbox(op: Op) -> None:
    op.create_table(
        "inbox", _serial(), _must("event_id", String(36)), _must("from_tier", String(12)),
        _must("source", String(30)), _must("aggregate_id", String(36)), _must("seq", BigInteger),
        _must("type", String(120)), _must("envelope", Bytes), _must("digest", String(64)),
        _must("received_at", Instant()), _may("applied_at", Instant()), _may("outcome", String(20)),
        UniqueConstraint("from_tier", "source", "aggregate_id", "seq", name="inbox_order"),
    )  # fmt: skip
    _partial_index(op, "inbox_waiting", "inbox", ["id"], "applied_at IS NULL")
    op.create_index("inbox_applied", "inbox", ["applied_at"])
    op.create_table(
        "inbox_cursor", _key("from_tier", 12), _key("source", 30), _key("aggregate_id", 36),
        _must("last_seq", BigInteger),
    )  # fmt: skip


def _held(op: Op) -> None:
    op.create_table(
        "held", _key("id", 36), _must("from_tier", String(12)), _must("source", String(30)),
        _must("aggregate_id", String(36)), _must("seq", BigInteger), _must("event_id", String(36)),
        _must("type", String(120)), _must("kind", String(20)), _must("reason", Text), _may("envelope", Bytes),
        _must("tries", Integer), _must("first_at", Instant()), _may("next_try_at", Instant()),
        _must("state", String(12)), _may("closed_by", String(80)), _may("closed_at", Instant()),
        _may("close_reason", Text),
    )  # fmt: skip
    _partial_index(op, "held_open", "held", ["from_tier", "source", "aggregate_id"], "state = 'held'")


def _timeline(op: Op) -> None:
    op.create_table(
        "timeline", _key("id", 36), _must("subject_id", String(36)), _must("seq", Integer), _must("at", Instant()),
        _must("kind", String(60)), _must("text_zh", Text), _must("text_en", Text), _must("actor", String(80)),
        _must("unit", String(64)), UniqueConstraint("subject_id", "seq", name="timeline_order"),
    )  # fmt: skip


def _audit(op: Op) -> None:
    op.create_table(
        "audit", _serial(), _must("at", Instant()), _must("actor", String(80)), _must("on_behalf_of", String(80)),
        _must("unit", String(64)), _must("action", String(80)), _must("subject_type", String(30)),
        _must("subject_id", String(36)), _must("details", Text), _must("trace_id", String(32)),
    )  # fmt: skip
    op.create_index("audit_subject", "audit", ["subject_id", "id"])
    op.create_table(
        "audit_seals", Column("seal_no", SERIAL, primary_key=True, autoincrement=False),
        _must("audit_id", BigInteger), _must("hash", String(64)), UniqueConstraint("audit_id"),
    )  # fmt: skip


def _deadlines(op: Op) -> None:
    op.create_table(
        "deadlines", _key("id", 36), _must("subject_type", String(30)), _must("subject_id", String(36)),
        _must("kind", String(30)), _must("length", Integer), _must("unit", String(8)), _must("source", String(80)),
        _must("started_on", Date), _must("amber_on", Date), _must("due_on", Date), _must("amber_at", Instant()),
        _must("red_at", Instant()), _must("provisional", Boolean), _must("state", String(10)),
        _may("suspended_on", Date), _must("suspended_days", Integer), _may("met_on", Date),
        _may("amber_told_at", Instant()), _may("red_told_at", Instant()),
    )  # fmt: skip
    op.create_index("deadlines_of_subject", "deadlines", ["subject_id"])
    for colour in ("amber", "red"):
        where = f"state = 'running' AND {colour}_told_at IS NULL"
        _partial_index(op, f"deadlines_{colour}", "deadlines", [f"{colour}_at", "id"], where)
    _partial_index(op, "deadlines_running", "deadlines", ["red_at", "amber_at", "subject_id"], "state = 'running'")


def _referrals(op: Op) -> None:
    op.create_table(
        "referrals", _key("id", 36), _must("direction", String(3)), _must("subject_id", String(36)),
        _must("from_service", String(30)), _must("from_tier", String(12)), _must("to_service", String(30)),
        _must("to_tier", String(12)), _must("state", String(12)), _must("owner_epoch", Integer),
        _must("reason", Text), _must("answer", Text), _must("sent_at", Instant()), _may("answered_at", Instant()),
    )  # fmt: skip
    op.create_index("referrals_of_subject", "referrals", ["subject_id", "sent_at"])


def _requests(op: Op) -> None:
    op.create_table(
        "requests", _key("account", 80), _key("method", 80), _key("request_id", 36), _must("digest", String(64)),
        _must("answer", Bytes), _must("created_at", Instant()),
    )  # fmt: skip
    op.create_index("requests_age", "requests", ["created_at"])


def _search(op: Op) -> None:
    op.create_table(
        "search_texts", _serial(), _must("subject_id", String(36)), _must("normalised", Text),
        _must("tokens", Tokens), UniqueConstraint("subject_id"),
    )  # fmt: skip


def _numbers(op: Op) -> None:
    op.create_table(
        "number_blocks", _key("division_code", 12), _key("letter", 1), Column("day", Date, primary_key=True),
        _key("node", 1), _must("next", Integer),
    )  # fmt: skip
    op.create_table("deployment", _key("tier", 12), _must("incarnation", String(36)), _must("node", String(1)))


def _sqlite_triggers(op: Op) -> None:
    for table, key in APPEND_ONLY.items():
        for deed in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{deed.lower()} BEFORE {deed} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        # INSERT OR REPLACE deletes a row without asking the DELETE trigger.
        already_there = f"EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})"  # noqa: S608 - names of our own
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {already_there} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )


def _postgres_triggers(op: Op) -> None:
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def _sqlite_search(op: Op) -> None:
    # Tokens are separated by spaces and looked up whole: no tokenizer for languages, no positions, no second copy.
    op.execute(
        "CREATE VIRTUAL TABLE search_fts USING fts5(tokens, content='search_texts', content_rowid='id', "
        "tokenize='ascii', detail='none', columnsize=0)"
    )
    add = "INSERT INTO search_fts(rowid, tokens) VALUES (NEW.id, NEW.tokens);"
    remove = "INSERT INTO search_fts(search_fts, rowid, tokens) VALUES ('delete', OLD.id, OLD.tokens);"
    for deed, does in {"INSERT": add, "DELETE": remove, "UPDATE": remove + add}.items():
        op.execute(f"CREATE TRIGGER search_fts_{deed.lower()} AFTER {deed} ON search_texts BEGIN {does} END")
