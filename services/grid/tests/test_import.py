"""A table comes in: first what it would change, then the change, whole or not at all."""

from __future__ import annotations

import io
import zlib
from datetime import date

import openpyxl
import pytest

from protos.files.v1.files_pb2 import Upload, UploadHeader, UploadOption
from protos.grid.v1 import directory_pb2 as pb
from services.chassis.directory import Directory
from services.chassis.directory_shipped import DATA
from services.chassis.ids import uuid7
from services.grid.tests.office import TIER, a_keeper, refused

HEAD = "统计用区划代码,区划名称,级别,上级区划代码"
XIANG = "341702003201,象山新村村委会,村,341702003000"


def uploaded(content: bytes, kind: str, name: str = "区划.csv", request_id: str = "", **options: str) -> list[Upload]:
    given = [UploadOption(key=key, value=value) for key, value in options.items()]
    header = UploadHeader(id=kind, filename=name, request_id=request_id or uuid7(), options=given)
    return [Upload(header=header), *(Upload(data=content[n : n + 1000]) for n in range(0, len(content), 1000))]


def imported(office, text, kind="divisions", encoding="utf-8", **options):
    content = text if isinstance(text, bytes) else text.encode(encoding)
    return office.rpc.ImportDirectory(iter(uploaded(content, kind, **options)), None)


def in_a_sheet(*rows) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    saved = io.BytesIO()
    book.save(saved)
    return saved.getvalue()


def name_of(reader: Directory, code: str = "341702003201") -> str:
    found = reader.division(code)
    return found.name if found else ""


def everything(office):
    return [office.division(d.code).SerializeToString() for d in office.divisions(page_size=200)]


class TestDryRun:
    def test_it_shows_all_and_changes_nothing(self, office):
        before = everything(office)
        report = imported(office, f"{HEAD}\n{XIANG}\n", dry_run="true", effective_on="2026-12-01")
        assert (report.dry_run, report.applied, report.version) == (True, False, 1)
        assert (report.rows, report.added, report.changed, report.unchanged, report.wrong) == (1, 0, 2, 0, 0)
        village, unit = report.changes
        assert (village.row, village.directory, village.code) == (2, "divisions", "341702003201")
        assert village.effective_on == "2026-12-01"
        assert list(village.fields) == [pb.FieldChange(field="name", before="象山村委会", after="象山新村村委会")]
        assert (unit.row, unit.directory, unit.code) == (0, "units", "341702003201-ZX")
        assert everything(office) == before
        assert office.announced() == []

    def test_it_may_be_asked_again_with_the_same_request_id(self, office):
        asked = {"request_id": uuid7(), "dry_run": "true"}
        assert imported(office, f"{HEAD}\n{XIANG}\n", **asked).changed == 2
        imported(office, f"{HEAD}\n{XIANG}\n")
        assert imported(office, f"{HEAD}\n{XIANG}\n", **asked).unchanged == 1


