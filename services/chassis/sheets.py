"""Spreadsheets as people keep them, .xlsx and .csv, read in a child process and given row by row.

    sheet, rows = sheets.read(content, headings=KNOWN)      # Invalid with a sentence, before a row was given
    for row in rows: row.number, row.cells, row.faults      # cells stand in the order of sheet.headings

A cell is a text, a number, a yes/no, or empty (""). A date cell comes as 2021-03-05 (with 14:30 behind it when it has
a time); what people typed instead is read by `sheet_values.py`. `faults` names cells by their place that hold a
formula without a result (`formula`) or an error (`error`).

Limits: 50,000 rows and 60 columns unless told otherwise; after 10,000 empty rows in a row the sheet counts as ended.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from services.chassis import child
from services.chassis.refusal import Invalid

TASK = "services.chassis.sheets:rows"
MOST_ROWS, MOST_COLUMNS = 50_000, 60
# Where the headings are looked for: among so many rows that are not empty.
HEADING_WITHIN = 10
MOST_EMPTY = 10_000
LIMITS = child.Limits(seconds=90.0, memory_mb=768, output_mb=512)
SUMS = frozenset({"合计", "总计", "小计", "共计", "total", "sum"})

Cell = str | int | float | bool
_NOTE = re.compile(r"[((\[【].*?[))\]】]")
_FILLING = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Sheet:
    """What a file turned out to be, before its rows: its form, its sheet and the headings as they are written."""

    form: str
    name: str = ""
    # Sheets that can be chosen: the visible ones.
    sheets: tuple[str, ...] = ()
    heading_row: int = 0
    headings: tuple[str, ...] = ()
    # Serial numbers of dates count from 1904 instead of 1900.
    date1904: bool = False
    encoding: str = ""
    delimiter: str = ""


@dataclass(frozen=True)
class Row:
    """One row, by the number that it has in the sheet."""

    number: int
    cells: tuple[Cell, ...]
    faults: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """A row as a reader of one form finds it: its own cells, those a merge lends it, and its faults."""

    number: int
    cells: Sequence[Cell]
    faults: dict[int, str] = field(default_factory=dict)
    # Whether anything stands in the row itself.
    own: bool = True


def heading_key(text: str) -> str:
    """A heading without what does not matter: width, case, blanks, marks and notes in brackets (姓名(必填)* → 姓名)."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return _FILLING.sub("", _NOTE.sub("", plain)) or _FILLING.sub("", plain)


def read(
    source: bytes | Path,
    *,
    sheet: str = "",
    headings: Iterable[str] = (),
    max_rows: int = MOST_ROWS,
    max_columns: int = MOST_COLUMNS,
    limits: child.Limits = LIMITS,
) -> tuple[Sheet, Generator[Row, None, None]]:
    """The sheet, and its rows as they are read; `headings` are words by which the heading row is known.

    Raises Invalid for whatever is wrong with the file; what only shows further down is raised on the way to it.
    """
    known = sorted({heading_key(word) for word in headings})
    told = child.lines(
        TASK, source, limits, sheet=sheet, headings=known, max_rows=max_rows, max_columns=max_columns
    )  # fmt: skip
    try:
        facts = next(told)
    except child.TooMuch as much:
        raise too_much() from much
    lists = {name: tuple(facts[name]) for name in ("sheets", "headings")}
    return Sheet(**{**facts, **lists}), _given(told)


def _given(told: Generator[Any, None, None]) -> Generator[Row, None, None]:
    try:
        for line in told:
            faults = {int(place): fault for place, fault in line.get("faults", {}).items()}
            yield Row(line["row"], tuple(line["cells"]), faults)
    except child.TooMuch as much:
        raise too_much() from much
    finally:
        told.close()


def too_much() -> Invalid:
    """The file took more time or memory than any register needs."""
    return Invalid(
        "file",
        "该文件无法在规定的时间和内存内读完,可能已损坏或过大;请另存为新的 .xlsx 或分成几个文件。",
        "The file could not be read within the limits of time and memory; it is damaged or far too large. "
        "Save it as a new .xlsx, or in several files.",
    )


