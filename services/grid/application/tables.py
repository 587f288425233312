"""A table of the directory, as an office keeps it, turned into drafts: headings in any order, Chinese or English."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from services.chassis.directory_entries import BEGINNING, CALENDARS
from services.chassis.directory_shipped import shipped
from services.chassis.refusal import Invalid
from services.chassis.sheet_values import day, has_lost_digits, plain
from services.chassis.sheets import Cell, Row, Sheet, heading_key
from services.grid.domain import kinds
from services.grid.domain.kinds import Column
from services.grid.domain.plan import Draft, Wrong
from services.grid.domain.terms import KIND_ZH


@dataclass
class Table:
    """What a file holds: rows that can be read, rows that cannot, and what a person should know about it."""

    drafts: list[Draft] = field(default_factory=list)
    wrong: list[Wrong] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def headings(kind: str) -> list[str]:
    """All words by which the heading of such a table is known."""
    return [word for one in kinds.COLUMNS[kind] for word in one.headings]


def read(kind: str, sheet: Sheet, rows: Iterable[Row]) -> Table:
    """Reads a whole table. Raises Invalid when it lacks a column without which no row can be understood."""
    columns = _columns(kind, sheet.headings)
    table = Table(warnings=_unknown(sheet.headings, columns))
    _check_columns(kind, [one for one in columns if one])
    for row in rows:
        _read_row(kind, sheet, columns, row, table)
    if not table.drafts and not table.wrong:
        raise Invalid("file", "表中只有表头,没有数据行。", "The table has headings but no rows.")
    return table


def shipped_table(kind: str) -> Table:
    """The table that this release brings along, as if somebody had filled it in."""
    table = Table()
    for row, entry in enumerate(shipped(kind), start=2):
        own = [one.field for one in kinds.COLUMNS[kind] if one.field not in ("code", "valid_from", "valid_to")]
        values = {name: entry.text_of(name) for name in own}
        since = None if entry.valid_from == BEGINNING else entry.valid_from
        table.drafts.append(Draft(row, entry.code, values, since, entry.valid_to, says_end=True))
    return table


def _columns(kind: str, given: Sequence[str]) -> list[Column | None]:
    """The column of each heading; None for a heading that is not ours. The official name of a column goes first."""
    known: dict[str, Column] = {}
    for one in kinds.COLUMNS[kind]:
        known[heading_key(one.zh)] = one
    for one in kinds.COLUMNS[kind]:
        for word in one.headings:
            known.setdefault(heading_key(word), one)
    found: list[Column | None] = []
    for heading in given:
        column = known.get(heading_key(heading))
        if column is not None and column in found:
            raise Invalid(
                "file", f"列“{column.zh}”出现了两次,请删去一列。", f"Column {column.name} is there twice; delete one."
            )
        found.append(column)
    return found


def _unknown(given: Sequence[str], columns: Sequence[Column | None]) -> list[str]:
    names = [heading for heading, column in zip(given, columns, strict=True) if column is None and heading]
    text = "以下列不认识,未导入 columns not known and left out: "
    return [text + "、".join(names[:20])] if names else []


def _check_columns(kind: str, columns: Sequence[Column]) -> None:
    if not any(one.field == "code" for one in columns):
        code = kinds.column(kind, "code")
        raise Invalid(
            "file",
            f"{KIND_ZH[kind]}表没有“{code.zh}”列;可用的列:{'、'.join(one.zh for one in kinds.COLUMNS[kind])}。",
            f"The table has no column {code.name}; columns are {', '.join(one.name for one in kinds.COLUMNS[kind])}.",
        )


def _read_row(kind: str, sheet: Sheet, columns: Sequence[Column | None], row: Row, table: Table) -> None:
    values: dict[str, str] = {}
    dates: dict[str, date | None] = {}
    wrong: list[Wrong] = []
    for place, column in enumerate(columns):
        if column is None:
            continue
        cell: Cell = row.cells[place] if place < len(row.cells) else ""
        try:
            if place in row.faults:
                raise _faulty(column, row.faults[place])
            if column.field in ("valid_from", "valid_to"):
                dates[column.field] = _day(column, cell, sheet) if plain(cell) else None
            else:
                values[column.field] = kinds.read(column, _text(kind, column, cell, sheet))
        except Invalid as invalid:
            wrong.append(Wrong(row.number, column.name, invalid.zh, invalid.en))
    table.wrong += wrong
    if not wrong:
        own = {name: text for name, text in values.items() if name != "code"}
        ends = "valid_to" in dates
        since, until = dates.get("valid_from"), dates.get("valid_to")
        table.drafts.append(Draft(row.number, values["code"], own, since, until, ends))


def _text(kind: str, column: Column, cell: Cell, sheet: Sheet) -> str:
    if kind == CALENDARS and column.field == "code" and plain(cell):
        return _day(column, cell, sheet).isoformat()
    if has_lost_digits(cell):
        raise Invalid(
            column.name,
            f"{column.zh}:数字过长,表格软件已丢失末位,请将该列设为文本后重新填写。",
            f"{column.name}: the sheet rounded this long number; make the column text and write it again.",
        )
    return plain(cell)


def _day(column: Column, cell: Cell, sheet: Sheet) -> date:
    found = day(cell, date1904=sheet.date1904)
    if found is None:
        raise Invalid(
            column.name, f"{column.zh}:请写成 2026-01-31 的日期。", f"{column.name}: write the date as 2026-01-31."
        )
    return found


def _faulty(column: Column, fault: str) -> Invalid:
    zh, en = (
        ("公式没有结果", "holds a formula without a result") if fault == "formula" else ("单元格出错", "is an error")
    )
    return Invalid(column.name, f"{column.zh}:{zh},请改为数值或文字。", f"{column.name} {en}; write the value itself.")
