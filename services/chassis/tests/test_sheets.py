"""A spreadsheet is read as the person who keeps it sees it, whichever of the usual forms it has."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from openpyxl import Workbook
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from services.chassis import sheets
from services.chassis.refusal import Invalid
from services.chassis.tests.workbooks import by_hand, read_here, row_xml, saved, sheet_xml, workbook

KNOWN = ("来访日期", "姓名", "电话")
TOP = ("来访日期", "姓名", "电话")


def opened(content, **how):
    return read_here(content, headings=KNOWN, **how)


def cells(content, **how):
    return [row.cells for row in opened(content, **how)[1]]


def refused(content, **how):
    with pytest.raises(Invalid) as told:
        opened(content, **how)
    return told.value.zh


def test_the_child_gives_the_same_row_by_row():
    content = workbook(TOP, ("2021-03-05", "赵", None), ("2021-03-06", "钱", "=1"))
    sheet, rows = sheets.read(content, headings=KNOWN)
    assert (sheet, list(rows)) == opened(content)


class TestHeadings:
    def test_a_title_and_a_note_above_the_headings_are_skipped(self):
        def title(sheet):
            sheet.merge_cells("A1:C1")

        content = workbook(("2021 年登记表",), ("填表单位:某局",), TOP, ("2021-03-05", "赵小满", "1"), then=title)
        sheet, rows = opened(content)
        assert (sheet.heading_row, sheet.headings) == (3, TOP)
        assert [row.number for row in rows] == [4]

    def test_headings_of_two_rows_are_those_below_with_what_reaches_down_from_above(self):
        def merged(sheet):
            sheet.merge_cells("A1:A2")
            sheet.merge_cells("B1:C1")

        content = workbook(("来访日期", "来访人", None), (None, "姓名", "电话"), ("2021-03-05", "赵", "1"), then=merged)
        sheet, rows = opened(content)
        assert sheet.headings == TOP
        assert rows[0].cells == ("2021-03-05", "赵", "1")

    def test_a_heading_is_known_whatever_its_width_blanks_and_marks(self):
        assert {sheets.heading_key(text) for text in ("姓名", " 姓 名 ", "姓名*", "姓名(必填)", "姓名(必填)")} == {
            "姓名"
        }
        assert sheets.heading_key("PHONE") == "phone"

    def test_without_a_known_heading_the_first_row_that_names_several_things_counts(self):
        content = workbook(("标题",), ("甲", "乙"), ("1", "2"))
        sheet, _ = opened(content)
        assert sheet.headings == ("甲", "乙")

    def test_headings_below_the_tenth_row_are_not_looked_for(self):
        content = workbook(*[("说明", str(n)) for n in range(10)], TOP, ("2021-03-05", "赵", "1"))
        assert opened(content)[0].headings == ("说明", "0")


class TestRows:
    def test_a_merged_value_belongs_to_every_cell_of_the_merge(self):
        def merged(sheet):
            sheet.merge_cells("A2:A3")

        content = workbook(TOP, ("2021-03-05", "赵", "1"), (None, "钱", "2"), ("2021-03-06", "孙", "3"), then=merged)
        assert [row[0] for row in cells(content)] == ["2021-03-05", "2021-03-05", "2021-03-06"]

    def test_a_row_that_holds_nothing_of_its_own_is_no_row(self):
        def merged(sheet):
            sheet.merge_cells("A2:A9")

        content = workbook(TOP, ("2021-03-05", "赵", "1"), then=merged)
        assert len(cells(content)) == 1

    def test_empty_rows_sums_and_repeated_headings_are_left_out_and_numbers_stay_those_of_the_sheet(self):
        content = workbook(TOP, ("2021-03-05", "赵", "1"), (), TOP, ("2021-03-06", "钱", "2"), ("合计", None, 2))
        assert [row.number for row in opened(content)[1]] == [2, 5]

    def test_a_formula_gives_its_result_and_one_without_is_named(self):
        def formula(sheet):
            sheet["C2"] = "=1+1"

        # The library writes formulas without results, as programs do that never calculated them.
        found = opened(workbook(TOP, ("2021-03-05", "赵", None), then=formula))[1][0]
        assert (found.cells[2], found.faults) == ("", {2: "formula"})
        calculated = '<row r="2"><c r="A2"><f>1+1</f><v>2</v></c></row>'
        assert cells(by_hand(sheet_xml(row_xml(1, *TOP) + calculated)))[0] == (2, "", "")

    def test_an_error_value_is_named(self):
        error = '<row r="2"><c r="A2" t="e"><v>#N/A</v></c><c r="B2" t="inlineStr"><is><t>赵</t></is></c></row>'
        assert opened(by_hand(sheet_xml(row_xml(1, *TOP) + error)))[1][0].faults == {0: "error"}

    def test_dates_numbers_and_ticks_come_as_what_they_are(self):
        content = workbook(TOP, (datetime(2021, 3, 5), 13800001234.0, True), (date(2021, 3, 5), 1.5, "文字"))
        assert cells(content) == [("2021-03-05", 13800001234, True), ("2021-03-05", 1.5, "文字")]

    def test_days_counted_from_1904_are_said_to_be(self):
        book = Workbook()
        book.epoch = CALENDAR_MAC_1904
        book.active.append(TOP)
        book.active.append((datetime(2021, 3, 5), "赵", 42798))
        sheet, rows = opened(saved(book))
        assert sheet.date1904
        assert rows[0].cells == ("2021-03-05", "赵", 42798)

    def test_signs_that_excel_escapes_come_back_and_invisible_ones_go(self):
        content = by_hand(sheet_xml(row_xml(1, *TOP) + row_xml(2, "2021-03-05", "赵_x000D_\u200b", "一\n二")))
        assert cells(content)[0] == ("2021-03-05", "赵", "一\n二")


class TestSheets:
    def book(self, *, hidden):
        book = Workbook()
        book.active.title = "说明"
        book.active.sheet_state = "hidden" if hidden else "visible"
        for name, person in (("一月", "赵"), ("二月", "钱")):
            sheet = book.create_sheet(name)
            sheet.append(TOP)
            sheet.append(("2021-03-05", person, "1"))
        return saved(book)

    def test_the_first_visible_sheet_is_read(self):
        sheet, rows = opened(self.book(hidden=True))
        assert (sheet.name, sheet.sheets, rows[0].cells[1]) == ("一月", ("一月", "二月"), "赵")

    def test_another_one_is_read_by_its_name(self):
        assert opened(self.book(hidden=True), sheet="二月")[1][0].cells[1] == "钱"

    def test_a_name_that_none_has_is_refused_with_those_there_are(self):
        assert "一月、二月" in refused(self.book(hidden=True), sheet="三月")


class TestText:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
    @pytest.mark.parametrize("between", [",", ";", "\t"])
    def test_text_in_every_usual_form(self, encoding, between):
        content = f"{between.join(TOP)}\r\n2021-03-05{between}赵小满{between}1\r\n".encode(encoding)
        assert cells(content) == [("2021-03-05", "赵小满", "1")]

    def test_quotes_line_breaks_and_commas_inside_of_a_cell(self):
        content = '来访日期,姓名,电话\n2021-03-05,"赵,""满""","一\n二"\n\n2021-03-06,钱,\n'.encode()
        _, rows = opened(content)
        assert [(row.number, row.cells) for row in rows] == [
            (2, ("2021-03-05", '赵,"满"', "一\n二")),
            (4, ("2021-03-06", "钱", "")),
        ]

    def test_a_number_kept_as_a_formula_of_text_is_that_text(self):
        assert cells('来访日期,姓名,电话\n2021-03-05,赵,="0566"\n'.encode())[0][2] == "0566"

    def test_rare_characters_of_gb18030_survive(self):
        assert cells("来访日期,姓名,电话\n2021-03-05,㐀𠀀,1\n".encode("gb18030"))[0][1] == "㐀𠀀"