def rows(
    source: IO[bytes],
    out: IO[bytes],
    sheet: str = "",
    headings: Sequence[str] = (),
    max_rows: int = MOST_ROWS,
    max_columns: int = MOST_COLUMNS,
) -> None:
    """The task of the child: the sheet's facts on the first line, then one line for each row that is not empty."""
    # Imported in the child alone.
    from services.chassis import sheet_csv, sheet_xlsx

    begins = source.read(8)
    source.seek(0)
    read_form = sheet_xlsx.read if begins.startswith(b"PK") else sheet_csv.read
    facts, found = read_form(source, sheet=sheet, columns=max_columns + 1, known=frozenset(headings))
    top, rest = _first(found)
    heading = _heading(top, frozenset(headings), max_columns)
    names = _names(heading)
    facts = Sheet(**{**asdict(facts), "heading_row": heading.number, "headings": names})
    _write(out, asdict(facts))
    # A caller who only wants to know what the file is reads no further.
    out.flush()
    under = [row for row in top if row.number > heading.number]
    for count, row in enumerate(_data(_chain(under, rest), names, heading.number), start=1):
        if count > max_rows:
            raise _too_many(max_rows)
        line: dict[str, Any] = {"row": row.number, "cells": row.cells[: len(names)]}
        faults = {place: fault for place, fault in row.faults.items() if place < len(names)}
        _write(out, {**line, "faults": faults} if faults else line)


def _write(out: IO[bytes], line: dict[str, Any]) -> None:
    out.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")


def _first(found: Iterator[Found]) -> tuple[list[Found], Iterator[Found]]:
    """The rows among which the headings are looked for, and those that follow."""
    top: list[Found] = []
    for row in found:
        if row.own:
            top.append(row)
        if len(top) == HEADING_WITHIN or row.number > MOST_EMPTY:
            break
    return top, found


def _chain(under: list[Found], rest: Iterator[Found]) -> Iterator[Found]:
    yield from under
    yield from rest


def _heading(top: list[Found], known: frozenset[str], max_columns: int) -> Found:
    """The row that holds most of the known headings; without any the first that names several things."""
    if not top:
        raise Invalid("file", "表中没有内容。", "The sheet is empty.")
    best = max(top, key=lambda row: (_known(row, known), -row.number))
    if not _known(best, known):
        best = next((row for row in top if len(_different(row)) > 1), top[0])
    if any(_text(cell) for cell in best.cells[max_columns:]):
        raise Invalid(
            "file",
            f"表头超过 {max_columns} 列,请删去不用的列。",
            f"The sheet has more than {max_columns} columns; delete those that are not needed.",
        )
    return best


def _known(row: Found, known: frozenset[str]) -> int:
    return len(_different(row) & known)


def _different(row: Found) -> set[str]:
    return {key for cell in row.cells if (key := heading_key(_text(cell)))}


def _names(heading: Found) -> tuple[str, ...]:
    names = [" ".join(_text(cell).split()) for cell in heading.cells]
    while names and not names[-1]:
        names.pop()
    return tuple(names)


def _data(found: Iterator[Found], names: tuple[str, ...], heading: int) -> Iterator[Found]:
    """Rows of the register: no empty ones, no sums, no headings repeated on a further page."""
    last = heading
    for row in found:
        if row.number - last > MOST_EMPTY:
            return
        if not row.own or not (row.faults or any(cell != "" for cell in row.cells[: len(names)])):
            continue
        last = row.number
        if _names(row) != names and not _is_sum(row):
            yield row


def _is_sum(row: Found) -> bool:
    texts = [_text(cell) for cell in row.cells if _text(cell)]
    labels = [text for text in texts if not re.fullmatch(r"[\d.,]+", text)]
    return bool(labels) and all(heading_key(label) in SUMS for label in labels)


def _text(cell: Cell) -> str:
    return str(cell).strip() if not isinstance(cell, bool) else ("TRUE" if cell else "")


def _too_many(max_rows: int) -> Invalid:
    return Invalid(
        "file",
        f"数据超过 {max_rows} 行,请分成几个文件。",
        f"The sheet has more than {max_rows} rows; send it in several files.",
    )
