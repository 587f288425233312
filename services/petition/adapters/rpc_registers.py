"""gRPC in: registers that come and go as files, the jobs that carry them, and counts."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

import grpc
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

from protos.files.v1 import files_pb2
from protos.petition.v1 import petition_pb2 as petition
from protos.petition.v1 import registers_pb2 as pb
from protos.petition.v1.registers_pb2_grpc import RegisterServiceServicer
from services.chassis import audit, clock, identity, paging, sheet_out, sheets
from services.chassis.clock import legal_date
from services.chassis.database import Tx
from services.chassis.ids import uuid7
from services.chassis.masking import mask_text
from services.chassis.refusal import Exhausted, Forbidden, IllegalMove, Invalid, NotFound
from services.chassis.uploads import Incoming
from services.petition.adapters import counts, job_store, messages
from services.petition.adapters.counts import CountBy
from services.petition.adapters.job_import import SUBJECT
from services.petition.adapters.job_store import BAD, RESULT, SOURCE, SUSPECTED, JobRow
from services.petition.adapters.messages import number, term
from services.petition.adapters.rpc import Office
from services.petition.application.ports import Filters
from services.petition.application.queries import position_of
from services.petition.domain import register_columns
from services.petition.domain.job import STATE_ZH, Job, JobKind, JobState, no_job, shortened
from services.petition.domain.register_columns import Headings

Context = grpc.ServicerContext
OPTIONS = ("dry_run", "sheet", "source_system")
MOST_OPEN = 10
REVEAL = "petition.reveal"
LARGEST_PIECE = 1 << 20
messages.CONTRACT |= {
    JobKind: (pb.JobKind, "JOB_KIND"),
    JobState: (pb.JobState, "JOB_STATE"),
    CountBy: (pb.CountBy, "COUNT_BY"),
}
FORMS = {pb.REGISTER_FORM_XLSX: "xlsx", pb.REGISTER_FORM_CSV: "csv", pb.REGISTER_FORM_UNSPECIFIED: "xlsx"}


@dataclass(frozen=True)
class ImportOptions:
    """What the sender chose."""

    dry_run: bool = False
    sheet: str = ""
    source_system: str = ""


class RegisterService(RegisterServiceServicer):
    """Registers in, registers out."""

    def __init__(self, office: Office, wake: Callable[[], None]) -> None:
        self.office = office
        self.wake = wake

    def ImportPetitions(self, request_iterator: Iterator[files_pb2.Upload], _: Context) -> pb.Job:
        incoming = Incoming(request_iterator)
        options = _options(incoming.options)
        with tempfile.NamedTemporaryFile(prefix="register-") as file:
            for piece in incoming.pieces():
                file.write(piece)
            file.flush()
            job = _ordered(incoming, options, Path(file.name))
            same = files_pb2.UploadHeader(
                id="petitions:import", filename=incoming.name, sha256=incoming.sha256, request_id=incoming.request_id,
                options=[files_pb2.UploadOption(key=key, value=value) for key, value in incoming.options.items()],
            )  # fmt: skip

            def order(tx: Tx) -> pb.Job:
                self._not_too_many(tx)
                job_store.add(tx, job)
                job_store.keep_file(tx, job.id, SOURCE, _pieces(file))
                audit.write(
                    tx, "petition.import_order", SUBJECT, job.id, sha256=job.sha256, form=job.form,
                    dry_run=job.dry_run, size=incoming.size,
                )  # fmt: skip
                tx.after_commit(self.wake)
                return _job(job)

            return self.office.once.run(same, pb.Job, order)

    def ExportPetitions(self, request: pb.ExportPetitionsRequest, _: Context) -> pb.Job:
        caller = identity.current()
        revealed = bool(request.reveal_reason.strip())
        if revealed and not caller.may(REVEAL):
            raise Forbidden(
                "PERMISSION_DENIED",
                "您没有“查看个人信息明文”的权限,请不填理由导出遮盖后的登记表。",
                "You may not see personal data in clear; export without reveal_reason.",
                permission=REVEAL,
            )
        messages.filters(request.filter)

        def order(tx: Tx) -> pb.Job:
            self._not_too_many(tx)
            chosen = json_format.MessageToJson(request.filter, indent=None, sort_keys=True)
            job = Job(
                uuid7(), JobKind.EXPORT, caller, tx.now, FORMS[request.form], filter=chosen, revealed=revealed,
                reveal_reason=mask_text(request.reveal_reason.strip(), ()),
            )  # fmt: skip
            job_store.add(tx, job)
            audit.write(
                tx, "petition.export_order", SUBJECT, job.id, form=job.form, revealed=revealed,
                reason=job.reveal_reason,
            )  # fmt: skip
            tx.after_commit(self.wake)
            return _job(job)

        return self.office.once.run(request, pb.Job, order)

    def GetJob(self, request: pb.GetJobRequest, _: Context) -> pb.Job:
        with self.office.db.reading() as conn:
            job = _seen(job_store.find(conn, request.id))
            found = [job_store.rows(conn, job.id, kind) for kind in (BAD, SUSPECTED)]
        return _job(job, *found)

    def ListJobs(self, request: pb.ListJobsRequest, _: Context) -> pb.ListJobsResponse:
        kind = term(JobKind, request.kind) if request.kind else None
        states = frozenset(term(JobState, one) for one in request.states if one)
        size, narrowed = paging.page_size(request.page_size), f"jobs {kind} {sorted(states)}"
        after = position_of(paging.decode_token(request.page_token, narrowed))
        with self.office.db.reading() as conn:
            found = job_store.page(conn, identity.current(), kind, states, after, size + 1)
        token = ""
        if len(found) > size:
            token = paging.encode_token((found[size - 1].created_at.isoformat(), found[size - 1].id), narrowed)
        return pb.ListJobsResponse(jobs=map(_job, found[:size]), next_page_token=token)

    def CancelJob(self, request: pb.CancelJobRequest, _: Context) -> pb.Job:
        with self.office.db.transaction() as tx:
            job = _seen(job_store.locked(tx, request.id))
            job.ask_to_end(tx.now)
            job_store.save(tx, job)
            audit.write(tx, "petition.cancel_job", SUBJECT, job.id, rows_done=job.rows_done)
        return _job(job)

    def ReadJobFile(self, request: files_pb2.ReadRequest, _: Context) -> files_pb2.Piece:
        with self.office.db.reading() as conn:
            job = _own(job_store.find(conn, request.id))
            _has_file(job)
            length = min(request.length or job_store.PIECE, LARGEST_PIECE)
            data = job_store.read_file(conn, job.id, RESULT, request.offset, length)
        if request.offset == 0:
            with self.office.db.transaction() as tx:
                audit.write(tx, "petition.read_job_file", SUBJECT, job.id, rows=job.rows_bad or job.rows_done)
        return files_pb2.Piece(
            data=data, total=job.result_size, content_type=sheet_out.TYPES[job.form], filename=_file_name(job),
            sha256=job.result_sha256,
        )  # fmt: skip

    def CountPetitions(self, request: pb.CountPetitionsRequest, _: Context) -> pb.CountPetitionsResponse:
        by = term(CountBy, request.by) if request.by else None
        with self.office.db.reading() as conn:
            total, groups = counts.count(conn, identity.current(), _filters(request), by, self.office.directory)
        return pb.CountPetitionsResponse(
            total=pb.Tally(**vars(total)), groups=[pb.Tally(**vars(group)) for group in groups]
        )

    def _not_too_many(self, tx: Tx) -> None:
        if job_store.count_open(tx.conn, tx.identity.account) >= MOST_OPEN:
            raise Exhausted(
                "TOO_MANY_JOBS",
                f"您已有 {MOST_OPEN} 个任务未完成,请等其中一个完成或取消后再试。",
                f"{MOST_OPEN} of your jobs are not over; wait for one, or cancel it.",
            )


def _ordered(incoming: Incoming, options: ImportOptions, path: Path) -> Job:
    """The job of a file whose headings were looked at. Raises Invalid when it cannot be a register."""
    sheet, headings = _looked_at(path, options.sheet)
    return Job(
        uuid7(), JobKind.IMPORT, identity.current(), clock.now(), sheet.form, shortened(incoming.name), sheet.name,
        incoming.sha256, options.source_system, options.dry_run, headings=list(headings.understood),
        unknown_headings=list(headings.unknown), skipped_headings=list(headings.skipped),
    )  # fmt: skip


def _looked_at(path: Path, sheet: str) -> tuple[sheets.Sheet, Headings]:
    facts, rows = sheets.read(path, sheet=sheet, headings=register_columns.known_headings())
    # The job reads the rows; the child ends here.
    rows.close()
    return facts, register_columns.understand(facts.headings)


def _options(given: dict[str, str]) -> ImportOptions:
    for key in sorted(set(given) - set(OPTIONS)):
        raise Invalid(
            key[:40],
            f"没有这个选项,可用的有:{'、'.join(OPTIONS)}。",
            f"There is no such option; there are {', '.join(OPTIONS)}.",
        )
    flag = given.get("dry_run", "").strip().casefold()
    if flag not in ("", "true", "false", "1", "0"):
        raise Invalid("dry_run", "试运行请填 true 或 false。", "dry_run takes true or false.")
    source = given.get("source_system", "").strip()
    if len(source) > 40:
        raise Invalid("source_system", "来源系统最多 40 个字。", "source_system takes at most 40 characters.")
    return ImportOptions(flag in ("true", "1"), given.get("sheet", "").strip(), source)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(job_store.PIECE):
        yield piece


def _filters(request: pb.CountPetitionsRequest) -> Filters:
    """The filters of a list that make sense for counts."""
    same = petition.ListPetitionsRequest(
        states=request.states, channels=request.channels, division_prefix=request.division_prefix,
        received_from=request.received_from, received_to=request.received_to, source_system=request.source_system,
        import_job_id=request.import_job_id, leader_reception=request.leader_reception,
    )  # fmt: skip
    return messages.filters(same)


def _seen(job: Job) -> Job:
    if not job.seen_by(identity.current()):
        raise no_job(job.id)
    return job


def _own(job: Job) -> Job:
    # The file holds personal data in clear; whoever may see how far a job is need not see that.
    if job.identity.account != identity.current().account:
        raise no_job(job.id)
    return job


def _has_file(job: Job) -> None:
    if job.is_open:
        raise IllegalMove(
            "JOB_STATE",
            f"该任务{STATE_ZH[job.state]},完成后才能下载文件。",
            f"The job is {job.state}; its file can be read when it has ended.",
            state=job.state.value,
            allowed_states="DONE,CANCELLED,FAILED",
        )
    if not job.result_size:
        raise NotFound(
            "NO_FILE",
            "该任务没有文件:没有未导入的行,或已超过七天保存期。",
            "The job has no file: no row was refused, or the seven days are over.",
        )


def _file_name(job: Job) -> str:
    day = legal_date(job.created_at)
    title = "未导入的行" if job.kind is JobKind.IMPORT else "信访登记表"
    return f"{title}-{day}-{job.id[-6:]}.{job.form}"


def _job(job: Job, bad: Sequence[JobRow] = (), suspected: Sequence[JobRow] = ()) -> pb.Job:
    form = pb.REGISTER_FORM_CSV if job.form == "csv" else pb.REGISTER_FORM_XLSX
    counted = ("total", "done", "accepted", "already", "suspected", "bad", "left")
    return pb.Job(
        id=job.id, kind=number(job.kind), state=number(job.state),
        dry_run=job.dry_run, file_name=job.file_name, form=form, sheet=job.sheet, sha256=job.sha256,
        source_system=job.source_system, headings=[pb.Heading(written=w, meaning=m) for w, m in job.headings],
        unknown_headings=job.unknown_headings, skipped_headings=job.skipped_headings, bad_rows=map(_row, bad),
        suspected_rows=map(_row, suspected), ordered_by=job.identity.account, unit=job.identity.unit,
        created_at=_stamp(job.created_at), started_at=_stamp(job.started_at), ended_at=_stamp(job.ended_at),
        failure=job.failure_zh, failure_en=job.failure_en, file_ready=bool(job.result_size) and not job.is_open,
        file_until=_stamp(job.file_until), revealed=job.revealed,
        **{f"rows_{name}": getattr(job, f"rows_{name}") for name in counted},
    )  # fmt: skip


def _row(said: JobRow) -> pb.JobRow:
    return pb.JobRow(row=said.row, reason=said.reason, case_number=said.case_number, resembles=said.resembles)


def _stamp(at: datetime | None) -> Timestamp | None:
    if at is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp
