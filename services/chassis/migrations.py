"""Brings a service's database to the schema of this release, one process at a time.

A service keeps its migrations in `services/<name>/migrations/`: `env.py`, and `versions/0001_<what>.py` and so on,
whose revision ids are the numbers `0001`, `0002`, … in order. `env.py` is

    from services.chassis import migrations
    from services.petition.adapters.tables import metadata

    migrations.run_env([migrations.chassis_metadata, metadata])

and the first version begins with the chassis tables:

    from alembic import op

    from services.chassis import migrations_v1

    revision, down_revision, branch_labels, depends_on = "0001", None, None, None


    def upgrade() -> None:
        migrations_v1.create(op)
        op.create_table("petitions", …)


    def downgrade() -> None:
        op.drop_table("petitions")
        migrations_v1.drop(op)

All steps of one run are one transaction on both databases: a migration that fails leaves the schema as it was. Changes
of a table on SQLite go through `with op.batch_alter_table(…)`, which makes the table anew: triggers on it (append-only,
full text) must be made again in the same migration. The previous release keeps running on the new schema, so a database
that is newer than the program is accepted and left alone.
"""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from alembic import command, context
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, NullPool, create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from services.chassis import grants
from services.chassis import directory_tables  # noqa: F401 - its tables belong to the chassis too
from services.chassis.tables import metadata as chassis_metadata

__all__ = [
    "MigrationFailed", "chassis_metadata", "create_database", "current", "differences", "differences_ignored",
    "head", "migrate", "run_env", "wait",
    "wait_for_server",
]  # fmt: skip

log = logging.getLogger(__name__)

SERVICES = Path(__file__).parent.parent
# Any number that nothing else on the server locks.
LOCK = 0x7A6F6E67_0001
WAIT_FOR_TURN_S = 120.0
LOCK_TIMEOUT = "5s"
LOOK_S = 0.5
BUSY_STATES = ("55P03",)


class MigrationFailed(Exception):
    """The database was left as it was; the message says in one sentence why, in Chinese and in English."""


def migrate(name: str, url: str, serving_url: str = "") -> str:
    """Brings the database to the newest schema of the service and returns its revision. Repeating it changes nothing.

    Waits while another process migrates. A database of a newer release is left alone. `url` names the role that owns
    the tables; that of `serving_url`, when it is another one, is given what serving needs. Raises MigrationFailed.
    """
    script = ScriptDirectory.from_config(_config(name))
    with _connected(make_url(url)) as conn, _turn(conn):
        found = _revision(conn)
        if found is not None and found not in _known(script):
            return _accept_newer(name, found, head(name))
        _upgrade(name, conn)
        if serving_url:
            grants.give(conn, make_url(serving_url))
        return _revision(conn) or ""


def head(name: str) -> str:
    """The newest revision that this release knows of a service's schema."""
    return ScriptDirectory.from_config(_config(name)).get_current_head() or ""


def current(url: str) -> str | None:
    """The revision of a database, also one that only a newer release knows; None when it was never migrated."""
    with _connected(make_url(url)) as conn:
        return _revision(conn)


def wait_for_server(name: str, url: str, timeout_s: float) -> None:
    """Waits until the database answers; on a first install it starts beside us. Raises MigrationFailed."""
    until = time.monotonic() + timeout_s
    while True:
        try:
            current(url)
        except OperationalError:
            if time.monotonic() > until:
                raise MigrationFailed(
                    f"等了 {timeout_s:.0f} 秒,数据库 {name} 没有应答;请核对地址和密码。 "
                    f"The database of {name} did not answer within {timeout_s:.0f} s; check address and password."
                ) from None
            time.sleep(LOOK_S)
        else:
            return


def wait(name: str, url: str, timeout_s: float) -> str:
    """Waits until the database has this release's schema or a newer one; its revision. Raises MigrationFailed."""
    wanted, until, found = head(name), time.monotonic() + timeout_s, "?"
    while time.monotonic() < until:
        try:
            found = current(url) or "-"
        except OperationalError:
            found = "?"  # away, or not made yet
        if found.isdigit() and int(found) >= int(wanted):
            return found
        time.sleep(LOOK_S)
    raise MigrationFailed(
        f"等了 {timeout_s:.0f} 秒,数据库 {name} 仍是版本 {found},需要 {wanted};请查看迁移任务的日志。 "
        f"After {timeout_s:.0f} s the database of {name} is at revision {found} and {wanted} is needed; "
        "look at the log of the migration job."
    )


