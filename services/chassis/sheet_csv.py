"""A .csv, row by row: UTF-8 or GB18030, comma, semicolon or tab. Whatever else it may be gets a sentence."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import IO

from services.chassis import sheet_zip
from services.chassis.refusal import Invalid
from services.chassis.sheets import HEADING_WITHIN, Found, Sheet, heading_key

# The signs that a text file has no use for. GB18030 reads almost anything, so what it makes of binary data shows here.
_BINARY = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_UNSEEN = re.compile(r"[\u200b-\u200f\u2028\u2029\u2060\ufeff\x7f]")
LONGEST_CELL = 32_767
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
DELIMITERS = (",", "\t", ";", ",", ";")


def read(source: IO[bytes], *, sheet: str, columns: int, known: frozenset[str]) -> tuple[Sheet, Iterator[Found]]:
    """The one sheet of a text file, and its rows."""
    content = source.read()
    _not_another_form(content)
    text, encoding = _decoded(content)
    if _BINARY.search(text):
        raise _unreadable()
    delimiter = _delimiter(text, known)
    return Sheet("csv", encoding=encoding, delimiter=delimiter), _rows(text, delimiter, columns)


def _not_another_form(content: bytes) -> None:
    if content.startswith(_COMPOUND):
        if "EncryptedPackage".encode("utf-16-le") in content:
            raise sheet_zip.locked()
        raise _old("旧版 .xls", "an old .xls")
    if not content.strip():
        raise Invalid("file", "文件是空的。", "The file is empty.")
    begins = content[:512].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if begins.startswith((b"<html", b"<!doctype", b"<table", b"<?xml", b"<meta", b"<style", b"mime-version")):
        raise _old("网页或 XML 格式", "a web page or XML")
    if begins.startswith((b"%pdf", b"{\\rtf", b"\x89png", b"\xff\xd8\xff", b"rar!", b"7z\xbc")):
        raise _unreadable()


def _old(zh: str, en: str) -> Invalid:
    return Invalid(
        "file",
        f"该文件是{zh}的表格,请用 Excel 或 WPS 打开后另存为 .xlsx。",
        f"The file is {en}; open it in Excel or WPS and save it as .xlsx.",
    )


def _unreadable() -> Invalid:
    return Invalid(
        "file",
        "看不出这是什么文件;请上传 .xlsx,或 UTF-8、GB18030(GBK)编码的 .csv。",
        "This is no file that can be read here; send an .xlsx, or a .csv in UTF-8 or GB18030 (GBK).",
    )


def _decoded(content: bytes) -> tuple[str, str]:
    marked = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), "")
    for encoding in (marked,) if marked else ("utf-8", "gb18030"):
        try:
            return content.decode(encoding, "strict"), encoding
        except UnicodeDecodeError:
            continue
    raise _unreadable()


def _delimiter(text: str, known: frozenset[str]) -> str:
    """The one with which the first rows show most of the known headings, or else most columns."""
    start = text[: 1 << 16]

    def fits(delimiter: str) -> tuple[int, int]:
        top = [row for _, row in zip(range(HEADING_WITHIN), _quietly(start, delimiter), strict=False)]
        return (
            max((len({heading_key(cell) for cell in row} & known) for row in top), default=0),
            max((len(row) for row in top), default=0),
        )

    return max(DELIMITERS, key=fits)


def _quietly(text: str, delimiter: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    except csv.Error:
        return


def _rows(text: str, delimiter: str, columns: int) -> Iterator[Found]:
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 0
    try:
        for number, row in enumerate(reader, start=1):
            cells = [_clean(cell) for cell in row[:columns]]
            own = any(cells)
            yield Found(number, cells + [""] * (columns - len(cells)), own=own)
    except csv.Error as wrong:
        raise Invalid(
            "file",
            f"第 {number + 1} 行的引号不成对,或某一格超过 {LONGEST_CELL} 字,请修改后再上传。",
            f"In row {number + 1} a quotation mark is not closed or a cell is longer than {LONGEST_CELL} characters.",
        ) from wrong


def _clean(cell: str) -> str:
    text = _UNSEEN.sub("", cell).strip()
    # ="001" is how some programs keep Excel from taking a number for one.
    return text[2:-1] if text.startswith('="') and text.endswith('"') and len(text) > 3 else text
