"""What the role that serves may do with tables which another role owns (PostgreSQL): read and write, never rewrite.

With one role for both, whoever takes over a service could drop the triggers that keep the audit as it was written. The
owner (DATABASE_OWNER_URL) only migrates; the role of DATABASE_URL gets here what the work needs and nothing more.
"""

from __future__ import annotations

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

# Written once and kept: no role that serves changes them.
APPEND_ONLY = ("audit", "audit_seals")
READ_ONLY = ("alembic_version",)


class NoSuchRole(Exception):
    """The role that shall serve is not known to the database server."""

    def __init__(self, role: str) -> None:
        super().__init__(
            f"数据库没有角色 {role},请由管理员先建:CREATE ROLE {role} LOGIN PASSWORD …。 "
            f"There is no database role {role}; the administrator makes it first: CREATE ROLE {role} LOGIN PASSWORD …"
        )


def give(conn: Connection, serving: URL) -> bool:
    """Gives the role of this address its rights on every table there is; repeating it changes nothing.

    `conn` is the owner's. False when there is nothing to give: SQLite, or one role for both. Raises NoSuchRole.
    """
    if conn.dialect.name == "sqlite" or serving.username == conn.engine.url.username:
        return False
    with conn.begin():
        if not conn.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": serving.username}):
            raise NoSuchRole(str(serving.username))
        _give(conn, str(serving.username))
    return True


def _give(conn: Connection, role: str) -> None:
    quote = conn.dialect.identifier_preparer.quote_identifier
    name, database = quote(role), quote(str(conn.engine.url.database))
    tables = [row[0] for row in conn.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))]
    # By default every role of the server may enter every database.
    conn.exec_driver_sql(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
    conn.exec_driver_sql(f"GRANT CONNECT ON DATABASE {database} TO {name}")
    conn.exec_driver_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    conn.exec_driver_sql(f"GRANT USAGE ON SCHEMA public TO {name}")
    for table in tables:
        # First nothing: no right of an earlier release stays.
        conn.exec_driver_sql(f"REVOKE ALL ON {quote(table)} FROM {name}")
        conn.exec_driver_sql(f"GRANT {rights_on(table)} ON {quote(table)} TO {name}")
    conn.exec_driver_sql(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {name}")


def rights_on(table: str) -> str:
    """What the serving role may do with a table; TRUNCATE, triggers and structure are never among it."""
    if table in READ_ONLY:
        return "SELECT"
    return "SELECT, INSERT" if table in APPEND_ONLY else "SELECT, INSERT, UPDATE, DELETE"
