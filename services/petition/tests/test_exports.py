"""A register goes out in the form in which it comes in, masked unless a reason was given, and counts agree with it."""

from __future__ import annotations

import pytest

from protos.petition.v1 import petition_pb2
from protos.petition.v1 import registers_pb2 as pb
from services.chassis.refusal import IllegalMove
from services.petition.adapters import job_export
from services.petition.domain.register_columns import CASE_NUMBER
from services.petition.tests.hall import (
    COMMAND,
    HALL,
    JUSTICE,
    LABOUR,
    TOWN,
    Hall,
    an_officer,
    days_ago,
    refused,
)
from services.petition.tests.registers import HEADINGS, Registers, a_row, read_xlsx, without_children, xlsx
from services.petition.tests.registers import text as csv_of

REASON = "年度核对登记表"


@pytest.fixture
def registers(hall, monkeypatch):
    without_children(monkeypatch)
    return Registers(hall)


@pytest.fixture
def other_hall(new_url, backend, template, tmp_path):
    """An empty district with the same offices."""
    import shutil

    from services.chassis import directory_store, migrations
    from services.chassis.database import Database

    db = Database(new_url())
    if backend == "sqlite":
        shutil.copy(template, str(db.url.database))
    else:
        migrations.migrate("petition", db.url.render_as_string(hide_password=False))
        directory_store.seed(db)
    with Hall(db, tmp_path) as opened:
        yield opened
    db.close()


def out(registers, job):
    heading, *rows = read_xlsx(registers.file(job.id))
    return [dict(zip(heading, ["" if cell is None else cell for cell in row], strict=True)) for row in rows]


def cases_of_every_kind(hall):
    """Petitions in every state that a register can hold, and every kind of cell."""
    lead = {"leader_reception": True, "batch_no": "7", "person_count": 12, "repeated": True, "content": "求助"}
    people = [
        {
            "name": "赵小满",
            "phone": "13800001111",
            "id_no": "11010519491231002X",
            "address": "贵池区墩上街道河口村十组",
        },
        {"name": "钱多多"},
        {"name": "孙三", "phone": "13800003333"},
    ]
    nobody = {"representatives": [], "content": "路灯不亮。"}
    made = [
        hall.register(),
        hall.register(representatives=people, **lead),
        hall.register(channel=petition_pb2.CHANNEL_LETTER, division_code="341702006206", **nobody),
        hall.register(external_no="A-1", source_system="老系统", received_on=days_ago(40)),
        hall.register(content="=HYPERLINK(\"http://x\")", subject="-1+1", batch_no="@x"),
        hall.register(
            petition_class=petition_pb2.PETITION_CLASS_ACCUSATION, accused_unit=LABOUR, earlier_case_number="",
        ),
    ]  # fmt: skip
    again = hall.register(earlier_case_number=made[0].case_number)
    hall.accept(made[1].id, JUSTICE)
    hall.decline(made[2].id)
    hall.accept(made[3].id)
    hall.conclude(made[3].id)
    hall.evaluate(made[3].id)
    hall.accept(made[4].id)
    hall.conclude(made[4].id)
    hall.void(again.id)
    return made


