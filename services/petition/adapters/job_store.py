"""Jobs in SQL: who works at which, how far it is, and the bytes that came and go."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, literal, or_, select, tuple_, update

from services.chassis import clock
from services.chassis.database import Database, Tx
from services.chassis.digests import canonical_json
from services.chassis.identity import Identity
from services.petition.adapters.tables_jobs import job_files, job_rows, jobs
from services.petition.application.ports import Position
from services.petition.domain.job import OPEN, Job, JobKind, JobState, no_job
from services.petition.domain.visibility import READ_ALL

SOURCE, RESULT = "source", "result"
BAD, SUSPECTED = "bad", "suspected"
PIECE = 256 * 1024
# Whoever works at a job says so every few seconds; when nothing was heard for so long, another one goes on.
LEASE = timedelta(seconds=20)
SHOWN_ROWS = 50

_C = jobs.c
_LISTS = ("headings", "unknown_headings", "skipped_headings")
_PLAIN = tuple(field.name for field in fields(Job) if field.name not in ("identity", "kind", "state", *_LISTS))
_SETS = ("units", "roles", "permissions")


class LeaseLost(Exception):
    """Another process works at the job by now; what this one had in hand is rolled back."""


@dataclass(frozen=True)
class JobRow:
    """One row of which something is to be said."""

    row: int
    kind: str
    reason: str = ""
    cells: Sequence[Any] = ()
    case_number: str = ""
    resembles: str = ""


def add(tx: Tx, job: Job) -> None:
    """Keeps a new job."""
    tx.conn.execute(insert(jobs).values({**_values(job), "lease_owner": ""}))


def find(conn: Connection, job_id: str) -> Job:
    """The job. Raises NotFound."""
    row = conn.execute(select(jobs).where(_C.id == job_id)).mappings().first()
    if row is None:
        raise no_job(job_id)
    return _job(row)


def locked(tx: Tx, job_id: str, owner: str | None = None) -> Job:
    """The job, its row locked; with an owner only while that one works at it, else LeaseLost."""
    row = tx.conn.execute(select(jobs).where(_C.id == job_id).with_for_update()).mappings().first()
    if row is None:
        raise no_job(job_id)
    if owner is not None and row["lease_owner"] != owner:
        raise LeaseLost(job_id)
    return _job(row)


def save(tx: Tx, job: Job) -> None:
    """Keeps what changed; of one that has ended nobody holds the lease any more."""
    values = _values(job)
    if not job.is_open:
        values |= {"lease_owner": "", "lease_until": None}
    tx.conn.execute(update(jobs).where(_C.id == job.id).values(values))


def page(
    conn: Connection, caller: Identity, kind: JobKind | None, states: frozenset[JobState], after: Position | None,
    limit: int,
) -> list[Job]:  # fmt: skip
    """Jobs that the caller may see, newest first."""
    query = select(jobs).order_by(_C.created_at.desc(), _C.id.desc()).limit(limit)
    own = _C.account == caller.account
    if caller.may(READ_ALL) and caller.scope:
        own = or_(own, _C.scope.startswith(caller.scope, autoescape=True))
    query = query.where(own)
    if kind is not None:
        query = query.where(_C.kind == kind.value)
    if states:
        query = query.where(_C.state.in_(sorted(states)))
    if after is not None:
        position = tuple_(literal(after.registered_at, _C.created_at.type), literal(after.id, _C.id.type))
        query = query.where(tuple_(_C.created_at, _C.id) < position)
    return [_job(row) for row in conn.execute(query).mappings()]


def claim(db: Database, owner: str) -> Job | None:
    """The oldest open job at which nobody works, now this one's; None when there is none."""
    now = clock.now()
    free = or_(_C.lease_until.is_(None), _C.lease_until < now)
    query = select(jobs).where(_C.state.in_(OPEN), free).order_by(_C.created_at, _C.id).limit(1)
    # Asked without a lock first: most of the time there is nothing to do.
    with db.reading() as conn:
        if conn.execute(query).first() is None:
            return None
    with db.transaction() as tx:
        row = tx.conn.execute(query.with_for_update(skip_locked=True)).mappings().first()
        if row is None:
            return None
        tx.conn.execute(update(jobs).where(_C.id == row["id"]).values(lease_owner=owner, lease_until=now + LEASE))
        return _job(row)


def renew(db: Database, job_id: str, owner: str) -> bool:
    """Whoever works at the job goes on doing so; False when it is another's by now."""
    with db.transaction() as tx:
        mine = update(jobs).where(_C.id == job_id, _C.lease_owner == owner)
        return bool(tx.conn.execute(mine.values(lease_until=clock.now() + LEASE)).rowcount)


def release(db: Database, job_id: str, owner: str) -> None:
    """Lays a job down, so that the next one may take it up at once."""
    with db.transaction() as tx:
        mine = update(jobs).where(_C.id == job_id, _C.lease_owner == owner)
        tx.conn.execute(mine.values(lease_owner="", lease_until=None))


def keep_file(tx: Tx, job_id: str, part: str, pieces: Iterable[bytes]) -> tuple[int, str]:
    """Keeps a file in pieces, in place of one that was there. Returns its size and digest."""
    tx.conn.execute(delete(job_files).where(job_files.c.job_id == job_id, job_files.c.part == part))
    size, digest = 0, hashlib.sha256()
    for n, piece in enumerate(_resized(pieces)):
        tx.conn.execute(insert(job_files).values(job_id=job_id, part=part, n=n, data=piece))
        size += len(piece)
        digest.update(piece)
    return size, digest.hexdigest()


def file_pieces(db: Database, job_id: str, part: str) -> Iterator[bytes]:
    """The file piece by piece, each in a read of its own."""
    n = 0
    while True:
        with db.reading() as conn:
            piece = _piece(conn, job_id, part, n)
        if piece is None:
            return
        yield piece
        n += 1


def read_file(conn: Connection, job_id: str, part: str, offset: int, length: int) -> bytes:
    """Bytes of a file from an offset on."""
    found = bytearray()
    n, skip = divmod(offset, PIECE)
    while len(found) < length and (piece := _piece(conn, job_id, part, n)) is not None:
        found += piece[skip : skip + length - len(found)]
        n, skip = n + 1, 0
    return bytes(found)


def add_row(tx: Tx, job_id: str, said: JobRow) -> None:
    """Keeps what is to be said of a row."""
    values = {**vars(said), "job_id": job_id, "cells": json.dumps(list(said.cells), ensure_ascii=False)}
    tx.conn.execute(insert(job_rows).values(values))


def rows(conn: Connection, job_id: str, kind: str, limit: int = SHOWN_ROWS, after: int = 0) -> list[JobRow]:
    """The rows of a kind, in the order of the file, behind a row."""
    c = job_rows.c
    query = select(job_rows).where(c.job_id == job_id, c.kind == kind, c.row > after).order_by(c.row).limit(limit)
    return [
        JobRow(row.row, row.kind, row.reason, json.loads(row.cells), row.case_number, row.resembles)
        for row in conn.execute(query)
    ]


def purge(db: Database, now: datetime) -> int:
    """Forgets the files of jobs that ended long ago, and the cells of their bad rows. Returns how many jobs."""
    with db.transaction() as tx:
        old: Sequence[str] = tx.conn.execute(select(_C.id).where(_C.file_until < now).limit(100)).scalars().all()
        if old:
            tx.conn.execute(delete(job_files).where(job_files.c.job_id.in_(old)))
            tx.conn.execute(update(job_rows).where(job_rows.c.job_id.in_(old)).values(cells="[]"))
            tx.conn.execute(update(jobs).where(_C.id.in_(old)).values(file_until=None, result_size=0))
        return len(old)


def count_open(conn: Connection, account: str) -> int:
    """Jobs of an account that are not over."""
    query = select(func.count()).select_from(jobs).where(_C.account == account, _C.state.in_(OPEN))
    return int(conn.execute(query).scalar_one())


def _piece(conn: Connection, job_id: str, part: str, n: int) -> bytes | None:
    c = job_files.c
    found = conn.execute(select(c.data).where(c.job_id == job_id, c.part == part, c.n == n)).scalar()
    return None if found is None else bytes(found)


def _resized(pieces: Iterable[bytes]) -> Iterator[bytes]:
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= PIECE:
            yield bytes(waiting[:PIECE])
            del waiting[:PIECE]
    if waiting:
        yield bytes(waiting)


def _values(job: Job) -> dict[str, Any]:
    who = {field.name: getattr(job.identity, field.name) for field in fields(Identity)}
    who |= {name: sorted(who[name]) for name in _SETS}
    return {
        **{name: getattr(job, name) for name in _PLAIN},
        "kind": job.kind.value,
        "state": job.state.value,
        "account": job.identity.account,
        "unit": job.identity.unit,
        "scope": job.identity.scope,
        "identity": canonical_json(who).decode(),
        "headings": json.dumps([getattr(job, name) for name in _LISTS], ensure_ascii=False),
    }


def _job(row: RowMapping) -> Job:
    who = json.loads(row["identity"])
    understood, unknown, skipped = json.loads(row["headings"])
    return Job(
        **{name: row[name] for name in _PLAIN},
        kind=JobKind(row["kind"]),
        state=JobState(row["state"]),
        identity=Identity(**{**who, **{name: frozenset(who[name]) for name in _SETS}}),
        headings=[(written, meaning) for written, meaning in understood],
        unknown_headings=unknown,
        skipped_headings=skipped,
    )
