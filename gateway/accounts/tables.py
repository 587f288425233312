"""The gateway's own tables; the ledgers beside them are the chassis's.

accounts           who may sign in
appointments       the posts that they hold, with appointment_units and appointment_roles
former_passwords   kept forms of passwords that are not taken again
sessions           who is signed in; refresh_tokens holds the hashes by which a session goes on
login_locks        failures of the last minutes, by account and by source; shared by all gateway processes
login_attempts     every attempt, for the auditor
service_accounts   integrators' programs; service_secrets holds hashes of what they prove themselves by
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, String, Table, Text

from services.chassis.types import Instant

metadata = MetaData()
Serial = BigInteger().with_variant(Integer, "sqlite")


def _short(name: str, length: int = 64) -> Column[str]:
    return Column(name, String(length), nullable=False)


accounts = Table(
    "accounts", metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("display_name", Text, nullable=False),
    Column("phone", Text, nullable=False),
    _short("state", 10),
    Column("password_hash", Text, nullable=False),
    Column("must_change", Boolean, nullable=False),
    Column("password_changed_at", Instant, nullable=False),
    Column("usable_until", Instant),
    Column("created_at", Instant, nullable=False),
    Column("last_sign_in_at", Instant),
    Column("closed_at", Instant),
)  # fmt: skip

appointments = Table(
    "appointments", metadata,
    Column("account_id", String(36), ForeignKey("accounts.id"), primary_key=True),
    Column("post", String(32), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("title", Text, nullable=False),
    _short("scope", 12),
)  # fmt: skip

appointment_units = Table(
    "appointment_units", metadata,
    Column("account_id", String(36), ForeignKey("accounts.id"), primary_key=True),
    Column("post", String(32), primary_key=True),
    Column("unit", String(64), primary_key=True),
    Column("position", Integer, nullable=False),
    Index("appointment_units_by_unit", "unit"),
)  # fmt: skip

appointment_roles = Table(
    "appointment_roles", metadata,
    Column("account_id", String(36), ForeignKey("accounts.id"), primary_key=True),
    Column("post", String(32), primary_key=True),
    Column("role", String(32), primary_key=True),
    Index("appointment_roles_by_role", "role"),
)  # fmt: skip

former_passwords = Table(
    "former_passwords", metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("account_id", String(36), ForeignKey("accounts.id"), nullable=False),
    Column("password_hash", Text, nullable=False),
    Index("former_passwords_of_account", "account_id", "id"),
)  # fmt: skip

sessions = Table(
    "sessions", metadata,
    Column("id", String(36), primary_key=True),
    Column("account_id", String(36), ForeignKey("accounts.id"), nullable=False),
    _short("post", 32),
    _short("source", 45),
    Column("browser", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("last_used_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("ended_at", Instant),
    _short("end_reason", 20),
    Index("sessions_of_account", "account_id", "id"),
    Index("sessions_by_end", "ends_at"),
)  # fmt: skip

refresh_tokens = Table(
    "refresh_tokens", metadata,
    Column("hash", String(64), primary_key=True),
    Column("session_id", String(36), ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("used_at", Instant),
    Index("refresh_tokens_of_session", "session_id"),
)  # fmt: skip

login_locks = Table(
    "login_locks", metadata,
    Column("key", String(80), primary_key=True),
    # JSON list of the times (Unix seconds) of attempts that have not succeeded.
    Column("failures", Text, nullable=False),
    Column("locked_until", Instant),
    Column("touched_at", Instant, nullable=False),
)  # fmt: skip

login_attempts = Table(
    "login_attempts", metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    _short("account"),
    _short("source", 45),
    _short("outcome", 10),
    _short("kind", 10),
    Index("login_attempts_of_account", "account", "id"),
    Index("login_attempts_by_time", "at"),
)  # fmt: skip

service_accounts = Table(
    "service_accounts", metadata,
    Column("id", String(36), primary_key=True),
    Column("client_id", String(64), nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    # The one post in which it acts, as JSON.
    Column("appointment", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
)  # fmt: skip

service_secrets = Table(
    "service_secrets", metadata,
    Column("hash", String(64), primary_key=True),
    Column("service_account_id", String(36), ForeignKey("service_accounts.id"), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index("service_secrets_of_account", "service_account_id", "created_at"),
)  # fmt: skip