class TestImport:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
    def test_a_village_is_renamed_from_a_day_on_and_keeps_its_old_name_before(self, office, encoding):
        report = imported(office, f"{HEAD}\n{XIANG}\n", encoding=encoding, effective_on="2026-06-01")
        assert (report.applied, report.version) == (True, 2)
        old, new = office.division("341702003201", "2026-05-31"), office.division("341702003201", "2026-06-01")
        assert (old.name, old.valid_from, old.valid_to) == ("象山村委会", "", "2026-05-31")
        assert (new.name, new.valid_from, new.valid_to) == ("象山新村村委会", "2026-06-01", "")
        assert office.unit("341702003201-ZX", "2026-06-01").name == "里山街道象山新村综治中心"
        assert office.unit("341702003201-ZX", "2026-05-31").name == "里山街道象山村综治中心"

    def test_a_sheet_with_english_headings_in_another_order_does_the_same(self, office):
        sheet = in_a_sheet(["name", "备注", "stat_code"], ["象山新村村委会", "来文", "341702003201"])
        report = imported(office, sheet, name="d.xlsx")
        assert (report.applied, report.changed) == (True, 2)
        assert list(report.warnings) == ["以下列不认识,未导入 columns not known and left out: 备注"]
        assert office.division("341702003201").mca_code == ""

    def test_a_new_village_brings_its_unit(self, office):
        report = imported(office, f"{HEAD}\n341702003212,新开村委会,,\n")
        assert (report.added, report.applied) == (2, True)
        assert office.division("341702003212").level == pb.DIVISION_LEVEL_VILLAGE
        assert office.division("341702003212").parent_code == "341702003000"
        assert office.unit("341702003212-ZX").superior == "341702003-ZX"
        assert office.counted() == (20, 221)

    def test_the_same_table_again_changes_nothing_and_makes_no_version(self, office):
        imported(office, f"{HEAD}\n{XIANG}\n")
        report = imported(office, f"{HEAD}\n{XIANG}\n")
        assert (report.applied, report.unchanged, report.version) == (False, 1, 2)

    def test_the_same_request_gets_the_first_answer(self, office):
        first = imported(office, f"{HEAD}\n{XIANG}\n", request_id="018f6f2e-7c1a-7d3b-8a4e-0123456789ab")
        again = imported(office, f"{HEAD}\n{XIANG}\n", request_id="018f6f2e-7c1a-7d3b-8a4e-0123456789ab")
        assert again == first

    def test_a_missing_row_ends_nothing_unless_the_table_is_complete(self, office):
        rows = [f"{d.code},{d.name}" for d in office.divisions(page_size=200) if d.code != "341702003202"]
        text = "代码,名称\n" + "\n".join(rows) + "\n"
        assert imported(office, text).ended == 0
        report = imported(office, text, complete="true", effective_on="2026-06-01")
        assert [(c.code, c.directory) for c in report.changes] == [
            ("341702003202", "divisions"), ("341702003202-ZX", "units"),
        ]  # fmt: skip
        assert office.counted("2026-06-01") == (20, 219)
        assert office.division("341702003202", "2026-05-31").valid_to == "2026-05-31"
        with refused("NOT_FOUND"):
            office.unit("341702003202-ZX", "2026-06-01")

    def test_a_shipped_table_with_all_its_periods_changes_nothing(self, office):
        report = imported(office, (DATA / "divisions.csv").read_bytes())
        assert (report.wrong, report.applied, report.unchanged) == (0, False, 257)

    def test_a_version_is_noted_with_who_made_it_and_from_which_file(self, office):
        imported(office, f"{HEAD}\n{XIANG}\n", name="贵池区划.csv")
        newest = office.versions("divisions")[0]
        assert (newest.version, newest.actor, newest.origin, newest.filename) == (2, "keeper", "import", "贵池区划.csv")
        assert (newest.changed, newest.rows) == (1, 258)
        assert [v.version for v in office.versions("units")] == [2, 1]
        assert office.audited("directory.import")

    def test_every_reader_is_told_the_whole_of_both_kinds(self, office):
        imported(office, f"{HEAD}\n{XIANG}\n")
        assert [(e.kind, e.version, e.rows) for e in office.announced()] == [("divisions", 2, 258), ("units", 2, 256)]

    def test_a_reader_in_this_process_sees_it_at_once(self, office):
        reader = Directory(office.db)
        assert name_of(reader) == "象山村委会"
        imported(office, f"{HEAD}\n{XIANG}\n")
        assert name_of(reader) == "象山新村村委会"


class TestWrongRows:
    def test_one_wrong_row_and_nothing_changes(self, office):
        before = everything(office)
        report = imported(office, f"{HEAD}\n{XIANG}\n34170200320,短,村,\n341702003213,,村,\n341702099999,某村,村,\n")
        assert (report.applied, report.version) == (False, 1)
        told = {(row.row, row.column) for row in report.wrong_rows}
        assert {(3, "code"), (4, "name")} <= told
        assert all(row.reason and row.reason_en for row in report.wrong_rows)
        assert everything(office) == before

    @pytest.mark.parametrize(
        ("row", "column", "words"),
        [
            ("341702900201,某村委会,村,341702900000", "level", "类似村社区"),
            ("341702003214,某村委会,镇,341702003000", "level", "属于村"),
            ("341702003214,某村委会,村,341702004000", "parent_code", "341702003000"),
            ("341702299201,某村委会,村,341702299000", "parent_code", "没有代码为 341702299000 的区划"),
        ],
    )
    def test_code_level_and_parent_must_agree(self, office, row, column, words):
        report = imported(office, f"{HEAD}\n{row}\n", dry_run="1")
        assert [(one.row, one.column) for one in report.wrong_rows] == [(2, column)]
        assert words in report.wrong_rows[0].reason

    def test_a_town_cannot_end_while_villages_stand_under_it(self, office):
        report = imported(office, "代码,名称,失效日期\n341702003000,里山街道,2026-12-31\n")
        assert report.wrong == 1
        assert "尚不能终止" in report.wrong_rows[0].reason
        assert "341702003002" in report.wrong_rows[0].reason

    def test_a_change_cannot_lie_before_the_last_one(self, office):
        imported(office, f"{HEAD}\n{XIANG}\n", effective_on="2026-06-01")
        report = imported(office, "代码,名称\n341702003201,象山委会\n", effective_on="2026-05-01")
        assert report.wrong_rows[0].column == "effective_on"

    def test_on_the_day_of_the_last_change_it_is_corrected(self, office):
        imported(office, f"{HEAD}\n{XIANG}\n", effective_on="2026-06-01")
        imported(office, "代码,名称\n341702003201,象山大村委会\n", effective_on="2026-06-01")
        assert office.division("341702003201").name == "象山大村委会"
        assert office.division("341702003201", "2026-05-31").name == "象山村委会"

    def test_what_lies_outside_of_the_caller_s_subtree_is_not_theirs_to_change(self, office):
        with office.as_(a_keeper(scope="341702004")):
            report = imported(office, f"{HEAD}\n{XIANG}\n")
        assert [row.column for row in report.wrong_rows] == ["code"]

    @pytest.mark.parametrize(
        ("text", "field"),
        [("名称,级别\n某村,村\n", "file"), (f"{HEAD}\n", "file"), ("", "file"), ("代码,区划代码\n1,2\n", "file")],
    )
    def test_what_is_no_such_table_is_refused_with_a_sentence(self, office, text, field):
        with refused("FIELD_INVALID") as info:
            imported(office, text)
        assert info.value.violations[0].field == field

    @pytest.mark.parametrize(
        "options", [{"kind": "villages"}, {"dry_run": "maybe"}, {"effective_on": "tomorrow"}, {"force": "true"}]
    )
    def test_wrong_options_are_named(self, office, options):
        with refused("FIELD_INVALID"):
            imported(office, f"{HEAD}\n{XIANG}\n", **options)


