"""Makes an example register of a year's visits whose totals are those that the district published for 2021.

389 visits (批) of 952 persons (人次), of which 75 and 101 on 65 leaders' reception days. Everything else is invented:
persons, matters, days, channels, towns. The same seed gives the same file, byte for byte; every seed the same totals.

Usage: python -m infra.tools.example_register --out register.xlsx [--seed 2021]      (or .csv)
"""

from __future__ import annotations

import argparse
import csv
import io
import random
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font

from services.chassis.calendar import WorkCalendar
from services.chassis.directory_entries import DIVISIONS, TOWN_LEVELS, VILLAGE_LEVELS, Entry
from services.chassis.directory_shipped import shipped

YEAR = 2021
# The published figures of 贵池区 for 2021.
VISITS, PERSONS = 389, 952
LEADER_VISITS, LEADER_PERSONS, LEADER_DAYS = 75, 101, 65
TITLE = f"{YEAR} 年群众来访登记表(示例:除总数外均为虚构)"
SOURCE_SYSTEM = f"示例登记表{YEAR}"
SEED = 2021
HEADINGS = (
    "来访日期", "批次", "人次", "渠道", "姓名", "电话", "住址", "概况", "诉求", "属地", "承办单位", "领导接访",
    "信访类别", "初次/重复", "原系统编号", "来源系统", "状态", "受理日期", "办结日期", "处理结果", "处理意见", "理由",
    "法定途径",
)  # fmt: skip
SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜"
GIVEN = "安宁禾穗田渔樵耕读春夏秋冬松柏竹梅江河湖溪山石云雨星辰东南西北文武和平"
# How often visits come by month, the months of the spring festival fewest.
MONTHS = (24, 17, 41, 38, 34, 36, 33, 31, 35, 27, 38, 35)
OTHER_CHANNELS = (("书信", 24), ("电话", 16), ("信息网络", 11))
MATTERS = (
    ("宅基地界址", "与邻居就宅基地界址多次协商未果,请求依法确界。", "341702-NYJ"),
    ("拖欠工资", "在工地做工三个月未结清工资,请求督促支付。", "341702-RSJ"),
    ("房屋渗漏", "小区房屋屋面渗漏,物业久未维修,请求协调处理。", "341702-ZJJ"),
    ("土地流转费", "流转土地的租金逾期未付,请求协调支付。", "341702-NYJ"),
    ("低保申请", "家庭收入下降,申请最低生活保障未获答复,请求说明办理情况。", "341702-MZJ"),
    ("就医纠纷", "对诊疗过程有疑问,请求协助调取资料并说明。", "341702-WJW"),
    ("噪声扰民", "夜间施工噪声影响休息,请求制止。", "341702-ZJJ"),
    ("道路损坏", "村内道路损坏多处,出行不便,请求修复。", "341702-XFJ"),
    ("灌溉用水", "上游截水影响灌溉,请求协调用水。", "341702-NYJ"),
    ("社保补缴", "原单位漏缴养老保险,请求协助补缴。", "341702-RSJ"),
)
ANSWERS = (
    ("支持", "经核实情况属实,已督促办理完毕。"),
    ("解释说明", "已当面说明政策依据,来访人表示理解。"),
    ("不支持", "经核实与事实不符,已书面说明理由。"),
    ("调解达成协议", "经调解双方达成协议。"),
)
DECLINED = ("属于已进入诉讼程序的事项。", "诉讼等政法程序")
CONCLUDE_WITHIN, ACCEPT_WITHIN = 60, 15


@dataclass(frozen=True)
class Visit:
    """One line of the register before it is written down."""

    day: date
    persons: int
    channel: str
    by_leader: bool


def rows(seed: int = SEED) -> list[list[Any]]:
    """The register's rows, oldest first."""
    chance = random.Random(seed)  # noqa: S311 - an example, no secret
    villages = _villages()
    visits = sorted(_visits(chance), key=lambda visit: visit.day)
    return [_row(chance, number, visit, villages) for number, visit in enumerate(visits, start=1)]


def workbook(seed: int = SEED) -> bytes:
    """The register as .xlsx, the same bytes for the same seed."""
    book = Workbook()
    sheet = book.active
    sheet.title = "来访登记"
    sheet.append([TITLE])
    sheet.merge_cells(start_row=1, start_column=1, end_row=1, end_column=len(HEADINGS))
    sheet["A1"].font, sheet["A1"].alignment = Font(bold=True, size=14), Alignment(horizontal="center")
    sheet.append(list(HEADINGS))
    for row in rows(seed):
        sheet.append(row)
    sheet.freeze_panes = "A3"
    made = io.BytesIO()
    book.save(made)
    return _without_times(made.getvalue())


def text(seed: int = SEED) -> bytes:
    """The register as CSV with the mark by which Excel knows UTF-8."""
    made = io.StringIO()
    csv.writer(made, lineterminator="\r\n").writerows([[TITLE], HEADINGS, *rows(seed)])
    return made.getvalue().encode("utf-8-sig")


