"""Whoever means harm, or sends something else by mistake, gets a sentence, in bounded time and memory."""

from __future__ import annotations

import io
import struct
import zipfile
from datetime import UTC, datetime

import pytest

from services.chassis import sheet_zip, sheets
from services.chassis.child import Limits
from services.chassis.refusal import Invalid
from services.chassis.tests.workbooks import TYPES, archive, by_hand, read_here, row_xml, sheet_xml, workbook

TOP = ("来访日期", "姓名")
HONEST = sheet_xml(row_xml(1, *TOP) + row_xml(2, "2021-03-05", "赵"))
QUICK = Limits(seconds=60.0, memory_mb=768, output_mb=64)


def told(content, **how):
    """The sentence, and the file was not read."""
    with pytest.raises(Invalid) as refused:
        read_here(content, headings=TOP, **how)
    assert refused.value.en
    return refused.value.zh


def read(content, **how):
    sheet, rows = sheets.read(content, headings=TOP, limits=QUICK, **how)
    return sheet, list(rows)


def test_the_honest_file_from_which_the_others_are_made_is_read():
    assert [row.cells for row in read(by_hand(HONEST))[1]] == [("2021-03-05", "赵")]


def test_in_the_child_a_hostile_file_ends_with_the_same_sentence():
    with pytest.raises(Invalid) as refused:
        sheets.read(by_hand(sheet_xml(row_xml(1, *TOP) + " " * (60 << 20))), headings=TOP)
    assert "压缩比异常" in refused.value.zh


class TestXml:
    def test_a_thousand_laughs_in_the_sheet_are_refused(self):
        bomb = '<!DOCTYPE w [<!ENTITY a "哈哈哈哈哈哈哈哈哈哈">' + "".join(
            f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
        )
        content = by_hand(sheet_xml(row_xml(1, *TOP) + row_xml(2, "2021-03-05", "&j;"), before=bomb + "]>"))
        assert "实体" in told(content)

    def test_an_entity_that_names_a_file_of_the_machine_is_refused(self):
        outside = '<!DOCTYPE w [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        content = by_hand(sheet_xml(row_xml(1, *TOP) + row_xml(2, "2021-03-05", "&x;"), before=outside))
        assert "实体" in told(content)

    @pytest.mark.parametrize("part", ["xl/workbook.xml", "[Content_Types].xml", "xl/_rels/workbook.xml.rels"])
    def test_so_are_entities_in_any_other_part(self, part):
        content = by_hand(HONEST, **{part: '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'})
        assert "实体" in told(content)

    def test_xml_that_breaks_off_is_damaged(self):
        assert "已损坏" in told(by_hand(HONEST[:-30]))


class TestZip:
    def test_a_sheet_that_unpacks_to_far_more_than_it_is_stays_shut(self):
        content = by_hand(sheet_xml(row_xml(1, *TOP) + " " * (60 << 20)))
        assert len(content) < 100_000
        assert "压缩比异常" in told(content)

    def test_more_than_a_sheet_ever_holds_is_not_unpacked(self, monkeypatch):
        monkeypatch.setattr(sheet_zip, "MOST_RATIO", 10**9)
        huge = archive([("[Content_Types].xml", TYPES), *((f"xl/{n}.xml", " " * (40 << 20)) for n in range(7))])
        with pytest.raises(Invalid) as refused:
            sheet_zip.opened(io.BytesIO(huge))
        assert "256 MB" in refused.value.zh

    def test_thousands_of_parts_are_refused(self):
        content = archive([("[Content_Types].xml", TYPES), *((f"xl/a{n}.xml", "") for n in range(2100))])
        assert "部件" in told(content)

    def test_a_part_that_lies_about_its_size_is_damaged(self):
        content = bytearray(by_hand(sheet_xml(row_xml(1, *TOP) + " " * 5000)))
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            info = file.getinfo("xl/worksheets/sheet1.xml")
        # Both the part's own header and the directory say 100 bytes.
        for header in (info.header_offset + 22, content.rindex(b"PK\x01\x02") + 24):
            content[header : header + 4] = struct.pack("<I", 100)
        assert "已损坏" in told(bytes(content))

    @pytest.mark.parametrize(
        "name", ["../../etc/cron.d/x", "/etc/passwd", "xl\\..\\x", "C:/x", "xl/./x", "xl//x", "a\nb", "XL/WORKBOOK.xml"]
    )
    def test_parts_with_odd_names_are_refused(self, name):
        assert "名称不正常" in told(by_hand(HONEST, **{name: b"x"}))

    def test_macros_are_refused(self):
        assert "宏" in told(by_hand(HONEST, **{"xl/vbaProject.bin": b"x"}))

    def test_an_encrypted_part_is_said_to_be(self):
        content = bytearray(by_hand(HONEST))
        at = content.index(b"PK\x01\x02")
        content[at + 8] |= 1
        assert "密码" in told(bytes(content))

    def test_another_kind_of_archive_is_no_sheet(self):
        assert "不是 .xlsx" in told(archive([("word/document.xml", "<x/>")]))
        assert "已损坏" in told(archive([("[Content_Types].xml", TYPES)]))

    @pytest.mark.parametrize("cut", [4, 30, 200, -40])
    def test_half_a_file_is_damaged(self, cut):
        assert told(by_hand(HONEST)[:cut])


class TestSize:
    def test_fifty_million_rows_that_are_only_claimed_cost_nothing(self):
        claim = '<dimension ref="A1:XFD50000000"/>'
        content = by_hand(HONEST.replace("<sheetData>", f"{claim}<sheetData>"))
        assert len(read(content)[1]) == 1

    def test_a_row_that_no_sheet_has_is_damage(self):
        assert "已损坏" in told(by_hand(sheet_xml(row_xml(1, *TOP) + row_xml(50_000_000, "2021-03-05", "赵"))))
        assert "已损坏" in told(by_hand(sheet_xml(row_xml(2, *TOP) + row_xml(1, "2021-03-05", "赵"))))

    def test_more_rows_than_are_taken_are_refused_with_the_number(self):
        content = workbook(TOP, *[("2021-03-05", str(n)) for n in range(30)])
        assert len(read(content, max_rows=30)[1]) == 30
        assert "29 行" in told(content, max_rows=29)

    def test_the_sheet_ends_with_its_last_row_however_many_empty_ones_follow(self):
        empty = "".join(f'<row r="{n}"><c r="A{n}" s="0"/></row>' for n in range(3, 60_000))
        content = by_hand(sheet_xml(row_xml(1, *TOP) + row_xml(2, "2021-03-05", "赵") + empty))
        began = datetime.now(UTC)
        assert len(read(content)[1]) == 1
        assert (datetime.now(UTC) - began).total_seconds() < 30

    def test_columns_beyond_the_limit_are_refused_when_they_have_headings_and_not_read_when_they_have_none(self):
        wide = "".join(f"<c r='{name}2'><v>1</v></c>" for name in ("A", "B", "XFD"))
        content = by_hand(sheet_xml(row_xml(1, *TOP) + f"<row r='2'>{wide}</row>"))
        assert read(content)[1][0].cells == (1, 1)
        assert "60 列" in told(workbook([*TOP, *(f"列{n}" for n in range(16_000))]))

    def test_a_merge_of_the_whole_sheet_is_a_merge_of_its_rows(self):
        content = by_hand(
            sheet_xml(row_xml(1, *TOP) + row_xml(2, "2021-03-05", "赵") + row_xml(3, "", "钱"),
                      after='<mergeCells count="1"><mergeCell ref="A2:A1048576"/></mergeCells>')
        )  # fmt: skip
        assert [row.cells[0] for row in read(content)[1]] == ["2021-03-05", "2021-03-05"]

    def test_merges_without_number_are_refused(self):
        merges = "".join(f'<mergeCell ref="A{n}:B{n}"/>' for n in range(2, 20_100))
        content = by_hand(sheet_xml(row_xml(1, *TOP), after=f"<mergeCells>{merges}</mergeCells>"))
        assert "合并" in told(content)

    def test_a_file_that_takes_too_long_ends_with_a_sentence(self):
        content = workbook(TOP, *[("2021-03-05", "赵")] * 20_000)
        with pytest.raises(Invalid) as refused:
            list(sheets.read(content, headings=TOP, limits=Limits(seconds=0.9, memory_mb=768))[1])
        assert "时间和内存" in refused.value.zh

    def test_so_does_one_that_takes_too_much_memory(self):
        one = row_xml(2, *["长" * 30_000] * 400)
        content = by_hand(sheet_xml(row_xml(1, *TOP) + one))
        with pytest.raises(Invalid):
            list(sheets.read(content, headings=TOP, limits=Limits(seconds=60, memory_mb=110))[1])


class TestSomethingElse:
    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"", "空"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "旧版 .xls"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "密码"),
            ("<html><table><tr><td>姓名</td></tr></table></html>".encode(), "网页"),
            (b"%PDF-1.7 ...", "看不出"),
            (b"\x89PNG\r\n\x1a\n\0\0\0", "看不出"),
            (b"\x00\x01\x02\x03\x04", "看不出"),
            ("来访日期,姓名\n2021-03-05,张".encode("gb18030")[:-1], "看不出"),
            ("来访日期,姓名\n2021-03-05,\"张".encode(), "引号"),
            (f"来访日期,姓名\n2021-03-05,{'长' * 40_000}".encode(), "32767"),
        ],
    )  # fmt: skip
    def test_what_is_no_sheet_is_told_what_to_do(self, content, says):
        assert says in told(content)
