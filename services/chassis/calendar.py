"""The working calendar of mainland China: Monday to Friday, without public holidays, with make-up days 调休."""

from __future__ import annotations

import csv
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import accumulate
from pathlib import Path

SHIPPED = Path(__file__).parent / "data" / "holidays.csv"
YEARS = re.compile(r"years:\s*(\d{4})\s*-\s*(\d{4})")
COLUMNS = ["date", "kind", "name"]
KINDS = {"holiday": False, "workday": True}


@dataclass(frozen=True)
class SpecialDay:
    """A date that the State Council named: worked or not, and for which holiday."""

    on: date
    worked: bool
    name: str


class WorkCalendar:
    """Which dates are working days. Outside the published years the plain Monday to Friday rule holds."""

    def __init__(self, special: Mapping[date, SpecialDay], first_year: int, last_year: int) -> None:
        self.special = dict(special)
        self.first_year = first_year
        self.last_year = last_year
        changed = sorted(d for d, day in self.special.items() if day.worked != _plain(d))
        self._changed = [d.toordinal() for d in changed]
        self._balance = [0, *accumulate(1 if self.special[d].worked else -1 for d in changed)]

    @classmethod
    @cache
    def published(cls) -> WorkCalendar:
        """The table that is shipped with this release."""
        return cls.from_file(SHIPPED)

    @classmethod
    def from_file(cls, path: str | Path) -> WorkCalendar:
        """Reads a table (date,kind,name; a first line with `years: 2004-2026`). A bad line: ValueError naming it."""
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as wrong:
            raise ValueError(f"{path}:请将文件另存为 UTF-8 编码。 {path}: save the file as UTF-8.") from wrong
        return cls.from_text(text, origin=Path(path).name)

    @classmethod
    def from_text(cls, text: str, origin: str = "holidays") -> WorkCalendar:
        """The same from text, for a table that arrives in a message or an upload; `origin` names it in errors."""
        lines = text.splitlines()
        first, last = _years(lines[0] if lines else "", origin)
        special: dict[date, SpecialDay] = {}
        for number, day in _days(lines, origin):
            _check(day, special, (first, last), f"{origin}:{number}")
            special[day.on] = day
        _check_every_year(special, (first, last), origin)
        return cls(special, first, last)

    def extended_by(self, other: WorkCalendar) -> WorkCalendar:
        """This calendar with the years of a newer one in place of its own. A gap between them raises ValueError."""
        if other.first_year > self.last_year + 1 or other.last_year < self.first_year - 1:
            raise ValueError(
                f"年份不连续:{self.last_year} 之后应从 {self.last_year + 1} 年开始导入。 "
                f"The years do not join: after {self.last_year}, import {self.last_year + 1} first."
            )
        kept = {d: day for d, day in self.special.items() if not other.first_year <= d.year <= other.last_year}
        first, last = min(self.first_year, other.first_year), max(self.last_year, other.last_year)
        return WorkCalendar({**kept, **other.special}, first, last)

    @property
    def published_until(self) -> date:
        """The last day of the last published year; what is computed beyond it is provisional."""
        return date(self.last_year, 12, 31)

    def is_workday(self, d: date) -> bool:
        """Whether offices work on this date."""
        day = self.special.get(d)
        return _plain(d) if day is None else day.worked

    def next_workday(self, d: date) -> date:
        """The date itself if it is a working day, else the first one after it."""
        return d if self.is_workday(d) else self.add_workdays(d, 1)

    def workdays_between(self, after: date, until: date) -> int:
        """How many working days lie after the first date, up to and including the second."""
        return self._worked(until.toordinal()) - self._worked(after.toordinal())

    def add_workdays(self, start: date, n: int) -> date:
        """The n-th working day after `start`, itself not counted; `start` if n is 0. Negative n: ValueError."""
        if n < 0:
            raise ValueError(f"工作日数不能为负:{n}。 The number of working days must not be negative: {n}.")
        low = start.toordinal()
        wanted = self._worked(low) + n
        # 2 days for each working day, and once more every day that the table took away, is always far enough.
        high = min(low + 2 * n + 2 * len(self._changed) + 7, date.max.toordinal())
        if n and self._worked(high) < wanted:
            raise ValueError(f"{n} 个工作日超出日历范围。 {n} working days reach beyond the calendar.")
        return date.fromordinal(_first(low, high, lambda day: self._worked(day) >= wanted))

    def _worked(self, ordinal: int) -> int:
        """Working days from the beginning of the calendar to this day: by weeks, corrected by the table."""
        return ordinal // 7 * 5 + min(ordinal % 7, 5) + self._balance[bisect_right(self._changed, ordinal)]


def _plain(d: date) -> bool:
    return d.weekday() < 5


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The smallest number from low to high for which a condition holds that never stops holding again."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _years(line: str, origin: str) -> tuple[int, int]:
    found = YEARS.search(line) if line.startswith("#") else None
    if found is None or found[1] > found[2] or found[1] < "1000":
        raise ValueError(
            f"{origin}:1: 第一行应写明已公布的年份,如“# years: 2004-2026”。 "
            f"The first line must name the published years, such as '# years: 2004-2026'."
        )
    return int(found[1]), int(found[2])


def _days(lines: list[str], origin: str) -> Iterator[tuple[int, SpecialDay]]:
    heading_seen = False
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        cells = [cell.strip() for cell in next(csv.reader([line]))]
        if not heading_seen and cells == COLUMNS:
            heading_seen = True
            continue
        yield number, _day(cells, f"{origin}:{number}")


def _day(cells: list[str], where: str) -> SpecialDay:
    if len(cells) != 3 or cells[1] not in KINDS:
        raise ValueError(
            f"{where}: 应为“日期,holiday 或 workday,名称”,现为 {cells}。 "
            f"Write 'date,holiday or workday,name', not {cells}."
        )
    try:
        on = date.fromisoformat(cells[0])
    except ValueError as wrong:
        raise ValueError(
            f"{where}: 日期应写作 2026-10-01,现为 {cells[0]!r}。 Write the date as 2026-10-01, not {cells[0]!r}."
        ) from wrong
    return SpecialDay(on, KINDS[cells[1]], cells[2])


def _check(day: SpecialDay, seen: Mapping[date, SpecialDay], years: tuple[int, int], where: str) -> None:
    if day.on in seen:
        raise ValueError(f"{where}: {day.on} 重复,请删除一行。 {day.on} is there twice; delete one line.")
    if not years[0] <= day.on.year <= years[1]:
        raise ValueError(
            f"{where}: {day.on} 不在第一行的年份之内,请更正年份或日期。 "
            f"{day.on} is outside the years in the first line; correct one of them."
        )


def _check_every_year(special: Mapping[date, SpecialDay], years: tuple[int, int], origin: str) -> None:
    # A year without a single holiday was never published; treating it as published would hide provisional dates.
    missing = sorted(set(range(years[0], years[1] + 1)) - {d.year for d in special})
    if missing:
        raise ValueError(
            f"{origin}: {missing[0]} 年没有任何一行,请补全或更正第一行的年份。 "
            f"There is no line for {missing[0]}; add its holidays or correct the years in the first line."
        )