def create_database(url: str) -> None:
    """Makes the PostgreSQL database of this URL when there is none; a SQLite file makes itself."""
    wanted = make_url(url)
    if wanted.get_backend_name() == "sqlite":
        return
    server = create_engine(wanted.set(database="postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with server.connect() as conn:
        if conn.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": wanted.database}):
            return
        quoted = server.dialect.identifier_preparer.quote_identifier(wanted.database or "")
        conn.exec_driver_sql(f"CREATE DATABASE {quoted} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'")


def run_env(metadatas: Sequence[MetaData]) -> None:
    """The whole `env.py` of a service's tree: runs the migrations on the connection that `migrate` has opened."""
    connection = context.config.attributes.get("connection")
    if connection is None:
        raise MigrationFailed("请用 zongzhi migrate 升级数据库。 Use `zongzhi migrate`, not alembic itself.")
    context.configure(
        connection=connection,
        target_metadata=list(metadatas),
        render_as_batch=connection.dialect.name == "sqlite",
        include_object=differences_ignored,
    )
    with context.begin_transaction():
        context.run_migrations()


def differences(url: str, metadatas: Sequence[MetaData]) -> list[str]:
    """What the models say and the database lacks, or the other way round; empty when they match. For tests."""
    with _connected(make_url(url)) as conn:
        options = {"include_object": differences_ignored, "compare_type": True}
        compared = compare_metadata(MigrationContext.configure(conn, opts=options), list(metadatas))  # type: ignore[arg-type]
        return [str(each) for each in compared]


def differences_ignored(_thing: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
    """For alembic's comparison: the full-text index, which is another thing on each of the two databases."""
    if kind == "index":
        return name != "search_texts_tokens"
    return not (kind == "table" and (name or "").startswith("search_fts"))


def _config(name: str) -> Config:
    # The gateway keeps a database too and lies beside the services.
    folder = SERVICES / name if (SERVICES / name).is_dir() else SERVICES.parent / name
    tree = folder / "migrations"
    if not (tree / "env.py").is_file():
        raise MigrationFailed(f"服务 {name} 没有数据库迁移。 There are no migrations for a service {name}.")
    config = Config()
    # ConfigParser reads % as the start of a variable.
    config.set_main_option("script_location", str(tree).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _known(script: ScriptDirectory) -> set[str]:
    return {revision.revision for revision in script.walk_revisions()}


def _revision(conn: Connection) -> str | None:
    found = MigrationContext.configure(conn).get_current_revision()
    conn.rollback()
    return found


def _accept_newer(name: str, found: str, newest: str) -> str:
    if not (found.isdigit() and newest.isdigit() and int(found) > int(newest)):
        raise MigrationFailed(
            f"数据库 {name} 的版本 {found} 不属于本程序,请核对数据库地址。 "
            f"The database of {name} is at revision {found}, which is none of this program's; check its address."
        )
    log.warning("database is newer than this release", extra={"fields": {"database": name, "revision": found}})
    return found


def _upgrade(name: str, conn: Connection) -> None:
    config = _config(name)
    config.attributes["connection"] = conn
    try:
        with conn.begin():
            _begin(conn)
            command.upgrade(config, "head")
            _check_references(conn)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) not in BUSY_STATES:
            raise
        raise MigrationFailed(
            f"数据库 {name} 正忙,结构未作更改,请稍后重试。 "
            f"The database of {name} is busy; nothing was changed, try again later."
        ) from error


def _begin(conn: Connection) -> None:
    if conn.dialect.name == "sqlite":
        conn.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        # A waiting ALTER TABLE makes all later readers of the table wait behind it.
        conn.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")


def _check_references(conn: Connection) -> None:
    if conn.dialect.name == "sqlite" and conn.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise MigrationFailed("迁移后有悬空引用,已撤销。 The migration would leave dangling references; it was undone.")


@contextmanager
def _connected(url: URL) -> Iterator[Connection]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as conn:
        if url.get_backend_name() == "sqlite":
            # We say BEGIN ourselves.
            conn.connection.dbapi_connection.isolation_level = None  # type: ignore[union-attr]
            # Making a table anew, as batch mode does, would delete the rows that refer to it.
            conn.exec_driver_sql("PRAGMA foreign_keys=OFF")
            conn.exec_driver_sql("PRAGMA busy_timeout=10000")
            conn.exec_driver_sql("PRAGMA journal_mode=WAL")
            conn.rollback()
        yield conn
    engine.dispose()


@contextmanager
def _turn(conn: Connection) -> Iterator[None]:
    """One process at a time: an advisory lock on PostgreSQL, a locked file beside a SQLite database."""
    if conn.dialect.name == "sqlite":
        with _file_lock(str(conn.engine.url.database)):
            yield
        return
    until = time.monotonic() + WAIT_FOR_TURN_S
    while not conn.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
        conn.rollback()
        _give_up_after(until)
        time.sleep(0.1)
    conn.rollback()
    yield  # the lock ends with the connection


@contextmanager
def _file_lock(database: str) -> Iterator[None]:
    with Path(f"{database}.migrating").open("a") as file:
        until = time.monotonic() + WAIT_FOR_TURN_S
        while not _locked(file.fileno()):
            _give_up_after(until)
            time.sleep(0.05)
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _give_up_after(until: float) -> None:
    if time.monotonic() > until:
        raise MigrationFailed(
            "另一进程正在迁移数据库,请稍后重试。 Another process is migrating the database; try again later."
        )
