"""An import at work: the file is read whole into a spool, then its rows come in, a batch to a transaction.

What a row brings, that it came, and how far the job is, are committed together. Whoever goes on after a crash begins
behind the last committed row, so that each row comes in once and none is forgotten.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, IntegrityError

from services.chassis import audit, child, clock, sheet_out, sheets
from services.chassis.codes import new_public_code
from services.chassis.database import Tx
from services.chassis.identity import Identity
from services.chassis.ids import uuid7
from services.chassis.refusal import AlreadyExists, Invalid, Refusal
from services.chassis.sheets import Row, Sheet
from services.chassis.writes import Write
from services.petition.adapters import job_store
from services.petition.adapters.job_store import BAD, RESULT, SOURCE, SUSPECTED, JobRow
from services.petition.adapters.reads import seen_by
from services.petition.adapters.register_places import Places
from services.petition.adapters.register_rows import RowReader
from services.petition.adapters.rpc import LETTER, Office
from services.petition.adapters.store import person_hash
from services.petition.adapters.tables import petition_persons, petitions
from services.petition.adapters.tables_jobs import import_rows
from services.petition.application.import_case import check_case, import_case
from services.petition.domain import register_columns
from services.petition.domain.job import Job, JobState
from services.petition.domain.old_case import Standing
from services.petition.domain.petition import APPLICANT
from services.petition.domain.register_columns import REASON, ROW, Headings
from services.petition.domain.registration import Registration
from services.petition.domain.terms import State

log = logging.getLogger(__name__)

BATCH = 100
SUBJECT = "job"
ALIKE = "同日、同批次、同姓名"
_ALREADY = "already"
_L = import_rows.c
_ADD_ROW = Write(
    postgresql.insert(import_rows).on_conflict_do_nothing().returning(_L.row),
    sqlite.insert(import_rows).on_conflict_do_nothing().returning(_L.row),
)
# Day, batch and hash of a name: what makes two registrations look like one.
_Likeness = tuple[date, str, str]


class Stopped(Exception):
    """The process ends; another one goes on later."""


@dataclass
class _Ready:
    """A row that keeps to every rule."""

    row: Row
    draft: Registration
    standing: Standing
    number: str = ""
    likenesses: tuple[_Likeness, ...] = ()


@dataclass
class _Refused:
    """A row that does not, and why."""

    row: Row
    reason: str


_Judged = _Ready | _Refused


def acting(job: Job) -> Identity:
    """The system at work for whoever ordered it: within their scope, their units and their permissions."""
    who = job.identity
    return replace(who, account="system:petition", on_behalf_of=who.account)


class ImportRun:
    """One job, from wherever it stands to its end or until the process stops."""

    def __init__(self, office: Office, job: Job, owner: str, stopping: Callable[[], bool]) -> None:
        self._office = office
        self._job = job
        self._owner = owner
        self._stopping = stopping
        self._identity = acting(job)
        self._today = clock.legal_date(clock.now())

    def run(self) -> None:
        """Works the job to its end. Raises LeaseLost or Stopped when it is not this one's to end."""
        with tempfile.TemporaryFile() as spool:
            try:
                sheet, total = self._spooled(spool)
                headings = register_columns.understand(sheet.headings)
            except Invalid as wrong:
                self._refuse(wrong)
                return
            self._begin(sheet, headings, total)
            reader = RowReader(
                headings, Places(self._office.directory), date1904=sheet.date1904,
                source_system=self._job.source_system, today=self._today,
            )  # fmt: skip
            self._bring_in(_rows(spool, self._job.rows_done), reader)
            self._end(self._outcome, sheet)

    def _refuse(self, wrong: Invalid) -> None:
        """The file itself is at fault; no row of it came in."""
        self._end(lambda job, now: job.fail(wrong.zh, wrong.en, now), sheet=None)

    def _spooled(self, spool: IO[bytes]) -> tuple[Sheet, int]:
        """Reads the file to its end, so that nothing comes in of one that is damaged further down."""
        total = 0
        with self._source() as path:
            sheet, found = sheets.read(path, sheet=self._job.sheet, headings=register_columns.known_headings())
            for row in found:
                line = [row.number, row.cells, {str(place): fault for place, fault in row.faults.items()}]
                spool.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
                total += 1
                if self._stopping():
                    raise Stopped
        return sheet, total

    @contextmanager
    def _source(self) -> Iterator[Path]:
        with tempfile.NamedTemporaryFile(prefix="register-") as file:
            for piece in job_store.file_pieces(self._office.db, self._job.id, SOURCE):
                file.write(piece)
            file.flush()
            yield Path(file.name)

    def _begin(self, sheet: Sheet, headings: Headings, total: int) -> None:
        with self._changing() as (_, job):
            job.rows_total, job.sheet = total, sheet.name
            job.headings, job.unknown_headings = list(headings.understood), list(headings.unknown)
            job.skipped_headings = list(headings.skipped)

    def _bring_in(self, rows: Iterator[Row], reader: RowReader) -> None:
        while batch := list(islice(rows, BATCH)):
            if self._stopping():
                raise Stopped
            if not self._batch([self._judge(row, reader) for row in batch]):
                return

    def _judge(self, row: Row, reader: RowReader) -> _Judged:
        try:
            draft, standing = reader.read(row)
            check_case(self._office.directory, self._identity, self._today, draft, standing)
        except Refusal as wrong:
            return _Refused(row, wrong.zh)
        return _Ready(row, draft, standing, likenesses=self._likenesses(draft))

    def _likenesses(self, draft: Registration) -> tuple[_Likeness, ...]:
        hashes = (person_hash(self._office.hash_key, "name", person.name) for person in draft.representatives)
        return tuple((draft.received_on, draft.batch_no, hashed) for hashed in hashes if hashed)

    def _batch(self, judged: list[_Judged]) -> bool:
        """One transaction of rows; False when the job is to end here."""
        known = self._known(judged)
        self._number([one for one in judged if isinstance(one, _Ready) and not known.has(one)])
        with self._changing() as (tx, job):
            if job.cancel_asked:
                return False
            before = Counter(self._counts(job))
            for one in judged:
                self._one(tx, job, one, known)
            job.rows_done += len(judged)
            done = Counter(self._counts(job)) - before
            audit.write(
                tx, "petition.import_rows", SUBJECT, job.id, dry_run=job.dry_run,
                first_row=judged[0].row.number, last_row=judged[-1].row.number, **done,
            )  # fmt: skip
        return True

    def _known(self, judged: list[_Judged]) -> _Known:
        """What is here of these rows. Another process may be faster; the ledger of rows then says so."""
        with self._office.db.reading() as conn:
            return _Known.of(conn, self._job, self._identity, judged)

    def _number(self, ready: list[_Ready]) -> None:
        """Case numbers for rows that come in, in one transaction of their own; gaps are allowed."""
        if self._job.dry_run or not ready:
            return
        wanted = Counter((one.draft.division_code, one.draft.received_on) for one in ready)
        taken = self._office.numbers.take_many(LETTER, wanted)
        for one in ready:
            left = taken[one.draft.division_code, one.draft.received_on]
            one.number = left.pop(0) if left else ""

    def _one(self, tx: Tx, job: Job, one: _Judged, known: _Known) -> None:
        if known.has(one):
            job.rows_already += 1
            return
        if isinstance(one, _Ready):
            resembles = next((known.alike[like] for like in one.likenesses if like in known.alike), "")
            reason = "" if job.dry_run else self._keep(tx, job, one, resembles)
        else:
            reason, resembles = one.reason, ""
        if reason == _ALREADY:
            job.rows_already += 1
        elif reason:
            job.rows_bad += 1
            job_store.add_row(tx, job.id, JobRow(one.row.number, BAD, reason, one.row.cells))
        else:
            job.rows_accepted += 1
            self._note(tx, job, one, resembles, known)

    def _keep(self, tx: Tx, job: Job, one: _Ready, resembles: str) -> str:
        """The row comes in; empty when it did, else why it did not."""
        if not one.number:
            return "该属地当日的信访编号已用完,请改日期或分批导入。"
        petition_id = uuid7()
        came = {
            "sha256": job.sha256, "sheet": job.sheet[:64], "row": one.row.number, "petition_id": petition_id,
            "job_id": job.id,
        }  # fmt: skip
        try:
            with tx.savepoint():
                if tx.fetch(_ADD_ROW, came) is None:
                    return _ALREADY
                import_case(
                    self._office.work(tx), petition_id, one.draft, one.standing, one.number, new_public_code(),
                    job_id=job.id, resembles=resembles,
                )  # fmt: skip
        except AlreadyExists:
            return _ALREADY
        except Refusal as wrong:
            return wrong.zh
        except (IntegrityError, DataError) as wrong:
            log.warning("a row was not kept", extra={"fields": {"job": job.id, "error": type(wrong).__name__}})
            return "该行无法保存,请检查其中的特殊字符或重复的编号。"
        return ""

    def _note(self, tx: Tx, job: Job, one: _Judged, resembles: str, known: _Known) -> None:
        if not isinstance(one, _Ready):
            return
        if resembles:
            job.rows_suspected += 1
            said = JobRow(one.row.number, SUSPECTED, ALIKE, (), one.number, resembles)
            job_store.add_row(tx, job.id, said)
        for like in one.likenesses:
            known.alike.setdefault(like, one.number or f"第 {one.row.number} 行")
        if one.draft.external_no:
            known.externals.add((one.draft.source_system, one.draft.external_no))

    @contextmanager
    def _changing(self) -> Iterator[tuple[Tx, Job]]:
        """The job in a transaction, ours or LeaseLost; kept at the end of the block."""
        with self._office.db.transaction(self._identity) as tx:
            job = job_store.locked(tx, self._job.id, self._owner)
            if job.state is JobState.WAITING:
                job.state, job.started_at = JobState.RUNNING, tx.now
            yield tx, job
            job_store.save(tx, job)
        self._job = job

    @staticmethod
    def _counts(job: Job) -> dict[str, int]:
        names = ("accepted", "already", "suspected", "bad")
        return {name: getattr(job, f"rows_{name}") for name in names}

    @staticmethod
    def _outcome(job: Job, now: datetime) -> None:
        job.end(JobState.CANCELLED if job.cancel_asked and job.rows_left else JobState.DONE, now)

    def _end(self, how: Callable[[Job, datetime], None], sheet: Sheet | None) -> None:
        """Bad rows go into a file, and the job is over."""
        written = self._bad_rows_file(sheet) if sheet is not None and self._job.rows_bad else b""
        with self._changing() as (tx, job):
            how(job, tx.now)
            if written:
                job.result_size, job.result_sha256 = job_store.keep_file(tx, job.id, RESULT, [written])
            audit.write(
                tx, "petition.import", SUBJECT, job.id, state=job.state.value, dry_run=job.dry_run,
                rows=job.rows_total, left=job.rows_left, **self._counts(job),
            )  # fmt: skip

    def _bad_rows_file(self, sheet: Sheet) -> bytes:
        # Row number and reason of an earlier round give way to those of this one.
        kept = [place for place, text in enumerate(sheet.headings) if text not in (ROW, REASON)]
        with tempfile.NamedTemporaryFile(prefix="bad-rows-") as file:
            for said in self._bad_rows():
                cells = [said.row, said.reason, *(said.cells[place] for place in kept)]
                file.write(json.dumps(cells, ensure_ascii=False).encode() + b"\n")
            file.flush()
            return child.run(
                sheet_out.TASK, Path(file.name), sheet_out.LIMITS, form=self._job.form, title="未导入的行",
                headings=[ROW, REASON, *(sheet.headings[place] for place in kept)],
            )  # fmt: skip

    def _bad_rows(self) -> Iterator[JobRow]:
        after = 0
        while True:
            with self._office.db.reading() as conn:
                found = job_store.rows(conn, self._job.id, BAD, 500, after)
            if not found:
                return
            yield from found
            after = found[-1].row


