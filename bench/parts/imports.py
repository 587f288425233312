"""How fast a register comes in: 10,000 rows as .xlsx through the gateway, beside registering them one by one."""

from __future__ import annotations

import time
from datetime import date
from functools import cache
from typing import Any

from openpyxl import Workbook

from bench import cases
from bench.figures import Figure
from bench.ground import District, Ground
from bench.rounds import Round
from e2e.system import eventually
from services.chassis.directory_entries import DIVISIONS, VILLAGE_LEVELS
from services.chassis.directory_shipped import shipped
from services.chassis.sheets import read
from services.chassis.tests.workbooks import saved
from services.http_client import Gateway

TITLE = "登记表导入 · bringing a register in"
ROWS = 10_000
HEADINGS = ("来访日期", "批次", "人次", "渠道", "姓名", "电话", "证件号码", "住址", "概况", "诉求", "属地", "领导接访")
SECONDS, PER_ROUND = 4.0, 6000
OVER = ("JOB_STATE_DONE", "JOB_STATE_CANCELLED", "JOB_STATE_FAILED")
WITHIN_S = 600.0
FIRST = date(2021, 1, 1)


def measure(ground: Ground) -> list[Figure]:
    """From sending the file until the job says that it is done, on PostgreSQL; then single registrations over gRPC."""
    content = _register(ground)
    reading = _reading_seconds(content)
    with ground.district("serve-grid", "serve-petition", "gateway") as district:
        gateway = _lead(district)
        began = time.monotonic()
        job = gateway.upload("/v1/petitions:import", "登记.xlsx", content, {})
        job = eventually(lambda: _over(gateway, job["id"]), "the register is in", WITHIN_S)
        took = time.monotonic() - began
        if job["rows_accepted"] != ROWS:
            raise AssertionError(f"{job['rows_accepted']} of {ROWS} rows came in: {job['bad_rows'][:3]}")
        single = _one_by_one(ground, district)
    rate = ROWS / took
    zh = f"{ROWS:,} 行 .xlsx 经网关导入(PostgreSQL),从上传到任务完成;裸极限一列是同一次运行里 16 个并发逐件登记的速度"
    found = [
        Figure("import_rows_per_s", round(rate, 1), "rows/s", zh, ROWS, round(single, 1)),
        Figure("import_ratio", round(rate / single, 3), "ratio", "同上,与逐件登记之比", ROWS, 1.0),
        Figure("import_read_rows_per_s", round(ROWS / reading, 1), "rows/s", "其中只读表格(子进程)的速度", ROWS),
    ]
    for figure in found:
        print(figure.line, flush=True)
    return found


def _register(ground: Ground) -> bytes:
    book = Workbook(write_only=True)
    sheet = book.create_sheet("登记")
    sheet.append(HEADINGS)
    for number in range(ROWS):
        sheet.append(_row(ground, number))
    return saved(book)


@cache
def _villages() -> tuple[str, ...]:
    """Codes that held on every day of the register."""
    return tuple(e.code for e in shipped(DIVISIONS) if e.level in VILLAGE_LEVELS and e.holds(FIRST) and not e.valid_to)


def _row(ground: Ground, number: int) -> list[Any]:
    body = cases.registration(ground.random)
    person = body["representatives"][0]
    return [
        f"20{21 + number % 5}-{1 + number % 12:02}-{1 + number % 28:02}", str(number), 1 + number % 3, "走访",
        person["name"], person.get("phone", ""), person.get("id_no", ""), person.get("address", ""), body["subject"],
        body["content"], ground.random.choice(_villages()), "是" if number % 9 == 0 else "否",
    ]  # fmt: skip


def _reading_seconds(content: bytes) -> float:
    began = time.monotonic()
    _, rows = read(content, headings=HEADINGS)
    if sum(1 for _ in rows) != ROWS:
        raise AssertionError("rows are missing")
    return time.monotonic() - began


def _lead(district: District) -> Gateway:
    """The demo account that may bring registers in."""
    from e2e.test_registers import lead

    return lead(district)


def _over(gateway: Gateway, job_id: str) -> Any:
    time.sleep(0.2)
    job = gateway.get(f"/v1/jobs/{job_id}")
    return job if job["state"] in OVER else None


def _one_by_one(ground: Ground, district: District) -> float:
    def once() -> Round:
        frames = cases.registrations(ground.random, PER_ROUND)
        return ground.load.grpc(district.address(), cases.REGISTER, frames, SECONDS, district.metadata())

    once()
    return once().rate