def _visits(chance: random.Random) -> Iterator[Visit]:
    workdays = _workdays()
    leader_days = sorted(chance.sample(workdays, LEADER_DAYS))
    # Each leader's day has a visit; those that are left fall on some of them.
    days = leader_days + [chance.choice(leader_days) for _ in range(LEADER_VISITS - LEADER_DAYS)]
    for day, persons in zip(days, _shares(chance, LEADER_VISITS, LEADER_PERSONS), strict=True):
        yield Visit(day, persons, "走访", by_leader=True)
    others = VISITS - LEADER_VISITS
    channels = [name for name, count in OTHER_CHANNELS for _ in range(count)]
    channels += ["走访"] * (others - len(channels))
    chance.shuffle(channels)
    by_month = [[day for day in workdays if day.month == month] for month in range(1, 13)]
    for channel, persons in zip(channels, _shares(chance, others, PERSONS - LEADER_PERSONS), strict=True):
        (month,) = chance.choices(by_month, MONTHS)
        yield Visit(chance.choice(month), persons, channel, by_leader=False)


def _shares(chance: random.Random, count: int, total: int) -> list[int]:
    """A total in so many parts of at least one: most small, a few large, as joint visits are."""
    parts = [1] * count
    for _ in range(total - count):
        (place,) = chance.choices(range(count), [part**1.4 for part in parts])
        parts[place] += 1
    return parts


def _row(chance: random.Random, number: int, visit: Visit, villages: Sequence[tuple[Entry, Entry]]) -> list[Any]:
    town, village = chance.choice(villages)
    subject, content, unit = chance.choice(MATTERS)
    names = [_name(chance) for _ in range(min(5, visit.persons))]
    cells = {
        "来访日期": visit.day.isoformat(), "批次": str(number), "人次": visit.persons, "渠道": visit.channel,
        "姓名": "、".join(names), "电话": f"1380000{chance.randrange(10_000):04d}" if len(names) == 1 else "",
        "住址": f"{town.name}{village.name}", "概况": subject, "诉求": content, "属地": village.code,
        "承办单位": unit, "领导接访": "是" if visit.by_leader else "否", "信访类别": "申诉求决",
        "初次/重复": "重复" if chance.random() < 0.12 else "初次", "原系统编号": f"{YEAR}-{number:04d}",
        "来源系统": SOURCE_SYSTEM, **_outcome(chance, visit.day),
    }  # fmt: skip
    return [cells.get(heading, "") for heading in HEADINGS]


def _outcome(chance: random.Random, day: date) -> dict[str, str]:
    accepted = day + timedelta(days=chance.randint(1, ACCEPT_WITHIN - 3))
    if chance.random() < 0.06:
        reason, route = DECLINED
        return {"状态": "不予受理", "受理日期": accepted.isoformat(), "理由": reason, "法定途径": route}
    late = 12 if chance.random() < 0.04 else 0
    concluded = accepted + timedelta(days=chance.randint(7, CONCLUDE_WITHIN - 5) + late)
    outcome, opinion = chance.choices(ANSWERS, (50, 30, 14, 6))[0]
    return {
        "状态": "已办结", "受理日期": accepted.isoformat(), "办结日期": concluded.isoformat(), "处理结果": outcome,
        "处理意见": opinion,
    }  # fmt: skip


def _name(chance: random.Random) -> str:
    return chance.choice(SURNAMES) + "".join(chance.sample(GIVEN, chance.choice((1, 2, 2, 2))))


def _workdays() -> list[date]:
    calendar = WorkCalendar.published()
    days = (date(YEAR, 1, 1) + timedelta(days=n) for n in range(365))
    return [day for day in days if calendar.is_workday(day)]


def _villages() -> list[tuple[Entry, Entry]]:
    """Villages with their towns, as both were at the end of the year."""
    there = [entry for entry in shipped(DIVISIONS) if entry.holds(date(YEAR, 12, 31))]
    towns = {entry.code: entry for entry in there if entry.level in TOWN_LEVELS}
    return [(towns[one.parent], one) for one in there if one.level in VILLAGE_LEVELS and one.parent in towns]


def _without_times(content: bytes) -> bytes:
    """The same workbook without the moment at which it was made."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            # Its properties tell who made it when; a workbook is one without them too.
            if name != "docProps/core.xml":
                new.writestr(zipfile.ZipInfo(name), _unlinked(name, old.read(name)), zipfile.ZIP_DEFLATED)
    return made.getvalue()


def _unlinked(name: str, part: bytes) -> bytes:
    if name not in ("_rels/.rels", "[Content_Types].xml"):
        return part
    elements = part.decode().replace("/>", "/>\0").split("\0")
    return "".join(element for element in elements if "docProps/core.xml" not in element).encode()


def main() -> None:
    """Writes the register."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the file to write, .xlsx or .csv")
    parser.add_argument("--seed", type=int, default=SEED, help="another seed, other inventions, the same totals")
    chosen = parser.parse_args()
    make = text if chosen.out.suffix.lower() == ".csv" else workbook
    chosen.out.write_bytes(make(chosen.seed))


if __name__ == "__main__":
    main()
