"""One service's own database: engine, transactions, and the rules that hold inside of one.

PostgreSQL for district and town, SQLite for a village and as the embedded default. A writing transaction on SQLite
takes one lock per file and BEGIN IMMEDIATE, because callers that poll a busy database wait up to 200 ms for nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, text
from sqlalchemy.engine import make_url

from services.chassis import clock, deadlines_of_calls
from services.chassis.fair_lock import FairLock
from services.chassis.identity import Identity, current
from services.chassis.writes import Waiting, Write

log = logging.getLogger(__name__)

_inside: ContextVar[bool] = ContextVar("zongzhi_inside_transaction", default=False)
_locks: dict[str, FairLock] = {}
_locks_guard = threading.Lock()


class InsideTransaction(RuntimeError):
    """A programming error: an RPC or a hand-over to a neighbour while a transaction is open would hold its locks."""


def forbid_inside_transaction(what: str) -> None:
    """Raises when this thread has a transaction open. Called before every RPC and every hand-over to a neighbour."""
    if _inside.get():
        raise InsideTransaction(f"{what} inside a transaction")


class Tx:
    """An open writing transaction: the connection, the time it began, and who acts."""

    def __init__(self, db: Database, conn: Connection, identity: Identity) -> None:
        self.db = db
        self._conn = conn
        self._waiting = Waiting(conn)
        self.identity = identity
        self.now: datetime = clock.now()
        self.before: dict[str, Callable[[], None]] = {}
        self.after: list[Callable[[], None]] = []

    @property
    def conn(self) -> Connection:
        """The connection, for reading and for writes whose outcome matters at once; it sees all that was put before."""
        if self._waiting:
            self._waiting.send()
        return self._conn

    def seeing(self, *tables: Table) -> Connection:
        """The connection, for reading these tables only; what was put into others may go on waiting."""
        if self._waiting.touches(tables):
            self._waiting.send()
        return self._conn

    def put(self, write: Write, values: Mapping[str, Any]) -> None:
        """Writes, at the latest before the commit; on PostgreSQL what is wrong with it is raised only then."""
        if self.db.is_sqlite:
            self._conn.execute(write.on_sqlite, values)
        else:
            self._waiting.add(write, values)

    def fetch(self, write: Write, values: Mapping[str, Any]) -> Sequence[Any] | None:
        """Writes now and gives the row that the statement returns; None when it returns none."""
        if self.db.is_sqlite:
            return self._conn.execute(write.on_sqlite, values).first()
        self._waiting.add(write, values)
        return self._waiting.send()

    def flush(self) -> None:
        """Sends what was put, so that a failure shows here and not later."""
        self._waiting.send()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Keeps of this block all or, when it raises, nothing; what stood before it stays."""
        with self.conn.begin_nested():
            try:
                yield
                self.flush()
            except BaseException:
                self._waiting.forget()
                raise

    def before_commit(self, key: str, deed: Callable[[], None]) -> None:
        """Runs `deed` inside the transaction, last before its commit, and once however often its key is given."""
        self.before.setdefault(key, deed)

    def after_commit(self, deed: Callable[[], None]) -> None:
        """Runs `deed` when the commit has succeeded, never when it has not. It must not raise and must be quick."""
        self.after.append(deed)


class Database:
    """One database of one service."""

    def __init__(self, url: str, *, pool_size: int = 20, create: bool = False) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite and create and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        self.engine = _sqlite(url) if self.is_sqlite else _postgres(url, pool_size)
        self._lock = _lock_of(self.url.database or "") if self.is_sqlite else None

    @contextmanager
    def transaction(self, identity: Identity | None = None) -> Iterator[Tx]:
        """A writing transaction. Commits at the end of the block, rolls back on any exception.

        The caller's deadline is looked at once more before the commit: past it, TooLate is raised, nothing written.
        """
        forbid_inside_transaction("a second transaction")
        if self._lock is not None:
            # Whoever has stopped waiting for the answer leaves the queue.
            while not self._lock.acquire(deadlines_of_calls.remaining()):
                deadlines_of_calls.check()
        token = _inside.set(True)
        try:
            with self.engine.connect() as conn, conn.begin():
                if self.is_sqlite:
                    conn.exec_driver_sql("BEGIN IMMEDIATE")
                tx = Tx(self, conn, identity or current())
                yield tx
                for deed in tuple(tx.before.values()):
                    deed()
                tx.flush()
                deadlines_of_calls.check()
        finally:
            _inside.reset(token)
            if self._lock is not None:
                self._lock.release()
        for deed in tx.after:
            deed()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent read; on PostgreSQL and SQLite alike it blocks no writer and waits for none."""
        with self.engine.connect() as conn:
            if self.is_sqlite:
                conn.exec_driver_sql("BEGIN")
            else:
                conn.execution_options(isolation_level="REPEATABLE READ")
                conn.begin()
            yield conn
            # Not a rollback: psycopg forgets a connection's prepared statements at each one.
            conn.commit()

    def answers(self) -> bool:
        """Whether the database answers a trivial question now."""
        try:
            with self.engine.connect() as conn:
                conn.execute(text("SELECT 1"))
                conn.commit()
        except Exception as error:
            log.warning("database does not answer", extra={"fields": {"error": type(error).__name__}})
            return False
        return True

    def close(self) -> None:
        """Closes every connection."""
        self.engine.dispose()


def _lock_of(path: str) -> FairLock:
    with _locks_guard:
        return _locks.setdefault(str(Path(path).resolve()) if path else f"memory-{len(_locks)}", FairLock())


def _sqlite(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": 10, "check_same_thread": False}, pool_size=20, max_overflow=20)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=10000",
            "cache_size=-2000",
            "mmap_size=0",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _postgres(url: str, pool_size: int) -> Engine:
    # A statement that runs longer than any caller waits is cut off by the server itself.
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=10,
        pool_pre_ping=False,
        # The connection used last knows its statements best.
        pool_use_lifo=True,
        pool_recycle=1800,
        connect_args={"connect_timeout": 5, "options": "-c statement_timeout=30000 -c timezone=UTC"},
    )