class TestForm:
    def test_out_and_in_and_out_again_gives_the_same_rows(self, hall, registers, other_hall):
        cases_of_every_kind(hall)
        lead = an_officer(HALL)
        with hall.as_(lead):
            first = registers.export(reveal_reason=REASON)
            sent = registers.file(first.id)
            there = Registers(other_hall)
            came = there.bring_in(sent)
            assert (came.rows_total, came.rows_bad, list(came.unknown_headings)) == (7, 0, []), came.bad_rows
            second = there.export(reveal_reason=REASON)
            before, after = out(registers, first), out(there, second)
        assert len(before) == 7
        without_number = [
            [{k: v for k, v in row.items() if k != CASE_NUMBER} for row in rows] for rows in (before, after)
        ]
        assert without_number[0] == without_number[1]

    def test_the_same_as_text(self, hall, registers, other_hall):
        cases_of_every_kind(hall)
        first = registers.export(reveal_reason=REASON, form=pb.REGISTER_FORM_CSV)
        sent = registers.file(first.id)
        assert sent.startswith(b"\xef\xbb\xbf")
        there = Registers(other_hall)
        assert there.bring_in(sent).rows_accepted == 7
        again = there.file(there.export(reveal_reason=REASON, form=pb.REGISTER_FORM_CSV).id)
        rows = [[line.partition(",")[2] for line in text.decode("utf-8-sig").splitlines()] for text in (sent, again)]
        assert rows[0] == rows[1]

    def test_no_cell_is_a_formula(self, hall, registers):
        hall.register(content='=HYPERLINK("http://x")', subject="+1", batch_no="@x")
        (row,) = out(registers, registers.export(reveal_reason=REASON))
        assert (row["诉求"], row["概况"], row["批次"]) == ('\'=HYPERLINK("http://x")', "'+1", "'@x")
        text = registers.file(registers.export(form=pb.REGISTER_FORM_CSV).id).decode("utf-8-sig")
        assert all(not cell.startswith(("=", "+", "-", "@")) for line in text.splitlines() for cell in line.split(","))

    def test_it_is_in_the_order_in_which_they_came(self, registers):
        days = ("2021-03-05", "2021-01-02", "2021-12-31")
        registers.bring_in(xlsx([a_row(来访日期=day) for day in days]))
        assert [row["来访日期"] for row in out(registers, registers.export())] == sorted(days)

    def test_more_pages_than_one(self, registers, monkeypatch):
        monkeypatch.setattr(job_export, "PAGE", 7)
        registers.bring_in(csv_of([a_row(姓名=f"赵{n}", 批次=n) for n in range(30)]))
        job = registers.export()
        assert (job.rows_total, job.rows_done) == (30, 30)
        assert sorted(int(row["批次"]) for row in out(registers, job)) == list(range(30))


class TestWhoSeesWhat:
    def test_without_a_reason_everything_personal_is_masked(self, hall, registers):
        cases_of_every_kind(hall)
        text = str(out(registers, registers.export()))
        for personal in ("赵小满", "13800001111", "11010519491231002X", "十组"):
            assert personal not in text
        assert "138****1111" in text

    def test_with_a_reason_and_the_permission_it_is_clear_and_the_audit_says_how_many_and_why(self, hall, registers):
        cases_of_every_kind(hall)
        job = registers.export(reveal_reason=f"{REASON},联系 13800001111")
        assert job.revealed
        assert "13800001111" in str(out(registers, job))
        (row,) = hall.audited("petition.export")
        assert '"rows":7' in row.details
        assert REASON in row.details
        assert "13800001111" not in row.details
        assert hall.audited("petition.read_job_file")

    def test_a_reason_without_the_permission_is_refused(self, hall, registers):
        clerk = an_officer(HALL)
        without = clerk.__class__(**{**vars(clerk), "permissions": clerk.permissions - {"petition.reveal"}})
        with hall.as_(without), refused("PERMISSION_DENIED"):
            registers.rpc.ExportPetitions(pb.ExportPetitionsRequest(reveal_reason=REASON), None)

    def test_only_what_the_caller_may_see_goes_out_and_is_counted(self, hall, registers):
        cases_of_every_kind(hall)
        for unit, seen in ((HALL, 7), (JUSTICE, 1), (LABOUR, 0), (COMMAND, 0)):
            with hall.as_(an_officer(unit, account=f"of-{unit}")):
                assert registers.export().rows_total == seen
                states = [n for n in petition_pb2.PetitionState.values() if n]
                assert registers.count(states=states).total.visits == seen

    def test_filters_are_those_of_a_list(self, hall, registers):
        cases_of_every_kind(hall)
        chosen = petition_pb2.ListPetitionsRequest(leader_reception=True)
        assert [row["姓名"] for row in out(registers, registers.export(filter=chosen))] == ["赵**、钱**、孙*"]
        chosen = petition_pb2.ListPetitionsRequest(text="界址", states=[petition_pb2.PETITION_STATE_REGISTERED])
        assert registers.export(filter=chosen).rows_total == 2


