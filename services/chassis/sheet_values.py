"""What people mean by what they typed into a cell: dates in every usual form, numbers kept as text, ticks, phones."""

from __future__ import annotations

import re
import unicodedata
from datetime import date, timedelta

from services.chassis.sheets import Cell

_TIME = r"(?:[T日\s]*(?:\d{1,2}[::时]\d{1,2}(?:[::分]\d{1,2})?(?:\.\d+)?[秒分]?))?"
_DAY = re.compile(rf"(\d{{4}})\s*[-/.年]\s*(\d{{1,2}})\s*[-/.月]\s*(\d{{1,2}})\s*[日号]?{_TIME}")
_EIGHT = re.compile(r"(19|20)\d{6}")
_SERIAL = re.compile(r"[1-9]\d{4}(\.\d+)?")
_WHOLE = re.compile(r"\d{1,9}")
_POWER = re.compile(r"\d(\.\d+)?[eE]\+?\d+")
_UNITS = re.compile(r"(人次|批次|人|批|件|名|个|位)$")
# Day 0 of the two systems in which sheets count days.
_FROM_1900, _FROM_1904 = date(1899, 12, 30), date(1904, 1, 1)
_YES = frozenset({"是", "有", "√", "✓", "✔", "y", "yes", "true", "1", "对"})
_NO = frozenset({"", "否", "无", "×", "✗", "x", "n", "no", "false", "0", "-", "—", "/"})
FORMULA_SIGNS = "=+-@\t\r\uff1d\uff0b\uff0d\uff20"
# Digits that a number in a sheet keeps; a longer one has lost its end.
EXACT_DIGITS = 15


def plain(cell: Cell) -> str:
    """A cell as text in one width, without blanks around it: for codes, names and numbers, not for free text."""
    return " ".join(unicodedata.normalize("NFKC", text(cell)).split())


def text(cell: Cell) -> str:
    """A cell as it was written; a number without the point that a sheet hangs onto it."""
    if isinstance(cell, bool):
        return "是" if cell else "否"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e18 else repr(cell)
    written = str(cell).strip()
    # The apostrophe that keeps a text from being taken for a formula.
    return written[1:] if len(written) > 1 and written[0] == "'" and written[1] in FORMULA_SIGNS else written


def day(cell: Cell, *, date1904: bool = False) -> date | None:
    """2021-3-5, 2021/3/5, 2021.3.5, 2021年3月5日, 20210305, or the number by which a sheet counts days."""
    typed = plain(cell)
    if found := _DAY.fullmatch(typed):
        return _day(*map(int, found.groups()[:3]))
    if _EIGHT.fullmatch(typed):
        return _day(int(typed[:4]), int(typed[4:6]), int(typed[6:]))
    if _SERIAL.fullmatch(typed):
        return (_FROM_1904 if date1904 else _FROM_1900) + timedelta(days=int(float(typed)))
    return None


def whole(cell: Cell) -> int | None:
    """A number of persons or things: 12, 12.0, 12, 十二 not; a unit behind it (3人) may stand."""
    typed = _UNITS.sub("", plain(cell)).strip().replace(",", "")
    typed = typed.removesuffix(".0")
    return int(typed) if _WHOLE.fullmatch(typed) else None


def yes(cell: Cell) -> bool | None:
    """A tick, a yes or a no; None when it is neither."""
    typed = plain(cell).casefold()
    if typed in _YES:
        return True
    return False if typed in _NO else None


def has_lost_digits(cell: Cell) -> bool:
    """A long number that the sheet rounded: 1.38E+10 as text, or more digits than a number keeps."""
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return abs(cell) >= 10**EXACT_DIGITS or (isinstance(cell, float) and not cell.is_integer())
    return bool(_POWER.fullmatch(plain(cell)))


def _day(year: int, month: int, of_month: int) -> date | None:
    try:
        return date(year, month, of_month)
    except ValueError:
        return None
