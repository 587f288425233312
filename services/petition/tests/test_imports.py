"""A register comes in row by row: good rows once, bad rows back with their reasons, whatever happens on the way."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from protos.petition.v1 import petition_pb2
from protos.petition.v1 import registers_pb2 as pb
from services.chassis import clock, sheets
from services.chassis.codes import valid_mod37_36
from services.chassis.refusal import Exhausted, IllegalMove, Invalid, NotFound
from services.chassis.sweeper import sweep_once
from services.petition.adapters import job_import, job_store
from services.petition.adapters.job_store import LeaseLost
from services.petition.adapters.job_worker import JobWorker
from services.petition.adapters.tables import petitions
from services.petition.adapters.tables_jobs import jobs
from services.petition.application.import_case import import_case
from services.petition.tests.hall import COMMAND, HALL, JUSTICE, LABOUR, TOWN, an_officer, days_ago, refused
from services.petition.tests.registers import HEADINGS, Registers, a_row, read_xlsx, upload, without_children, xlsx
from services.petition.tests.registers import text as csv_of

OLD = (*HEADINGS, "原系统编号", "来源系统", "状态", "受理日期", "办结日期", "处理结果")


@pytest.fixture
def registers(hall, monkeypatch):
    without_children(monkeypatch)
    return Registers(hall)


def an_old_row(number, **over):
    given = {
        "原系统编号": number,
        "来源系统": "老系统",
        "状态": "",
        "受理日期": "",
        "办结日期": "",
        "处理结果": "",
        **over,
    }
    extra = [given.pop(name) for name in OLD[len(HEADINGS) :]]
    return [*a_row(**given), *extra]


def counts(job):
    return job.rows_total, job.rows_accepted, job.rows_already, job.rows_bad, job.rows_left


class TestRows:
    def test_good_rows_come_in_and_bad_ones_come_back_with_row_and_reason(self, hall, registers):
        job = registers.bring_in(xlsx([a_row(), a_row(渠道="飞鸽", 姓名="钱多多"), a_row(姓名="孙三")]))
        assert job.state == pb.JOB_STATE_DONE
        assert counts(job) == (3, 2, 0, 1, 0)
        assert [(row.row, row.reason) for row in job.bad_rows] == [
            (3, "渠道请写其中之一:走访、书信、电话、传真、信息网络。")
        ]
        heading, bad = read_xlsx(registers.file(job.id))
        assert heading == ["行号", "原因", *HEADINGS]
        assert (bad[0], bad[6]) == (3, "钱多多")
        assert len(hall.listed()) == 2

    def test_the_corrected_file_of_bad_rows_brings_the_rest_in(self, hall, registers):
        job = registers.bring_in(csv_of([a_row(), a_row(渠道="飞鸽", 姓名="钱多多")]))
        back = registers.file(job.id).decode("utf-8-sig")
        again = registers.bring_in(back.replace("飞鸽", "来信").encode())
        assert counts(again) == (1, 1, 0, 0, 0)
        assert list(again.skipped_headings) == ["行号", "原因"]
        assert len(hall.listed()) == 2

    def test_a_second_round_of_bad_rows_does_not_heap_columns(self, registers):
        first = registers.bring_in(csv_of([a_row(渠道="飞鸽")]))
        second = registers.bring_in(registers.file(first.id))
        heading = registers.file(second.id).decode("utf-8-sig").splitlines()[0]
        assert heading.split(",").count("行号") == 1

    def test_what_comes_in_has_number_line_clock_and_job(self, hall, registers):
        job = registers.bring_in(xlsx([a_row(批次="7", 领导接访="是", 人次=4)]))
        (petition,) = hall.listed(import_job_id=job.id)
        assert valid_mod37_36(petition.case_number)
        assert "210305" in petition.case_number
        assert (petition.batch_no, petition.leader_reception, petition.person_count) == ("7", True, 4)
        assert hall.kinds(petition.id) == ["petition.imported"]
        assert hall.timeline(petition.id)[0].text.startswith("由登记表导入(走访)")
        assert petition.clocks[0].started_on == "2021-03-05"
        assert petition.representatives[0].name == "赵**"
        assert petition.registered_unit == HALL
        assert hall.listed(leader_reception=True)[0].id == petition.id
        assert hall.find(phone="138 0000 1234")[0].id == petition.id

    def test_the_audit_tells_rows_and_job_and_for_whom(self, hall, registers):
        job = registers.bring_in(xlsx([a_row(), a_row(渠道="飞鸽")]))
        (batch,), (whole,), (order,) = (
            hall.audited(action) for action in ("petition.import_rows", "petition.import", "petition.import_order")
        )
        assert {batch.subject_id, whole.subject_id, order.subject_id} == {job.id}
        assert (batch.actor, batch.on_behalf_of, batch.unit) == ("system:petition", "clerk", HALL)
        assert '"accepted":1' in batch.details
        assert '"bad":1' in whole.details
        assert "赵" not in batch.details + whole.details + order.details

    def test_a_dry_run_says_the_same_and_keeps_nothing(self, hall, registers):
        content = xlsx([a_row(), a_row(渠道="飞鸽")])
        job = registers.bring_in(content, dry_run="true")
        assert (job.dry_run, counts(job)) == (True, (2, 1, 0, 1, 0))
        assert hall.listed() == []
        assert registers.file(job.id)
        assert counts(registers.bring_in(content)) == (2, 1, 0, 1, 0)

    def test_the_accused_unit_is_not_given_the_case(self, hall, registers):
        headings = (*HEADINGS, "信访类别", "被检举单位")
        job = registers.bring_in(
            xlsx([[*a_row(承办单位=LABOUR), "检举控告", LABOUR], [*a_row(姓名="钱多多"), "检举控告", LABOUR]], headings)
        )
        assert counts(job) == (2, 1, 0, 1, 0)
        with hall.as_(an_officer(LABOUR)):
            assert hall.listed() == []

    def test_a_division_outside_of_the_callers_scope_is_refused(self, hall, registers):
        with hall.as_(an_officer(scope="341702102")):
            job = registers.bring_in(xlsx([a_row(), a_row(属地="341702006206", 姓名="钱多多")]))
        assert counts(registers.job(job.id)) == (2, 1, 0, 1, 0)
        assert "不在您的管辖范围" in registers.job(job.id).bad_rows[0].reason


class TestOnce:
    def test_the_same_file_again_is_there_already(self, hall, registers):
        content = xlsx([a_row(), a_row(姓名="钱多多"), a_row(渠道="飞鸽")])
        registers.bring_in(content)
        again = registers.bring_in(content)
        assert counts(again) == (3, 0, 2, 1, 0)
        assert len(hall.listed()) == 2
        numbers = [p.case_number for p in hall.listed()]
        registers.bring_in(xlsx([a_row(姓名="孙三")]))
        # A file that brings nothing spends no case numbers either.
        assert {p.case_number[20:24] for p in hall.listed() if p.case_number not in numbers} == {"0003"}

    def test_another_sheet_of_the_same_file_is_another_register(self, registers):
        from openpyxl import Workbook

        from services.chassis.tests.workbooks import saved

        book = Workbook()
        book.active.title = "一月"
        for sheet, name in ((book.active, "赵小满"), (book.create_sheet("二月"), "钱多多")):
            sheet.append(HEADINGS)
            sheet.append(a_row(姓名=name))
        content = saved(book)
        assert counts(registers.bring_in(content)) == (1, 1, 0, 0, 0)
        assert counts(registers.bring_in(content, sheet="二月")) == (1, 1, 0, 0, 0)
        assert counts(registers.bring_in(content, sheet="二月")) == (1, 0, 1, 0, 0)

    def test_the_same_day_batch_and_name_is_told_and_not_dropped(self, hall, registers):
        first = hall.register(
            received_on="2021-03-05", batch_no="1", representatives=[{"name": "赵 小满", "phone": "13800009999"}]
        )
        job = registers.bring_in(xlsx([a_row(), a_row(批次="2"), a_row(来访日期="2021-03-06"), a_row(批次="2")]))
        assert (job.rows_accepted, job.rows_suspected) == (4, 2)
        told = {row.row: row.resembles for row in job.suspected_rows}
        assert told[2] == first.case_number
        assert set(told) == {2, 5}
        assert {p.suspected_duplicate_of for p in hall.listed(suspected_duplicate=True)} == set(told.values())

    def test_a_likeness_in_a_case_that_the_caller_may_not_see_is_not_told(self, hall, registers):
        accused = {"petition_class": petition_pb2.PETITION_CLASS_ACCUSATION, "accused_unit": JUSTICE}
        hall.register(received_on="2021-03-05", batch_no="1", representatives=[{"name": "赵小满"}], **accused)
        with hall.as_(an_officer(JUSTICE, more="read_all")):
            job = registers.bring_in(xlsx([a_row()]))
        assert (job.rows_accepted, job.rows_suspected) == (1, 0)

    def test_a_request_id_brings_one_job(self, registers):
        content, request_id = xlsx([a_row()]), "018f6f2e-7c1a-7d3b-8a4e-0123456789ab"
        first, second = (registers.rpc.ImportPetitions(upload(content, request_id=request_id), None) for _ in "ab")
        assert first.id == second.id
        with refused("REQUEST_ID_REUSED"):
            registers.rpc.ImportPetitions(upload(xlsx([a_row(人次=2)]), request_id=request_id), None)


class TestOldCases:
    def bring(self, registers, *rows):
        job = registers.bring_in(xlsx(rows, OLD))
        assert job.rows_bad == 0, job.bad_rows
        return job

    def test_an_open_case_comes_in_with_running_clocks(self, hall, registers):
        self.bring(
            registers,
            an_old_row("A-1", 来访日期=days_ago(3)),
            an_old_row("A-2", 来访日期=days_ago(20), 受理日期=days_ago(10), 姓名="钱多多", 承办单位=LABOUR),
        )
        new, taken = (hall.listed(external_no=number)[0] for number in ("A-1", "A-2"))
        assert (new.state, taken.state) == (
            petition_pb2.PETITION_STATE_REGISTERED,
            petition_pb2.PETITION_STATE_ACCEPTED,
        )
        assert [(c.kind, c.started_on, c.met_on) for c in new.clocks] == [("accept", days_ago(3), "")]
        assert [(c.kind, c.started_on, c.met_on) for c in taken.clocks] == [
            ("accept", days_ago(20), days_ago(10)), ("conclude", days_ago(10), ""),
        ]  # fmt: skip
        assert taken.responsible_unit == LABOUR
        hall.accept(new.id)
        hall.conclude(taken.id)

    def test_what_is_late_is_red_at_once_and_told_once(self, hall, registers):
        self.bring(registers, *(an_old_row(f"B-{n}", 来访日期=days_ago(100), 姓名=f"赵{n}") for n in range(3)))
        assert len(hall.listed(colour=petition_pb2.COLOUR_RED)) == 3
        assert sweep_once(hall.service, clock.now()) == 3
        assert sweep_once(hall.service, clock.now()) == 0
        for petition in hall.listed():
            assert len(hall.kinds(petition.id)) == 2

    def test_a_closed_case_has_its_result_and_no_running_clock(self, hall, registers):
        closed = {"状态": "已办结", "受理日期": days_ago(90), "办结日期": days_ago(20), "处理结果": "支持"}
        self.bring(registers, an_old_row("C-1", 来访日期=days_ago(95), **closed))
        (petition,) = hall.listed(source_system="老系统")
        assert (petition.state, petition.outcome) == (
            petition_pb2.PETITION_STATE_CONCLUDED, petition_pb2.OUTCOME_SUPPORTED,
        )  # fmt: skip
        assert [(c.kind, c.met_late) for c in petition.clocks] == [("accept", False), ("conclude", True)]
        assert sweep_once(hall.service, clock.now()) == 0
        hall.evaluate(petition.id)

    def test_a_refused_and_a_voided_case(self, hall, registers):
        declined = {"状态": "不予受理", "受理日期": days_ago(90)}
        self.bring(
            registers, an_old_row("D-1", 来访日期=days_ago(95), **declined), an_old_row("D-2", 状态="作废", 姓名="钱")
        )
        first, second = (hall.listed(external_no=number)[0] for number in ("D-1", "D-2"))
        assert first.reason == second.reason == "登记表未载明理由"
        assert {c.colour for c in second.clocks} == {petition_pb2.COLOUR_CANCELLED}
        assert sweep_once(hall.service, clock.now()) == 0

    def test_a_number_of_another_system_comes_in_once_from_whatever_file(self, hall, registers):
        self.bring(registers, an_old_row("E-1"))
        again = registers.bring_in(xlsx([an_old_row("E-1", 诉求="另一份登记表"), an_old_row("E-2", 姓名="钱")], OLD))
        assert counts(again) == (2, 1, 1, 0, 0)
        same = xlsx([an_old_row("E-3", 姓名="孙"), an_old_row("E-3", 姓名="孙")], OLD)
        assert counts(registers.bring_in(same)) == (2, 1, 1, 0, 0)
        with refused("EXTERNAL_NO_TAKEN"):
            hall.register(external_no="E-1", source_system="老系统")
        hall.register(external_no="E-1", source_system="新系统")

    def test_a_number_without_its_system_is_refused(self, registers):
        job = registers.bring_in(xlsx([an_old_row("F-1", 来源系统="")], OLD))
        assert "来源系统" in job.bad_rows[0].reason
        assert (
            registers.bring_in(xlsx([an_old_row("F-1", 来源系统="")], OLD), source_system="老系统").rows_accepted == 1
        )


class TestRefused:
    def test_a_file_without_headings_is_refused_before_there_is_a_job(self, registers):
        with pytest.raises(Invalid) as told:
            registers.send(xlsx([("1", "2")], ("甲", "乙")))
        assert "缺少必需的表头" in told.value.zh
        assert not registers.worker.work_once()

    def test_options_that_there_are_not(self, registers):
        for options in ({"dry_run": "vielleicht"}, {"colour": "red"}, {"sheet": "没有"}, {"source_system": "长" * 41}):
            with pytest.raises(Invalid):
                registers.send(xlsx([a_row()]), **options)

    def test_a_file_that_is_too_long_further_down_fails_and_nothing_came_in(self, hall, registers, monkeypatch):
        job = registers.send(xlsx([a_row(姓名=f"赵{n}") for n in range(5)]))
        read = sheets.read
        monkeypatch.setattr(sheets, "read", lambda *a, **kw: read(*a, **kw, max_rows=3))
        registers.worker.work_once()
        job = registers.job(job.id)
        assert (job.state, job.failure) == (pb.JOB_STATE_FAILED, "数据超过 3 行,请分成几个文件。")
        assert hall.listed() == []

    def test_nobody_orders_jobs_without_end(self, registers):
        for n in range(10):
            registers.send(csv_of([a_row(人次=n)]))
        with pytest.raises(Exhausted):
            registers.send(csv_of([a_row(人次=77)]))

    def test_a_row_that_the_database_refuses_is_a_bad_row(self, hall, registers, monkeypatch):
        from sqlalchemy.exc import DataError

        keep = import_case

        def refuse(work, petition_id, draft, *rest, **more):
            made = keep(work, petition_id, draft, *rest, **more)
            if draft.subject == "坏":
                raise DataError("x", {}, ValueError())
            return made

        monkeypatch.setattr(job_import, "import_case", refuse)
        content = xlsx([a_row(), a_row(概况="坏", 姓名="钱"), a_row(姓名="孙")])
        job = registers.bring_in(content)
        assert counts(job) == (3, 2, 0, 1, 0)
        # Nothing of it stayed, not even that it came: once the reason is gone it comes in.
        assert len(hall.listed()) == 2
        monkeypatch.setattr(job_import, "import_case", keep)
        assert counts(registers.bring_in(content)) == (3, 1, 2, 0, 0)
        assert len(hall.listed()) == 3

    def test_numbers_of_a_day_that_are_used_up_are_told_row_by_row(self, hall, registers):
        registers.bring_in(xlsx([a_row()]))
        with hall.db.transaction() as tx:
            tx.conn.execute(text("UPDATE number_blocks SET next = 9999"))
        job = registers.bring_in(xlsx([a_row(姓名="钱"), a_row(姓名="孙"), a_row(姓名="李", 来访日期="2021-03-06")]))
        assert counts(job) == (3, 2, 0, 1, 0)
        assert "用完" in job.bad_rows[0].reason


class TestJobs:
    def many(self, count=350):
        return csv_of([a_row(姓名=f"赵{n}", 渠道="飞鸽" if n % 50 == 49 else "走访") for n in range(count)])

    def interrupted(self, registers, monkeypatch, after):
        """A worker dies, as by kill -9, in the middle of a batch that it has not committed."""
        keep, kept = import_case, []

        def die(*given, **more):
            kept.append(1)
            if len(kept) == after:
                raise KeyboardInterrupt
            return keep(*given, **more)

        monkeypatch.setattr(job_import, "import_case", die)
        with pytest.raises(KeyboardInterrupt):
            registers.worker.work_once()
        monkeypatch.setattr(job_import, "import_case", keep)

    def lease_runs_out(self, hall):
        with hall.db.transaction() as tx:
            tx.conn.execute(jobs.update().values(lease_until=clock.now() - timedelta(seconds=1)))

    def test_a_job_whose_worker_died_goes_on_behind_the_last_committed_row(self, hall, registers, monkeypatch):
        job = registers.send(self.many())
        self.interrupted(registers, monkeypatch, 250)
        half = registers.job(job.id)
        assert (half.state, half.rows_done, half.rows_accepted) == (pb.JOB_STATE_RUNNING, 200, 196)
        other = JobWorker(hall.office)
        # As long as its lease runs nobody else takes it.
        assert not other.work_once()
        self.lease_runs_out(hall)
        assert other.work_once()
        assert counts(registers.job(job.id)) == (350, 343, 0, 7, 0)
        assert len(registers.job(job.id).bad_rows) == 7
        with hall.db.reading() as conn:
            assert conn.execute(select(func.count()).select_from(petitions)).scalar() == 343

    def test_who_lost_the_lease_writes_nothing_more(self, hall, registers, monkeypatch):
        job = registers.send(self.many(150))
        batch = job_import.ImportRun._batch
        other = JobWorker(hall.office)

        def slow(run, judged):
            if judged[0].row.number > 100:
                self.lease_runs_out(hall)
                monkeypatch.setattr(job_import.ImportRun, "_batch", batch)
                assert other.work_once()
            return batch(run, judged)

        monkeypatch.setattr(job_import.ImportRun, "_batch", slow)
        registers.worker.work_once()
        assert counts(registers.job(job.id)) == (150, 147, 0, 3, 0)
        with hall.db.reading() as conn:
            assert conn.execute(select(func.count()).select_from(petitions)).scalar() == 147

    def test_two_workers_never_have_one_job(self, hall, registers):
        job = registers.send(self.many(3))
        assert job_store.claim(hall.db, "first") is not None
        assert job_store.claim(hall.db, "second") is None
        assert job_store.renew(hall.db, job.id, "first")
        assert not job_store.renew(hall.db, job.id, "second")
        with hall.db.transaction() as tx, pytest.raises(LeaseLost):
            job_store.locked(tx, job.id, "second")

    def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_between_batches(self, hall, registers, monkeypatch):
        waiting = registers.send(self.many(3))
        assert registers.rpc.CancelJob(pb.CancelJobRequest(id=waiting.id), None).state == pb.JOB_STATE_CANCELLED
        assert not registers.worker.work_once()
        running = registers.send(self.many(250))
        batch = job_import.ImportRun._batch

        def cancelled(run, judged):
            went_on = batch(run, judged)
            if judged[0].row.number < 100:
                registers.rpc.CancelJob(pb.CancelJobRequest(id=running.id), None)
            return went_on

        monkeypatch.setattr(job_import.ImportRun, "_batch", cancelled)
        registers.worker.work_once()
        job = registers.job(running.id)
        assert (job.state, job.rows_done, job.rows_left) == (pb.JOB_STATE_CANCELLED, 100, 150)
        assert job.rows_accepted == 98
        assert job.file_ready
        with pytest.raises(IllegalMove):
            registers.rpc.CancelJob(pb.CancelJobRequest(id=running.id), None)

    def test_a_worker_that_stops_lays_the_job_down_for_the_next_one(self, hall, registers):
        job = registers.send(self.many(150))
        registers.worker._stop.set()
        registers.worker.work_once()
        assert registers.job(job.id).rows_done == 0
        other = JobWorker(hall.office)
        assert other.work_once()
        assert registers.job(job.id).state == pb.JOB_STATE_DONE

    def test_a_failure_of_ours_is_tried_again_and_given_up_in_the_end(self, hall, registers, monkeypatch):
        job = registers.send(self.many(3))
        monkeypatch.setattr("services.petition.adapters.job_worker.FIRST_PAUSE_S", 0.0)
        monkeypatch.setattr(job_import.ImportRun, "run", lambda _: 1 / 0)
        for _ in range(6):
            assert registers.worker.work_once()
        assert registers.job(job.id).state == pb.JOB_STATE_FAILED
        assert "管理员" in registers.job(job.id).failure

    def test_the_worker_finds_jobs_by_itself(self, registers):
        registers.worker.start()
        job = registers.send(self.many(3))
        registers.worker.wake()
        for _ in range(200):
            if registers.job(job.id).state == pb.JOB_STATE_DONE:
                break
            registers.worker._stop.wait(0.05)
        registers.worker.stop()
        assert registers.job(job.id).state == pb.JOB_STATE_DONE

    def test_jobs_are_their_orderers_and_the_file_is_nobody_elses(self, hall, registers):
        job = registers.bring_in(self.many(60))
        with hall.as_(an_officer(COMMAND, account="another")):
            with pytest.raises(NotFound):
                registers.job(job.id)
            assert list(registers.rpc.ListJobs(pb.ListJobsRequest(), None).jobs) == []
        with hall.as_(an_officer(COMMAND, account="supervisor", more="read_all")):
            assert registers.job(job.id).id == job.id
            with pytest.raises(NotFound):
                registers.file(job.id)
        with (
            hall.as_(an_officer(COMMAND, account="elsewhere", scope="341703", more="read_all")),
            pytest.raises(NotFound),
        ):
            registers.job(job.id)

    def test_jobs_are_listed_newest_first_in_pages(self, registers):
        made = [registers.send(csv_of([a_row(人次=n)])).id for n in range(5)]
        first = registers.rpc.ListJobs(pb.ListJobsRequest(page_size=3), None)
        second = registers.rpc.ListJobs(pb.ListJobsRequest(page_size=3, page_token=first.next_page_token), None)
        assert [job.id for job in (*first.jobs, *second.jobs)] == made[::-1]
        assert registers.rpc.ListJobs(pb.ListJobsRequest(kind=pb.JOB_KIND_EXPORT), None).jobs == []
        running = pb.ListJobsRequest(states=[pb.JOB_STATE_WAITING], kind=pb.JOB_KIND_IMPORT)
        assert len(registers.rpc.ListJobs(running, None).jobs) == 5

    def test_files_are_forgotten_after_a_week(self, hall, registers):
        job = registers.bring_in(self.many(60))
        assert job_store.purge(hall.db, clock.now()) == 0
        assert job_store.purge(hall.db, clock.now() + timedelta(days=8)) == 1
        assert registers.job(job.id).rows_bad == 1
        with pytest.raises(NotFound):
            registers.file(job.id)
        with hall.db.reading() as conn:
            assert job_store.read_file(conn, job.id, job_store.SOURCE, 0, 10) == b""

    def test_the_name_of_the_file_is_shortened(self, registers):
        job = registers.rpc.ImportPetitions(upload(xlsx([a_row()]), "赵小满信访材料13800001234.xlsx"), None)
        assert job.file_name == "赵小满信***.xlsx"


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["2021-03-05", "2021/3/6", "昨天", "", "2999-01-01"]),
            st.sampled_from(["走访", "书信", "飞鸽", ""]),
            st.sampled_from(["赵小满", "", "匿名", "钱、孙"]),
            st.sampled_from([TOWN, "双河", "涓桥镇", ""]),
            st.sampled_from(["请求依法确界。", "", "=1+1", "-1"]),
        ),
        max_size=30,
    ),
    twice=st.booleans(),
)
def test_any_mix_of_rows_is_accepted_refused_or_there_and_never_twice(hall, monkeypatch, rows, twice):
    registers = Registers(hall)
    without_children(monkeypatch)
    content = csv_of([a_row(来访日期=a, 渠道=b, 姓名=c, 属地=d, 诉求=e, 概况=e) for a, b, c, d, e in rows])
    before = registers.count().total.visits
    jobs = [registers.bring_in(content) for _ in range(1 + twice)]
    for job in jobs:
        assert job.rows_accepted + job.rows_bad + job.rows_already == job.rows_total == len(rows)
        assert job.rows_left == 0
    assert registers.count().total.visits == before + sum(job.rows_accepted for job in jobs)
    if twice:
        assert jobs[1].rows_accepted == 0
        assert jobs[1].rows_bad == jobs[0].rows_bad
