"""Freezes the public holidays and make-up days 调休 of PyPI chinesecalendar into the table that the services ship.

Usage: python infra/tools/freeze_holidays.py [--out services/chassis/data/holidays.csv]
The output depends on the version of the package alone. Run it after the State Council has published the next year.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path

from chinese_calendar.constants import Holiday, holidays, workdays

SHIPPED = Path(__file__).parents[2] / "services" / "chassis" / "data" / "holidays.csv"
NAMES = {holiday.value: holiday.chinese for holiday in Holiday}


def rows() -> Iterator[tuple[date, str, str]]:
    """Every public holiday (also one on a weekend) and every weekend day that is worked, oldest first."""
    for day in sorted({*holidays, *workdays}):
        if day not in workdays:
            yield day, "holiday", NAMES[holidays[day]]
        elif day.weekday() >= 5:
            yield day, "workday", NAMES[workdays[day]]


def table() -> str:
    """The whole file. Its first line names the source and the years that are published."""
    first, last = min(holidays).year, max(holidays).year
    lines = [f"# PyPI chinesecalendar {version('chinesecalendar')} (MIT); years: {first}-{last}", "date,kind,name"]
    lines += [f"{day.isoformat()},{kind},{name}" for day, kind, name in rows()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=SHIPPED, help="the file to write (default: the shipped table)")
    parser.parse_args().out.write_text(table(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