class TestOtherKinds:
    def test_units_come_with_presence_and_rota(self, office):
        head = "单位代码,单位名称,单位类型,区划代码,入驻方式,轮驻日"
        report = imported(office, f"{head}\n341702-SLJ,贵池区水利局,部门,{TIER},轮驻,周一、周三\n", kind="units")
        assert report.added == 1
        unit = office.unit("341702-SLJ")
        assert (unit.presence, list(unit.rota)) == (pb.PRESENCE_TURNS, [1, 3])

    def test_a_unit_by_turns_names_its_days(self, office):
        head = "单位代码,单位名称,单位类型,区划代码,入驻方式,轮驻日"
        report = imported(office, f"{head}\n341702-SLJ,贵池区水利局,部门,{TIER},轮驻,\n", kind="units")
        assert [row.column for row in report.wrong_rows] == ["rota"]

    def test_staff_come_in_masked_and_their_names_never_travel(self, office):
        imported(office, "岗位代码,岗位名称,单位代码,角色\nP1,接访员,341702-XFJ,hall\n", kind="posts")
        head = "人员编号,姓名,电话,单位代码,岗位代码"
        report = imported(office, f"{head}\nR001,欧阳试行,13800001234,341702-XFJ,P1\n", kind="staff")
        shown = {field.field: field.after for field in report.changes[0].fields}
        assert (shown["name"], shown["phone"]) == ("欧阳**", "138****1234")
        told = office.announced("staff")[-1]
        assert "欧阳".encode() not in zlib.decompress(told.entries)
        assert b"13800001234" not in zlib.decompress(told.entries)
        assert "欧阳试行" not in str(office.audited("directory.import"))

    def test_a_year_of_holidays_extends_the_calendar(self, office):
        head = "日期,类型,节日"
        report = imported(office, f"{head}\n2027/1/1,放假,元旦\n2027-02-06,调休上班,春节\n", kind="calendars")
        assert (report.added, report.applied) == (2, True)
        calendar = Directory(office.db).calendar()
        assert calendar.last_year == 2027
        assert not calendar.is_workday(date(2027, 1, 1))
        assert calendar.is_workday(date(2027, 2, 6))

    def test_a_complete_year_takes_back_what_it_does_not_name_and_leaves_other_years(self, office):
        text = "日期,类型,节日\n2026-01-01,放假,元旦\n"
        report = imported(office, text, kind="calendars", complete="true", dry_run="true")
        assert {change.code[:4] for change in report.changes} == {"2026"}

    def test_categories_have_two_levels_of_one_set(self, office):
        head = "分类代码,分类名称,分类类型,上级分类"
        wrong = f"{head}\nX0101A,三级,内容分类,X0101\nX98,错类,纠纷类型,X01\nX99,无上级,内容分类,X77\n"
        report = imported(office, wrong, kind="categories")
        assert [(row.row, row.column) for row in report.wrong_rows] == [
            (2, "parent_code"), (3, "parent_code"), (4, "parent_code"),
        ]  # fmt: skip
        assert imported(office, f"{head}\nX0199,其他农业,内容分类,X01\n", kind="categories").added == 1
