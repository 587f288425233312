"""Bytes of files: where they lie, and a ledger that says which of them count.

    coming ── keep ──▶ kept ── doom ──▶ doomed
      └── a day later ──▶ going ◀── when its time has come ──┘

Bytes are written as they come and mean nothing until the service keeps them in the transaction that makes the file
visible. What is never kept, because an upload broke off or the process was killed, is swept after a day.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Table, bindparam, delete, insert, select, update

from services.chassis import clock
from services.chassis.background import Background
from services.chassis.database import Database, Tx
from services.chassis.ids import uuid7
from services.chassis.refusal import Conflict
from services.chassis.settings import Settings

log = logging.getLogger(__name__)

COMING, KEPT, DOOMED, GOING = "coming", "kept", "doomed", "going"
# Much longer than an upload may take.
UNKEPT_FOR = timedelta(days=1)
BATCH = 100
INTERVAL_S = 3600.0


class BlobStore(Protocol):
    """Where bytes lie. A name is given once and its bytes never change."""

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Writes the bytes as they come, with a few pieces in memory. What `pieces` raises ends it."""

    def read(self, name: str, offset: int, length: int) -> bytes:
        """These bytes, fewer at the end."""

    def delete(self, names: Iterable[str]) -> None:
        """Deletes them; what is not there is fine."""


class Blobs:
    """The files of one service."""

    def __init__(self, db: Database, ledger: Table, store: BlobStore) -> None:
        self.db = db
        self._ledger = ledger
        self._store = store
        given = ledger.c.id == bindparam("blob")
        self._keep = update(ledger).where(given, ledger.c.state == COMING).values(state=KEPT, due_at=None)
        self._let_go = update(ledger).where(given, ledger.c.state == COMING).values(state=GOING)
        self._doom = update(ledger).where(given).values(state=DOOMED, due_at=bindparam("due"))

    def write(self, pieces: Iterable[bytes]) -> str:
        """Writes bytes and returns their name. They count once they are kept; what `pieces` raises leaves nothing."""
        name = uuid7()
        with self.db.transaction() as tx:
            tx.conn.execute(insert(self._ledger), {"id": name, "state": COMING, "due_at": tx.now + UNKEPT_FOR})
        try:
            self._store.write(name, pieces)
        except BaseException:
            self.forget(name)
            raise
        return name

    def keep(self, tx: Tx, name: str) -> None:
        """From the commit on the bytes are part of the service's data."""
        if tx.conn.execute(self._keep, {"blob": name}).rowcount != 1:
            raise Conflict(
                "UPLOAD_EXPIRED",
                "上传用时过长,内容已清理,请重新上传。",
                "The upload took too long and was swept; send the file again.",
            )

    def doom(self, tx: Tx, name: str, due: datetime) -> None:
        """The bytes are no longer wanted and are deleted when this time has come."""
        tx.conn.execute(self._doom, {"blob": name, "due": due})

    def read(self, name: str, offset: int, length: int) -> bytes:
        """These bytes, fewer at the end."""
        return self._store.read(name, offset, length)

    def forget(self, name: str) -> None:
        """Deletes bytes that were never kept, now if it can be done, else when the sweeper comes."""
        try:
            # Whether it was kept is asked of the ledger: a commit may have succeeded though nobody heard of it.
            with self.db.transaction() as tx:
                unkept = tx.conn.execute(self._let_go, {"blob": name}).rowcount
            if unkept:
                self._delete([name])
        except Exception as error:
            log.warning("blob left for the sweeper", extra={"fields": {"error": type(error).__name__}})

    def sweep(self, now: datetime | None = None) -> int:
        """Deletes what was never kept and what is past its time. Returns how many files."""
        swept = 0
        while names := self._take_due(now or clock.now()):
            self._delete(names)
            swept += len(names)
        return swept

    def _take_due(self, now: datetime) -> list[str]:
        # Marked first: a file that is going cannot be kept any more while its bytes are deleted.
        due = select(self._ledger.c.id).where(self._ledger.c.due_at < now).limit(BATCH)
        with self.db.transaction() as tx:
            names: list[str] = list(tx.conn.scalars(due))
            tx.conn.execute(update(self._ledger).where(self._ledger.c.id.in_(names)).values(state=GOING))
        return names

    def _delete(self, names: list[str]) -> None:
        self._store.delete(names)
        with self.db.transaction() as tx:
            tx.conn.execute(delete(self._ledger).where(self._ledger.c.id.in_(names)))


class BlobSweeper(Background):
    """Sweeps one service's files every hour, on a thread of its own."""

    def __init__(self, service: str, blobs: Blobs, interval_s: float = INTERVAL_S) -> None:
        super().__init__(f"blobs-{service}")
        self._service = service
        self._blobs = blobs
        self._interval_s = interval_s

    def _run(self) -> None:
        while not self._stopping.is_set():
            fields: dict[str, Any] = {"service": self._service}
            try:
                swept = self._blobs.sweep()
            except Exception as error:
                log.warning("cannot sweep files", extra={"fields": fields | {"error": type(error).__name__}})
            else:
                if swept:
                    log.info("files swept", extra={"fields": fields | {"files": swept}})
            self._stopping.wait(self._interval_s)


def open_store(settings: Settings, service: str, db: Database, chunks: Table) -> BlobStore:
    """Where this service's bytes lie: an S3 bucket when BLOB_URL names one, else rows."""
    if settings.blob_url:
        # It loads a library that a village never needs.
        from services.chassis.blob_objects import ObjectStore

        return ObjectStore(settings.blob_url, f"{settings.tier}/{service}")
    from services.chassis.blob_rows import RowStore, beside

    return RowStore(beside(db, chunks), chunks)
