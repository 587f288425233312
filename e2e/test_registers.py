"""A hall brings its register in and sends it out, by the command and over the gateway, on a bad day too."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import LOCAL_SQLITE, RABBIT_POSTGRES, on
from e2e.people import Typed
from e2e.system import System, eventually, new_request_id
from infra.launch import ROOT
from infra.tools import example_register
from services.http_client import Gateway, GatewaySaid

pytestmark = pytest.mark.e2e

HEADINGS = ("来访日期", "批次", "人次", "渠道", "姓名", "电话", "住址", "概况", "诉求", "属地", "领导接访")
OVER = ("JOB_STATE_DONE", "JOB_STATE_CANCELLED", "JOB_STATE_FAILED")
DEATHS = {"all": "all", "serve": "serve-petition"}


@pytest.fixture
def typed() -> Typed:
    return Typed()


def login(system: System, account: str) -> dict[str, str]:
    """One of the demo accounts."""
    logins = json.loads((system.folder / "data" / "demo-logins.json").read_text())["logins"]
    return next(one for one in logins if one["account"] == account)


def lead(system: System) -> Gateway:
    """The hall's lead, signed in."""
    gateway = Gateway(system.gateway)
    known = login(system, "demo-lead")

    def sign_in() -> None:
        gateway.sign_in(known["account"], known["password"])

    gateway.sign_in_again = sign_in
    sign_in()
    return gateway


def rows(typed: Typed, count: int, **over: Any) -> list[list[Any]]:
    """Visits of invented persons."""
    person = typed.person()
    row = {
        "来访日期": "2021-03-05", "批次": "", "人次": 2, "渠道": "走访", "姓名": person["name"],
        "电话": person["phone"],
        "住址": person["address"], "概况": "道路损坏", "诉求": typed.text("村口道路塌陷,请求修复登记表所述路段。"),
        "属地": "墩上街道双河村", "领导接访": "否",
    }  # fmt: skip
    return [[{**row, "批次": str(n), **over}[name] for name in HEADINGS] for n in range(count)]


def text(lines: Sequence[Sequence[Any]], mark: str = "") -> bytes:
    """A register as CSV; a mark makes it another file."""
    made = io.StringIO()
    csv.writer(made).writerows([*([[mark]] if mark else []), HEADINGS, *lines])
    return made.getvalue().encode("gb18030")


def send(gateway: Gateway, content: bytes, **fields: str) -> Any:
    """A file is sent; the job goes on by itself."""
    return gateway.upload("/v1/petitions:import", "登记.csv", content, {"request_id": new_request_id(), **fields})


def finished(gateway: Gateway, job_id: str, timeout: float = 240) -> Any:
    """The job when it is over."""

    def over() -> Any:
        job = gateway.get(f"/v1/jobs/{job_id}")
        return job if job["state"] in OVER else None

    return eventually(over, f"job {job_id} ends", timeout)


def counts(job: Any) -> tuple[int, int, int, int, int]:
    return tuple(job[f"rows_{name}"] for name in ("total", "accepted", "already", "bad", "left"))