_SAME_DAY = (
    select(petitions.c.received_on, petitions.c.batch_no, petition_persons.c.name_hash, petitions.c.case_number)
    .join(petition_persons, petition_persons.c.petition_id == petitions.c.id)
    .where(petition_persons.c.side == APPLICANT, petitions.c.state != State.VOIDED.value)
)


@dataclass
class _Known:
    """What is here already of the rows of a batch."""

    rows: frozenset[int]
    externals: set[tuple[str, str]]
    alike: dict[_Likeness, str]

    @classmethod
    def of(cls, conn: Connection, job: Job, caller: Identity, judged: list[_Judged]) -> _Known:
        """Asks the database once for each."""
        ready = [one for one in judged if isinstance(one, _Ready)]
        numbers = [one.row.number for one in judged]
        came = select(_L.row).where(_L.sha256 == job.sha256, _L.sheet == job.sheet[:64], _L.row.in_(numbers))
        return cls(frozenset(conn.execute(came).scalars()), _externals(conn, ready), _alike(conn, caller, ready))

    def has(self, one: _Judged) -> bool:
        """Whether the row came in before, from this file or as a case of another system."""
        if one.row.number in self.rows:
            return True
        return isinstance(one, _Ready) and (one.draft.source_system, one.draft.external_no) in self.externals


