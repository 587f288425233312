"""Accounts, sessions, lock-outs and integrators' programs."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, String, Text
from sqlalchemy.types import TypeEngine

from services.chassis import migrations_v1
from services.chassis.types import Instant

revision, down_revision, branch_labels, depends_on = "0001", None, None, None

SERIAL = BigInteger().with_variant(Integer, "sqlite")
TABLES = (
    "service_secrets", "service_accounts", "login_attempts", "login_locks", "refresh_tokens", "sessions",
    "former_passwords", "appointment_roles", "appointment_units", "appointments", "accounts",
)  # fmt: skip


def upgrade() -> None:
    """Makes the chassis tables and the gateway's own."""
    migrations_v1.create(op)
    for make in (_accounts, _appointments, _sessions, _logins, _services):
        make()


def downgrade() -> None:
    """Takes everything away again."""
    for table in TABLES:
        op.drop_table(table)
    migrations_v1.drop(op)


def _must(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]], **more: Any) -> Column[Any]:
    return Column(name, kind, nullable=False, **more)


def _key(name: str, length: int, *more: Any) -> Column[Any]:
    return Column(name, String(length), *more, primary_key=True)


def _accounts() -> None:
    op.create_table(
        "accounts", _key("id", 36), _must("name", String(64), unique=True), _must("display_name", Text),
        _must("phone", Text), _must("state", String(10)), _must("password_hash", Text), _must("must_change", Boolean),
        _must("password_changed_at", Instant()), Column("usable_until", Instant()), _must("created_at", Instant()),
        Column("last_sign_in_at", Instant()), Column("closed_at", Instant()),
    )  # fmt: skip
    op.create_table(
        "former_passwords", Column("id", SERIAL, primary_key=True, autoincrement=True),
        Column("account_id", String(36), ForeignKey("accounts.id"), nullable=False), _must("password_hash", Text),
    )  # fmt: skip
    op.create_index("former_passwords_of_account", "former_passwords", ["account_id", "id"])


def _appointments() -> None:
    op.create_table(
        "appointments", _key("account_id", 36, ForeignKey("accounts.id")), _key("post", 32),
        _must("position", Integer), _must("title", Text), _must("scope", String(12)),
    )  # fmt: skip
    op.create_table(
        "appointment_units", _key("account_id", 36, ForeignKey("accounts.id")), _key("post", 32), _key("unit", 64),
        _must("position", Integer),
    )  # fmt: skip
    op.create_index("appointment_units_by_unit", "appointment_units", ["unit"])
    op.create_table(
        "appointment_roles", _key("account_id", 36, ForeignKey("accounts.id")), _key("post", 32), _key("role", 32)
    )
    op.create_index("appointment_roles_by_role", "appointment_roles", ["role"])


def _sessions() -> None:
    op.create_table(
        "sessions", _key("id", 36), Column("account_id", String(36), ForeignKey("accounts.id"), nullable=False),
        _must("post", String(32)), _must("source", String(45)), _must("browser", Boolean),
        _must("created_at", Instant()), _must("last_used_at", Instant()), _must("ends_at", Instant()),
        Column("ended_at", Instant()), _must("end_reason", String(20)),
    )  # fmt: skip
    op.create_index("sessions_of_account", "sessions", ["account_id", "id"])
    op.create_index("sessions_by_end", "sessions", ["ends_at"])
    op.create_table(
        "refresh_tokens", _key("hash", 64),
        Column("session_id", String(36), ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
        Column("used_at", Instant()),
    )  # fmt: skip
    op.create_index("refresh_tokens_of_session", "refresh_tokens", ["session_id"])


def _logins() -> None:
    op.create_table(
        "login_locks", _key("key", 80), _must("failures", Text), Column("locked_until", Instant()),
        _must("touched_at", Instant()),
    )  # fmt: skip
    op.create_table(
        "login_attempts", Column("id", SERIAL, primary_key=True, autoincrement=True), _must("at", Instant()),
        _must("account", String(64)), _must("source", String(45)), _must("outcome", String(10)),
        _must("kind", String(10)),
    )  # fmt: skip
    op.create_index("login_attempts_of_account", "login_attempts", ["account", "id"])
    op.create_index("login_attempts_by_time", "login_attempts", ["at"])


def _services() -> None:
    op.create_table(
        "service_accounts", _key("id", 36), _must("client_id", String(64), unique=True), _must("title", Text),
        _must("enabled", Boolean), _must("appointment", Text), _must("created_at", Instant()),
    )  # fmt: skip
    op.create_table(
        "service_secrets", _key("hash", 64),
        Column("service_account_id", String(36), ForeignKey("service_accounts.id"), nullable=False),
        _must("created_at", Instant()), _must("expires_at", Instant()),
    )  # fmt: skip
    op.create_index("service_secrets_of_account", "service_secrets", ["service_account_id", "created_at"])