def run_import(system: System, file: Path, *words: str) -> subprocess.Popen[str]:
    """`zongzhi import` as a person types it, on a machine that knows nothing but the gateway."""
    known = login(system, "demo-lead")
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env = {**kept, "ZONGZHI_PASSWORD": known["password"], "ZONGZHI_GATEWAY": system.gateway}
    command = [sys.executable, "-m", "services", "import", str(file), "--account", known["account"], *words]
    return subprocess.Popen(
        command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
class TestImport:
    def test_bad_rows_come_back_are_corrected_and_sent_again(self, district, typed, tmp_path):
        good, bad = rows(typed, 5, 批次="bad-a"), rows(typed, 2, 渠道="飞鸽", 批次="bad-b")
        file, back = tmp_path / "登记.csv", tmp_path / "未导入.csv"
        file.write_bytes(text([*good, *bad], new_request_id()))
        first = run_import(district, file, "--bad-rows", str(back), "--json")
        out, said = first.communicate(timeout=120)
        assert first.returncode == 3, said
        assert counts(json.loads(out)) == (7, 5, 0, 2, 0)
        assert "渠道请写其中之一" in said
        assert not typed.found_in(said + out)
        assert back.stat().st_mode & 0o077 == 0
        back.write_text(back.read_text(encoding="utf-8-sig").replace("飞鸽", "来信"), encoding="utf-8")
        second = run_import(district, back, "--json")
        out, said = second.communicate(timeout=120)
        assert second.returncode == 0, said
        assert counts(json.loads(out)) == (2, 2, 0, 0, 0)
        third = run_import(district, file, "--json")
        assert counts(json.loads(third.communicate(timeout=120)[0])) == (7, 0, 5, 2, 0)

    def test_a_file_without_headings_is_refused_at_once_with_those_that_are_missing(self, district, tmp_path):
        file = tmp_path / "登记.csv"
        file.write_text("电话,甲\n1,2\n")
        run = run_import(district, file)
        _, said = run.communicate(timeout=60)
        assert run.returncode == 2
        assert "缺少必需的表头:来访日期、渠道、姓名、属地" in said

    def test_kill_9_in_the_middle_and_every_row_is_in_once(self, district, typed):
        gateway, count = lead(district), 2500
        job = send(gateway, text(rows(typed, count), new_request_id()))

        def half_way() -> Any:
            seen = gateway.get(f"/v1/jobs/{job['id']}")
            assert seen["state"] not in OVER, "it was over before it could be killed"
            return seen if 0 < seen["rows_done"] < count - 300 else None

        before = eventually(half_way, "rows are coming in")
        name = next(name for name in district.processes if name in DEATHS.values())
        district.kill(name)
        district.start(name)
        eventually(district.ready, "the district answers again", 120)
        after = finished(gateway, job["id"])
        assert before["rows_done"] < count
        assert counts(after) == (count, count, 0, 0, 0)
        counted = gateway.get("/v1/petitions:count", import_job_id=job["id"])
        assert (int(counted["total"]["visits"]), int(counted["total"]["persons"])) == (count, 2 * count)

    def test_a_job_is_cancelled_and_the_same_file_goes_on_where_it_ended(self, district, typed):
        gateway, count = lead(district), 1500
        content = text(rows(typed, count), new_request_id())
        job = send(gateway, content)
        eventually(lambda: gateway.get(f"/v1/jobs/{job['id']}")["rows_done"], "rows are coming in")
        gateway.call("POST", f"/v1/jobs/{job['id']}:cancel", {})
        ended = finished(gateway, job["id"])
        assert ended["state"] == "JOB_STATE_CANCELLED"
        assert ended["rows_done"] + ended["rows_left"] == count
        again = finished(gateway, send(gateway, content)["id"])
        assert counts(again) == (count, count - ended["rows_accepted"], ended["rows_accepted"], 0, 0)

    def test_ctrl_c_leaves_the_job_running_and_says_how_to_look(self, district, typed, tmp_path):
        file = tmp_path / "登记.csv"
        file.write_bytes(text(rows(typed, 3000), new_request_id()))
        gateway = lead(district)

        def running() -> list[str]:
            found = gateway.get("/v1/jobs").get("jobs", [])
            return [job["id"] for job in found if job["state"] == "JOB_STATE_RUNNING" and int(job["rows_accepted"])]

        run = run_import(district, file)
        # Rows come in only after the command has heard which job it is.
        eventually(running, "the first rows are in")
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=30)
        assert run.returncode == 130, said
        job_id = said.split("--job ")[1].split()[0]
        assert finished(gateway, job_id)["rows_accepted"] == 3000

    def test_who_may_not_bring_registers_in_is_refused(self, district, typed):
        clerk = Gateway(district.gateway)
        known = login(district, "demo")
        clerk.sign_in(known["account"], known["password"])
        with pytest.raises(GatewaySaid) as said:
            send(clerk, text(rows(typed, 1)))
        assert said.value.status == 403

    def test_the_example_register_has_the_published_totals(self, district, tmp_path):
        file = tmp_path / "来访登记.xlsx"
        file.write_bytes(example_register.workbook())
        run = run_import(district, file)
        _, said = run.communicate(timeout=180)
        assert run.returncode == 0, said
        gateway = lead(district)
        for by in ("COUNT_BY_CHANNEL", "COUNT_BY_MONTH", "COUNT_BY_TOWN", "COUNT_BY_LEADER_RECEPTION"):
            counted = gateway.get("/v1/petitions:count", by=by, source_system=example_register.SOURCE_SYSTEM)
            sums = [sum(int(group[what]) for group in counted["groups"]) for what in ("visits", "persons")]
            assert sums == [389, 952]
        leaders = {group["key"]: group for group in counted["groups"]}["true"]
        assert (int(leaders["visits"]), int(leaders["persons"])) == (75, 101)


@pytest.fixture
def empty_district(tmp_path: Path) -> Iterator[System]:
    with System(tmp_path / "empty") as system:
        yield system


def exported(gateway: Gateway, **body: Any) -> bytes:
    """A register as it goes out, as text."""
    order = {"request_id": new_request_id(), "form": "REGISTER_FORM_CSV", **body}
    job = finished(gateway, gateway.call("POST", "/v1/petitions:export", order)["id"])
    assert job["state"] == "JOB_STATE_DONE", job
    return gateway.download(f"/v1/jobs/{job['id']}/file")


@on(LOCAL_SQLITE)
def test_out_into_an_empty_district_and_out_again_gives_the_same_rows(district, empty_district):
    here, there = lead(district), lead(empty_district)
    finished(here, here.upload("/v1/petitions:import", "例.csv", example_register.text(7), {})["id"])
    chosen = {"filter": {"source_system": example_register.SOURCE_SYSTEM}, "reveal_reason": "两区核对登记表"}
    sent = exported(here, **chosen)
    assert finished(there, there.upload("/v1/petitions:import", "例.csv", sent, {})["id"])["rows_accepted"] == 389
    back = exported(there, **chosen)
    first, second = (
        [row[1:] for row in csv.reader(io.StringIO(content.decode("utf-8-sig")))] for content in (sent, back)
    )
    assert len(first) == 390
    assert first == second
    masked = exported(there).decode("utf-8-sig")
    assert "138****" in masked
    assert "1380000" not in masked
