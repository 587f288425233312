"""An .xlsx, row by row, in one pass over the sheet. XML entities are refused by defusedxml, wherever they stand."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import IO, Any

import openpyxl
from defusedxml.common import DefusedXmlException
from openpyxl.utils.cell import range_boundaries
from openpyxl.utils.datetime import MAC_EPOCH
from openpyxl.worksheet._read_only import ReadOnlyWorksheet
from openpyxl.worksheet._reader import FORMULA_TAG, WorkSheetParser

from services.chassis import sheet_zip
from services.chassis.refusal import Invalid
from services.chassis.sheets import Cell, Found, Sheet

if not openpyxl.DEFUSEDXML:
    raise RuntimeError("openpyxl must read XML through defusedxml: unset OPENPYXL_DEFUSEDXML")

LAST_ROW = 1_048_576
MOST_MERGES = 20_000
ERRORS = frozenset({"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#SPILL!", "#CALC!"})
_MERGE = re.compile(rb"""<(?:\w+:)?mergeCell\b[^>]*?\bref=["']([A-Z]{1,3}[0-9]{1,7}:[A-Z]{1,3}[0-9]{1,7})["']""")
_OVERLAP = 256
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


class _NoResult:
    """Stands for a formula that was never calculated."""


NO_RESULT = _NoResult()


@dataclass
class _Merge:
    """Cells that show one value: that of the first."""

    first_row: int
    last_row: int
    first: int
    last: int
    value: Cell = ""
    fault: str = ""


class _Parser(WorkSheetParser):  # type: ignore[misc]  # openpyxl has no types
    """Tells a formula without a result from an empty cell."""

    def parse_cell(self, element: Any) -> Any:
        """The cell; NO_RESULT as value where a formula has none."""
        cell = super().parse_cell(element)
        if cell["value"] is None and element.find(FORMULA_TAG) is not None:
            cell["value"] = NO_RESULT
        return cell


def read(source: IO[bytes], *, sheet: str, columns: int, known: frozenset[str]) -> tuple[Sheet, Iterator[Found]]:
    """The chosen sheet, or else the first visible one, and its rows."""
    archive = sheet_zip.opened(source)
    warnings.simplefilter("ignore")
    try:
        book = openpyxl.load_workbook(source, read_only=True, data_only=True, keep_links=False)
    except Exception as wrong:
        raise _sentence(wrong) from wrong
    chosen, names = _chosen(book, sheet)
    facts = Sheet("xlsx", name=chosen.title, sheets=tuple(names), date1904=book.epoch == MAC_EPOCH)
    return facts, _rows(archive, book, chosen, columns)


def _sentence(wrong: BaseException) -> Exception:
    """What is told of an error that the library met in the file."""
    cause: BaseException | None = wrong
    while cause is not None:
        if isinstance(cause, Invalid | MemoryError):
            return cause
        if isinstance(cause, DefusedXmlException):
            return _entities()
        cause = cause.__cause__ or cause.__context__
    return sheet_zip.damaged()


def _entities() -> Invalid:
    return Invalid(
        "file",
        "该文件的 XML 中定义了实体或引用了外部文件,不予打开;请另存为新的 .xlsx。",
        "The file's XML defines entities or names other files, so it is not opened; save it as a new .xlsx.",
    )


def _chosen(book: Any, wanted: str) -> tuple[ReadOnlyWorksheet, list[str]]:
    sheets = [sheet for sheet in book.worksheets if isinstance(sheet, ReadOnlyWorksheet)]
    visible = [sheet for sheet in sheets if sheet.sheet_state == "visible"]
    names = [sheet.title for sheet in visible]
    found = next((sheet for sheet in sheets if sheet.title.strip() == wanted.strip()), None)
    if wanted.strip() and found is None:
        raise Invalid(
            "sheet",
            f"没有名为“{wanted}”的工作表,可选:{'、'.join(names[:20])}。",
            f"There is no sheet {wanted}; choose one of {', '.join(names[:20])}.",
        )
    if found is None and not visible:
        raise Invalid("file", "该文件没有可见的工作表。", "The file has no visible sheet.")
    return found or visible[0], names


def _rows(archive: zipfile.ZipFile, book: Any, sheet: ReadOnlyWorksheet, columns: int) -> Iterator[Found]:
    path = sheet._worksheet_path
    try:
        merges = _merges(archive, path, columns)
        with archive.open(path) as xml:
            parser = _Parser(
                xml, sheet._shared_strings, data_only=True, epoch=book.epoch, date_formats=book._date_formats,
                timedelta_formats=book._timedelta_formats,
            )  # fmt: skip
            yield from _lent(_own(parser, columns), merges)
    except GeneratorExit:
        raise
    except Exception as wrong:
        raise _sentence(wrong) from wrong


def _own(parser: _Parser, columns: int) -> Iterator[Found]:
    """The rows as they stand in the sheet, without merges."""
    before = 0
    for number, cells in parser.parse():
        if not before < number <= LAST_ROW:
            raise sheet_zip.damaged()
        before = number
        row: list[Cell] = [""] * columns
        faults: dict[int, str] = {}
        for cell in cells:
            place = cell["column"] - 1
            if 0 <= place < columns:
                row[place], fault = _value(cell["value"])
                if fault:
                    faults[place] = fault
        yield Found(number, row, faults, own=bool(faults) or any(value != "" for value in row))


def _value(value: Any) -> tuple[Cell, str]:
    """A cell's value as it travels, and what is wrong with it."""
    if value is None:
        return "", ""
    if value is NO_RESULT:
        return "", "formula"
    if isinstance(value, str):
        text = _unescaped(value).strip()
        return ("", "error") if text in ERRORS else (text, "")
    if isinstance(value, bool | int):
        return value, ""
    if isinstance(value, float):
        return (int(value) if value.is_integer() and abs(value) < 1e18 else value), ""
    return _moment(value), ""


def _moment(value: Any) -> str:
    if isinstance(value, datetime):
        day = value.date().isoformat()
        return day if value.time() == time() else f"{day} {value:%H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, time | timedelta) else ""


def _unescaped(text: str) -> str:
    # _x000D_ and its like are how Excel writes signs that XML forbids.
    plain = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text
    return "".join(
        sign for sign in plain.replace("\r\n", "\n") if sign in "\n\t" or sign.isprintable() or sign == "\u3000"
    )


def _lent(found: Iterator[Found], merges: list[_Merge]) -> Iterator[Found]:
    """Every cell of a merge holds the value of its first cell."""
    waiting, active = merges, list[_Merge]()
    for row in found:
        active = [merge for merge in active if merge.last_row >= row.number]
        while waiting and waiting[-1].first_row <= row.number:
            merge = waiting.pop()
            if merge.first_row == row.number:
                merge.value, merge.fault = row.cells[merge.first], row.faults.get(merge.first, "")
            active.append(merge)
        yield _with(row, active) if active else row


def _with(row: Found, active: list[_Merge]) -> Found:
    cells, faults = list(row.cells), dict(row.faults)
    for merge in active:
        for place in range(merge.first, merge.last + 1):
            cells[place] = merge.value
            if merge.fault:
                faults[place] = merge.fault
    return Found(row.number, cells, faults, row.own)


def _merges(archive: zipfile.ZipFile, path: str, columns: int) -> list[_Merge]:
    """The merges, the last first. They stand behind the rows, so the sheet's text is looked through for them."""
    found: dict[bytes, None] = {}
    with archive.open(path) as xml:
        tail = b""
        while piece := xml.read(1 << 20):
            text = tail + piece
            found.update(dict.fromkeys(_MERGE.findall(text)))
            tail = text[-_OVERLAP:]
            if len(found) > MOST_MERGES:
                raise _too_many_merges()
    merges = [_merge(ref.decode(), columns) for ref in found]
    return sorted((merge for merge in merges if merge is not None), key=lambda merge: -merge.first_row)


def _merge(ref: str, columns: int) -> _Merge | None:
    bounds: Mapping[int, int | None] = dict(enumerate(range_boundaries(ref)))
    first, first_row, last, last_row = (int(bounds[n] or 0) for n in range(4))
    if first > columns:
        return None
    return _Merge(first_row, last_row, first - 1, min(last, columns) - 1)


def _too_many_merges() -> Invalid:
    return Invalid(
        "file",
        f"合并单元格超过 {MOST_MERGES} 处,请取消合并后再上传。",
        f"The sheet merges cells in more than {MOST_MERGES} places; take the merges apart.",
    )