class TestJobs:
    def test_too_many_petitions_for_one_file_are_told(self, hall, registers, monkeypatch):
        monkeypatch.setattr(job_export, "MOST_ROWS", 2)
        cases_of_every_kind(hall)
        job = registers.export()
        assert job.state == pb.JOB_STATE_FAILED
        assert "缩小筛选范围" in job.failure

    def test_a_file_cannot_be_read_before_it_is_there(self, hall, registers):
        job = registers.rpc.ExportPetitions(pb.ExportPetitionsRequest(), None)
        with pytest.raises(IllegalMove):
            registers.file(job.id)

    def test_an_export_that_is_cancelled_leaves_no_file(self, hall, registers, monkeypatch):
        monkeypatch.setattr(job_export, "PAGE", 1)
        cases_of_every_kind(hall)
        job = registers.rpc.ExportPetitions(pb.ExportPetitionsRequest(), None)
        row_of, made = job_export.row_of, []

        def cancelled(*given):
            made.append(1)
            if len(made) == 3:
                registers.rpc.CancelJob(pb.CancelJobRequest(id=job.id), None)
            return row_of(*given)

        monkeypatch.setattr(job_export, "row_of", cancelled)
        registers.worker.work_once()
        found = registers.job(job.id)
        assert (found.state, found.file_ready) == (pb.JOB_STATE_CANCELLED, False)


class TestCounts:
    def test_registrations_and_persons_by_each_kind_of_group(self, registers):
        registers.bring_in(xlsx([
            a_row(人次=3, 领导接访="是"), a_row(姓名="钱", 渠道="来信", 来访日期="2021-04-01"),
            a_row(姓名="孙", 属地="墩上街道双河村", 人次=5), a_row(姓名="李", 属地="墩上街道"),
        ]))  # fmt: skip

        def groups(by):
            found = registers.count(by)
            assert (found.total.visits, found.total.persons) == (4, 10)
            return {group.key: (group.title, group.visits, group.persons) for group in found.groups}

        assert groups(pb.COUNT_BY_CHANNEL) == {"CHANNEL_LETTER": ("书信", 1, 1), "CHANNEL_VISIT": ("走访", 3, 9)}
        assert groups(pb.COUNT_BY_MONTH) == {"2021-03": ("2021年3月", 3, 9), "2021-04": ("2021年4月", 1, 1)}
        assert groups(pb.COUNT_BY_TOWN) == {"341702006": ("墩上街道", 2, 6), TOWN[:9]: ("涓桥镇", 2, 4)}
        assert groups(pb.COUNT_BY_STATE) == {"PETITION_STATE_REGISTERED": ("已登记", 4, 10)}
        assert groups(pb.COUNT_BY_LEADER_RECEPTION) == {"false": ("其他接访", 3, 7), "true": ("领导接访", 1, 3)}
        assert registers.count().groups == []

    def test_filters_narrow_and_voided_ones_do_not_count(self, hall, registers):
        registers.bring_in(xlsx([a_row(), a_row(姓名="钱", 来访日期="2021-04-01")]))
        hall.void(hall.listed()[0].id)
        assert registers.count().total.visits == 1
        assert registers.count(states=[petition_pb2.PETITION_STATE_VOIDED]).total.visits == 1
        assert registers.count(received_from="2021-04-01").total.visits + registers.count(
            received_to="2021-03-31"
        ).total.visits == 1  # fmt: skip
        assert registers.count(division_prefix="341702006").total.visits == 0
        assert registers.count(pb.COUNT_BY_MONTH, division_prefix="341702006").groups == []


def test_headings_of_the_example_rows_are_official(registers):
    assert set(HEADINGS) <= set(job_export.HEADINGS)
