"""Registers as they go out, .xlsx or .csv: the same form in which they come in. Written in a child process.

A text that a spreadsheet would take for a formula (it begins with = + - @) gets an apostrophe before it, in either
form; `sheet_values.text` takes it off again.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import IO, Any

from services.chassis import child

TASK = "services.chassis.sheet_out:write"
LIMITS = child.Limits(seconds=120.0, memory_mb=768, output_mb=64)
TYPES = {"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "csv": "text/csv; charset=utf-8"}
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
WIDEST = 40
# A cell of Excel holds no more.
LONGEST = 32_767


def write(source: IO[bytes], out: IO[bytes], form: str, title: str, headings: Sequence[str]) -> None:
    """The task of the child: each line of the source is the JSON array of a row."""
    rows = (_safe(json.loads(line)) for line in source)
    if form == "csv":
        _write_csv(out, headings, rows)
    else:
        _write_xlsx(out, title, headings, rows)


def harmless(value: Any) -> Any:
    """A text that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value.startswith(DANGEROUS):
        return f"'{value}"[:LONGEST]
    return value[:LONGEST] if isinstance(value, str) else value


def _safe(row: list[Any]) -> list[Any]:
    return [harmless(value) for value in row]


def _write_csv(out: IO[bytes], headings: Sequence[str], rows: Iterator[list[Any]]) -> None:
    # With its mark, without which Excel takes UTF-8 for GBK.
    text = io.TextIOWrapper(out, encoding="utf-8-sig", newline="", write_through=False)
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(headings)
    writer.writerows(rows)
    text.flush()
    text.detach()


def _write_xlsx(out: IO[bytes], title: str, headings: Sequence[str], rows: Iterator[list[Any]]) -> None:
    # Imported in the child alone.
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter

    book = Workbook(write_only=True)
    sheet = book.create_sheet(title[:31])
    sheet.freeze_panes = "A2"
    for place, heading in enumerate(headings, start=1):
        sheet.column_dimensions[get_column_letter(place)].width = min(WIDEST, max(12, 2 * len(heading) + 4))

    def cell(value: Any, *, bold: bool = False) -> Any:
        made = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("", value) if isinstance(value, str) else value)
        if isinstance(value, str):
            # As text, whatever it looks like: long numbers keep their digits.
            made.data_type, made.number_format = "s", "@"
        if bold:
            made.font, made.alignment = Font(bold=True), Alignment(horizontal="center")
        return made

    sheet.append([cell(heading, bold=True) for heading in headings])
    for row in rows:
        sheet.append([None if value == "" else cell(value) for value in row])
    made = io.BytesIO()
    book.save(made)
    out.write(made.getbuffer())
