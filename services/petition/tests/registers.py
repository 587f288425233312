"""Registers in few words: rows become a file, the file is sent as the gateway sends it, and a worker works at it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from openpyxl import Workbook, load_workbook

from protos.files.v1.files_pb2 import ReadRequest, Upload, UploadHeader, UploadOption
from protos.petition.v1 import registers_pb2 as pb
from services.chassis.ids import uuid7
from services.petition.adapters.job_worker import JobWorker
from services.petition.adapters.rpc_registers import RegisterService
from services.petition.tests.hall import Hall

HEADINGS = ("来访日期", "批次", "人次", "渠道", "姓名", "电话", "概况", "诉求", "属地", "承办单位", "领导接访")
VILLAGE = "341702102000"


def a_row(**over: Any) -> list[Any]:
    """A visit of one invented person; what matters to a test is given over it."""
    row = {
        "来访日期": "2021-03-05", "批次": "1", "人次": 1, "渠道": "走访", "姓名": "赵小满", "电话": "13800001234",
        "概况": "宅基地界址", "诉求": "请求依法确界。", "属地": VILLAGE, "承办单位": "", "领导接访": "否",
    }  # fmt: skip
    return [{**row, **over}[name] for name in HEADINGS]


def xlsx(rows: Iterable[Sequence[Any]], headings: Sequence[str] = HEADINGS, title: str = "登记表") -> bytes:
    """A workbook of one sheet."""
    book = Workbook()
    sheet = book.active
    sheet.title = title
    for row in (headings, *rows):
        sheet.append(list(row))
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


def text(rows: Iterable[Sequence[Any]], headings: Sequence[str] = HEADINGS, encoding: str = "utf-8") -> bytes:
    """The same as CSV."""
    made = io.StringIO()
    csv.writer(made).writerows([headings, *rows])
    return made.getvalue().encode(encoding)


def upload(content: bytes, name: str = "登记表.xlsx", request_id: str = "", **options: str) -> Iterator[Upload]:
    """The messages in which a file comes."""
    chosen = [UploadOption(key=key, value=value) for key, value in options.items()]
    yield Upload(header=UploadHeader(filename=name, request_id=request_id, options=chosen))
    for at in range(0, len(content), 1 << 18):
        yield Upload(data=content[at : at + (1 << 18)])


class Registers:
    """The RPCs of registers, and a worker that works when told."""

    def __init__(self, hall: Hall) -> None:
        self.hall = hall
        self.worker = JobWorker(hall.office)
        self.rpc = RegisterService(hall.office, lambda: None)

    def send(self, content: bytes, **options: str) -> pb.Job:
        """A file is sent; nothing works at it yet."""
        return self.rpc.ImportPetitions(upload(content, **options), None)

    def bring_in(self, content: bytes, **options: str) -> pb.Job:
        """A file is sent and worked at to its end."""
        job = self.send(content, **options)
        assert self.worker.work_once()
        return self.job(job.id)

    def job(self, job_id: str) -> pb.Job:
        """How far a job is."""
        return self.rpc.GetJob(pb.GetJobRequest(id=job_id), None)

    def export(self, **over: Any) -> pb.Job:
        """A register goes out."""
        job = self.rpc.ExportPetitions(pb.ExportPetitionsRequest(request_id=uuid7(), **over), None)
        assert self.worker.work_once()
        return self.job(job.id)

    def file(self, job_id: str) -> bytes:
        """The file of a job, piece by piece."""
        found = b""
        while True:
            piece = self.rpc.ReadJobFile(ReadRequest(id=job_id, offset=len(found), length=1000), None)
            found += piece.data
            if len(found) >= piece.total:
                return found

    def count(self, by: int = 0, **filters: Any) -> pb.CountPetitionsResponse:
        """How many there are."""
        return self.rpc.CountPetitions(pb.CountPetitionsRequest(by=by, **filters), None)


def read_xlsx(content: bytes) -> list[list[Any]]:
    """The cells of a workbook's first sheet."""
    sheet = load_workbook(io.BytesIO(content)).worksheets[0]
    return [list(row) for row in sheet.iter_rows(values_only=True)]