def _externals(conn: Connection, ready: list[_Ready]) -> set[tuple[str, str]]:
    pairs = {(one.draft.source_system, one.draft.external_no) for one in ready if one.draft.external_no}
    if not pairs:
        return set()
    both = tuple_(petitions.c.source_system, petitions.c.external_no)
    taken = select(petitions.c.source_system, petitions.c.external_no).where(both.in_(sorted(pairs)))
    return {(row[0], row[1]) for row in conn.execute(taken)}


def _alike(conn: Connection, caller: Identity, ready: list[_Ready]) -> dict[_Likeness, str]:
    """Case numbers by day, batch and name, of the petitions that whoever ordered the job may see."""
    wanted = {like for one in ready for like in one.likenesses}
    found: dict[_Likeness, str] = {}
    if wanted:
        query = _SAME_DAY.where(
            petitions.c.received_on.in_(sorted({like[0] for like in wanted})),
            petition_persons.c.name_hash.in_(sorted({like[2] for like in wanted})),
            *seen_by(caller),
        ).order_by(petitions.c.id)
        for row in conn.execute(query):
            found.setdefault((row.received_on, row.batch_no, row.name_hash), row.case_number)
    return found


def _rows(spool: IO[bytes], done: int) -> Iterator[Row]:
    spool.seek(0)
    for line in islice(spool, done, None):
        number, cells, faults = json.loads(line)
        yield Row(number, tuple(cells), {int(place): fault for place, fault in faults.items()})
