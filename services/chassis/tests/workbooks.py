"""Workbooks for tests: honest ones made by the library, and hostile ones put together by hand."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from services.chassis.sheets import Row, Sheet, heading_key, rows

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>'
)
RELS = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    f'<Relationship Id="rId1" Type="{REL}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
)
BOOK = (
    f'<?xml version="1.0"?><workbook {MAIN} xmlns:r="{REL}"><sheets>'
    '<sheet name="登记表" sheetId="1" r:id="rId1"/></sheets></workbook>'
)
BOOK_RELS = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    f'<Relationship Id="rId1" Type="{REL}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>'
)


def read_here(content: bytes, **how: Any) -> tuple[Sheet, list[Row]]:
    """What the child's task gives, run in this process: a fifth of the time."""
    out = io.BytesIO()
    how["headings"] = [heading_key(word) for word in how.get("headings", ())]
    rows(io.BytesIO(content), out, **how)
    facts, *lines = (json.loads(line) for line in out.getvalue().splitlines())
    sheet = Sheet(**{**facts, "sheets": tuple(facts["sheets"]), "headings": tuple(facts["headings"])})
    return sheet, [
        Row(line["row"], tuple(line["cells"]), {int(place): fault for place, fault in line.get("faults", {}).items()})
        for line in lines
    ]


def workbook(*rows: Sequence[Any], then: Callable[[Worksheet], None] = lambda _: None) -> bytes:
    """A workbook of one sheet, changed by `then` before it is saved."""
    book = Workbook()
    for row in rows:
        book.active.append(list(row))
    then(book.active)
    return saved(book)


def saved(book: Workbook) -> bytes:
    """The file of a workbook."""
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


def sheet_xml(rows: str, before: str = "", after: str = "") -> str:
    """The XML of a sheet with these rows."""
    return f'<?xml version="1.0"?>{before}<worksheet {MAIN}><sheetData>{rows}</sheetData>{after}</worksheet>'


def row_xml(number: int, *texts: str) -> str:
    """A row of inline texts."""
    cells = "".join(f'<c t="inlineStr"><is><t>{text}</t></is></c>' for text in texts)
    return f'<row r="{number}">{cells}</row>'


def by_hand(sheet: str, **parts: str | bytes) -> bytes:
    """An .xlsx of exactly these parts; names may be given with / as __."""
    every: dict[str, str | bytes] = {
        "[Content_Types].xml": TYPES, "_rels/.rels": RELS, "xl/workbook.xml": BOOK,
        "xl/_rels/workbook.xml.rels": BOOK_RELS, "xl/worksheets/sheet1.xml": sheet,
    }  # fmt: skip
    return archive({**every, **parts}.items())


def archive(parts: Iterable[tuple[str, str | bytes]]) -> bytes:
    """A zip of parts, in this order."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts:
            file.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return made.getvalue()
