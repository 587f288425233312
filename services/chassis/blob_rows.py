"""Bytes of files in rows of a database, each written in a short transaction of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from sqlalchemy import Table, bindparam, delete, insert, select

from services.chassis.database import Database

CHUNK = 256 * 1024
_AT_ONCE = 500


def beside(db: Database, chunks: Table) -> Database:
    """Where the rows lie: on PostgreSQL in the service's own database, on SQLite beside it, which stays small.

    The file is made when it is missing.
    """
    if not db.is_sqlite:
        return db
    path = Path(db.url.database or "")
    own = Database(f"sqlite:///{path.with_name(f'{path.stem}-blobs{path.suffix}')}")
    chunks.create(own.engine, checkfirst=True)
    return own


class RowStore:
    """Chunks in the table `blob_chunks`."""

    def __init__(self, db: Database, chunks: Table) -> None:
        self.db = db
        self._chunks = chunks
        self._add = insert(chunks)
        begin, end = bindparam("begin", type_=chunks.c.start.type), bindparam("end", type_=chunks.c.start.type)
        self._touched = (
            select(chunks.c.start, chunks.c.data)
            .where(chunks.c.blob_id == bindparam("name"), chunks.c.start < end, chunks.c.start + chunks.c.size > begin)
            .order_by(chunks.c.start)
        )

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Writes a row whenever a chunk is full."""
        start = 0
        for chunk in _chunks(pieces):
            with self.db.transaction() as tx:
                row = {"blob_id": name, "start": start, "size": len(chunk), "data": chunk}
                tx.conn.execute(self._add, row)
            start += len(chunk)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """The parts of the rows that these bytes lie in."""
        found = bytearray()
        with self.db.reading() as conn:
            for row in conn.execute(self._touched, {"name": name, "begin": offset, "end": offset + length}):
                found += memoryview(row.data)[max(0, offset - row.start) : offset + length - row.start]
        return bytes(found)

    def delete(self, names: Iterable[str]) -> None:
        """Deletes rows, a hundred megabytes at a time at most."""
        for name in names:
            while self._delete_some(name):
                pass

    def _delete_some(self, name: str) -> bool:
        c = self._chunks.c
        with self.db.transaction() as tx:
            starts: list[int] = list(tx.conn.scalars(select(c.start).where(c.blob_id == name).limit(_AT_ONCE)))
            tx.conn.execute(delete(self._chunks).where(c.blob_id == name, c.start.in_(starts)))
        return len(starts) == _AT_ONCE


def _chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= CHUNK:
            yield bytes(waiting[:CHUNK])
            del waiting[:CHUNK]
    if waiting:
        yield bytes(waiting)
