"""Chains committed audit rows, one sealer per database."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, func, insert, select, text

from services.chassis import clock
from services.chassis.audit_chain import GENESIS, chained, columns
from services.chassis.database import Database
from services.chassis.tables import audit, audit_seals

log = logging.getLogger(__name__)

BATCH = 500
# The first id of a transaction that is still running is missing among ids already committed, and is looked for. One
# that is missing for so long was rolled back; should it come after all, the hourly look at all rows finds it.
HOLE_KEPT = timedelta(minutes=10)
HOLES_BEHIND = 10_000
LOOK_AT_ALL = timedelta(hours=1)
LOCK = 0x7A6F6E67_0002

_SEALED = select(audit_seals.c.audit_id).where(audit_seals.c.audit_id == audit.c.id).exists()
_HEAD = select(audit_seals.c.seal_no, audit_seals.c.hash).order_by(audit_seals.c.seal_no.desc()).limit(1)
_NEWEST = select(func.coalesce(func.max(audit.c.id), 0))

Head = tuple[int, str]


class Sealer:
    """Seals what is committed every `interval_s` seconds. Of several in one database, one works and the others wait."""

    def __init__(self, db: Database, interval_s: float = 0.5) -> None:
        self.db = db
        self.interval_s = interval_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._leader: Connection | None = None
        self._forget()

    def start(self) -> None:
        """Seals in a thread of its own until `stop`."""
        self._thread = threading.Thread(target=self._run, name="audit-sealer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Seals what is left and ends."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
        self._resign()

    def seal_once(self) -> int:
        """Seals every row that is committed now; returns how many. 0 while another process seals this database."""
        if not self.db.is_sqlite and not self._leads():
            return 0
        sealed = 0
        try:
            # What is committed meanwhile waits for the next time: a busy service would be looked at without end.
            while (count := self._seal_batch()) >= BATCH:
                sealed += count
            sealed += count
        except Exception:
            self._resign()  # what was remembered may not have been committed
            raise
        return sealed

    def _run(self) -> None:
        while not self._stop.wait(self.interval_s):
            self._try()
        self._try()

    def _try(self) -> None:
        try:
            self.seal_once()
        except Exception as error:
            log.warning("audit rows wait to be sealed", extra={"fields": {"error": type(error).__name__}})

    def _forget(self) -> None:
        """The next round looks at all rows."""
        self._head: Head | None = None
        self._top = 0
        self._holes: dict[int, datetime] = {}
        self._all_seen_at: datetime | None = None

    def _leads(self) -> bool:
        """Whether this sealer holds the lock. It works on the connection that holds it, so it notices a loss."""
        if self._leader is None:
            # All statements of a round see one state, so that no row falls between two of them.
            conn = self.db.engine.connect().execution_options(isolation_level="REPEATABLE READ")
            if not conn.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
                conn.close()
                return False
            conn.commit()
            self._leader = conn
            self._forget()
        return True

    def _resign(self) -> None:
        leader, self._leader = self._leader, None
        self._forget()
        if leader is not None:
            with suppress(Exception):
                # A pooled connection would keep the lock for ever.
                leader.invalidate()
            leader.close()

    def _seal_batch(self) -> int:
        if self.db.is_sqlite and self._nothing_new():
            return 0
        with self._writing() as conn:
            row = conn.execute(_HEAD).first()
            head: Head = (row.seal_no, row.hash) if row else (0, GENESIS)
            if head != self._head:
                self._forget()
            rows, everything = self._unsealed(conn)
            sealed_head = self._chain(conn, head, rows)
        self._remember(rows, sealed_head, everything)
        return len(rows)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        if self._leader is None:
            with self.db.transaction() as tx:
                yield tx.conn
            return
        with self._leader.begin():
            yield self._leader

    def _nothing_new(self) -> bool:
        """A look that takes no lock. On SQLite one writer follows the other, so ids are committed in their order."""
        if self._look_at_all_is_due():
            return False
        with self.db.reading() as conn:
            return int(conn.scalar(_NEWEST) or 0) <= self._top

    def _look_at_all_is_due(self) -> bool:
        return self._all_seen_at is None or not timedelta() <= clock.now() - self._all_seen_at < LOOK_AT_ALL

    def _unsealed(self, conn: Connection) -> tuple[Sequence[RowMapping], bool]:
        """The next rows to seal by id, and whether all rows were looked at for them."""
        query = select(*columns(conn)).where(~_SEALED).order_by(audit.c.id).limit(BATCH)
        if self._look_at_all_is_due():
            rows = conn.execute(query).mappings().all()
            if len(rows) < BATCH:
                self._note_holes_behind(conn)
            return rows, True
        late = conn.execute(query.where(audit.c.id.in_(self._holes))).mappings().all() if self._holes else []
        return [*late, *conn.execute(query.where(audit.c.id > self._top)).mappings()], False

    def _note_holes_behind(self, conn: Connection) -> None:
        """After a look at all rows: which of the last ids are missing, and may still be committed."""
        newest = int(conn.scalar(_NEWEST) or 0)
        first = max(1, newest - HOLES_BEHIND)
        there: set[int] = set(conn.scalars(select(audit.c.id).where(audit.c.id.between(first, newest))))
        now = clock.now()
        self._holes = {number: now for number in range(first, newest) if number not in there}
        self._top = newest
        self._all_seen_at = now

    def _chain(self, conn: Connection, head: Head, rows: Sequence[RowMapping]) -> Head:
        seals = []
        for row in rows:
            head = (head[0] + 1, chained(head[1], row))
            seals.append({"seal_no": head[0], "audit_id": row["id"], "hash": head[1]})
        if seals:
            conn.execute(insert(audit_seals), seals)
        return head

    def _remember(self, rows: Sequence[RowMapping], head: Head, everything: bool) -> None:
        now = clock.now()
        self._head = head
        ids = {int(row["id"]) for row in rows}
        if not everything and ids and max(ids) > self._top:
            new_holes = set(range(self._top + 1, max(ids))) - ids
            self._holes |= dict.fromkeys(sorted(new_holes)[-HOLES_BEHIND:], now)
            self._top = max(ids)
        self._holes = {n: since for n, since in self._holes.items() if n not in ids and now - since < HOLE_KEPT}
