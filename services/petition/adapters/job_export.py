"""An export at work: petitions that its orderer may see, in the form in which a register comes in."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from sqlalchemy import func, select

from protos.petition.v1 import petition_pb2 as pb
from services.chassis import audit, child, clock, sheet_out
from services.petition.adapters import job_store, messages
from services.petition.adapters.job_import import SUBJECT, Stopped, acting
from services.petition.adapters.job_store import RESULT
from services.petition.adapters.register_places import Places
from services.petition.adapters.rpc import Office
from services.petition.application.masked import mask
from services.petition.application.ports import Case, Filters
from services.petition.domain.job import Job, JobState
from services.petition.domain.limits import ACCEPT, CONCLUDE
from services.petition.domain.register_columns import CASE_NUMBER, CLASS_ZH, COLUMNS
from services.petition.domain.terms import CHANNEL_ZH, OUTCOME_ZH, ROUTE_ZH, SATISFACTION_ZH, STATE_ZH

MOST_ROWS = 50_000
PAGE = 200
HEADINGS = (CASE_NUMBER, *(column.zh for column in COLUMNS if column.field != "village"))


class ExportRun:
    """One export. After a crash it begins anew: nothing of it was shown to anybody."""

    def __init__(self, office: Office, job: Job, owner: str, stopping: Callable[[], bool]) -> None:
        self._office = office
        self._job = job
        self._owner = owner
        self._stopping = stopping
        self._identity = acting(job)

    def run(self) -> None:
        """Writes the file and ends the job."""
        filters = messages.filters(json_format.Parse(self._job.filter or "{}", pb.ListPetitionsRequest()))
        total = self._count(filters)
        self._progress(0, total)
        if total > MOST_ROWS:
            self._fail(
                f"符合条件的有 {total} 件,超过一次导出的上限 {MOST_ROWS} 件,请缩小筛选范围。",
                f"{total} petitions match, more than the {MOST_ROWS} of one export; narrow the filter.",
            )
            return
        with tempfile.NamedTemporaryFile(prefix="export-") as file:
            written = 0
            for cells in self._rows(filters):
                file.write(json.dumps(cells, ensure_ascii=False).encode() + b"\n")
                written += 1
                if written % PAGE == 0 and not self._progress(written, total):
                    self._end(JobState.CANCELLED, written, b"")
                    return
            file.flush()
            made = child.run(
                sheet_out.TASK, Path(file.name), sheet_out.LIMITS, form=self._job.form, title="信访登记表",
                headings=HEADINGS,
            )  # fmt: skip
        self._end(JobState.DONE, written, made)

    def _count(self, filters: Filters) -> int:
        with self._office.db.reading() as conn:
            found = self._office.reads(conn).matching(self._job.identity, filters, clock.now())
            return int(conn.execute(select(func.count()).select_from(found.subquery())).scalar_one())

    def _rows(self, filters: Filters) -> Iterator[list[Any]]:
        """In the order in which they came, all of one moment."""
        places, at = Places(self._office.directory), clock.now()
        after: tuple[date, str] | None = None
        with self._office.db.reading() as conn:
            reads = self._office.reads(conn)
            while found := reads.by_day(self._job.identity, filters, after, PAGE, at):
                yield from (row_of(case if self._job.revealed else mask(case), places) for case in found)
                after = (found[-1].petition.received_on, found[-1].petition.id)

    def _progress(self, done: int, total: int) -> bool:
        """Says how far it is; False when somebody asked it to end."""
        if self._stopping():
            raise Stopped
        with self._office.db.transaction(self._identity) as tx:
            job = job_store.locked(tx, self._job.id, self._owner)
            job.state, job.started_at = JobState.RUNNING, job.started_at or tx.now
            # Those that came in meanwhile are not in the file, which is of one moment.
            job.rows_done = job.rows_accepted = min(done, total)
            job.rows_total = total
            job_store.save(tx, job)
        return not job.cancel_asked

    def _fail(self, zh: str, en: str) -> None:
        with self._office.db.transaction(self._identity) as tx:
            job = job_store.locked(tx, self._job.id, self._owner)
            job.fail(zh, en, tx.now)
            job_store.save(tx, job)

    def _end(self, state: JobState, written: int, made: bytes) -> None:
        with self._office.db.transaction(self._identity) as tx:
            job = job_store.locked(tx, self._job.id, self._owner)
            job.end(state, tx.now)
            job.rows_done = job.rows_accepted = written
            job.rows_total = max(job.rows_total, written) if state is JobState.CANCELLED else written
            if made:
                job.result_size, job.result_sha256 = job_store.keep_file(tx, job.id, RESULT, [made])
            job_store.save(tx, job)
            audit.write(
                tx, "petition.export", SUBJECT, job.id, state=state.value, rows=written, revealed=job.revealed,
                reason=job.reveal_reason,
            )  # fmt: skip


def row_of(case: Case, places: Places) -> list[Any]:
    """The cells of a petition, in the order of HEADINGS."""
    p = case.petition
    persons = p.representatives
    met = {clock.kind: clock.met_on for clock in case.deadlines if clock.met_on is not None}
    cells: dict[str, Any] = {
        "received_on": p.received_on.isoformat(), "batch_no": p.batch_no, "person_count": p.person_count,
        "channel": CHANNEL_ZH[p.channel], "name": "、".join(person.name for person in persons) or "匿名",
        "phone": _several(person.phone for person in persons), "id_no": _several(person.id_no for person in persons),
        "address": _several((person.address for person in persons), ";"), "subject": p.subject, "content": p.content,
        "division": places.title(p.division_code), "responsible_unit": places.unit_title(p.responsible_unit),
        "leader_reception": "是" if p.leader_reception else "否", "petition_class": CLASS_ZH[p.petition_class],
        "repeated": "重复" if p.repeated or p.earlier_case_number else "初次",
        "earlier_case_number": p.earlier_case_number, "accused_unit": places.unit_title(p.accused_unit),
        "external_no": p.external_no, "source_system": p.source_system, "state": STATE_ZH[p.state],
        "accepted_on": _iso(met.get(ACCEPT.kind)), "concluded_on": _iso(met.get(CONCLUDE.kind)),
        "outcome": OUTCOME_ZH[p.outcome] if p.outcome else "", "opinion": p.opinion, "legal_basis": p.legal_basis,
        "reason": p.reason, "route": ROUTE_ZH[p.route] if p.route else "",
        "satisfaction": SATISFACTION_ZH[p.satisfaction] if p.satisfaction else "",
        "evaluation_comment": p.evaluation_comment,
    }  # fmt: skip
    return [p.case_number, *(cells[column.field] for column in COLUMNS if column.field in cells)]


def _several(texts: Iterator[str], between: str = "、") -> str:
    joined = between.join(text.replace(between, " ") for text in texts)
    return joined if joined.strip(between) else ""


def _iso(day: date | None) -> str:
    return day.isoformat() if day else ""
