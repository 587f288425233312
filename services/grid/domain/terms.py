"""The words of the directory, with the terms that people read and write in tables."""

from __future__ import annotations

from services.chassis.directory_entries import CALENDARS, CATEGORIES, DIVISIONS, POSTS, STAFF, UNITS

KIND_ZH = {
    DIVISIONS: "区划", UNITS: "单位", POSTS: "岗位", STAFF: "人员", CALENDARS: "节假日", CATEGORIES: "分类",
}  # fmt: skip
KIND_EN = {
    DIVISIONS: "division", UNITS: "unit", POSTS: "post", STAFF: "person", CALENDARS: "day", CATEGORIES: "category",
}  # fmt: skip

# Each value with the words by which a table may call it, the official one first.
LEVELS = {
    "district": ("区县", "区", "县", "市"),
    "street": ("街道",),
    "town": ("镇", "乡"),
    "town_like": ("类似镇街的园区", "园区", "开发区"),
    "community": ("社区", "居委会"),
    "village": ("村", "村委会"),
    "village_like": ("类似村社区", "虚拟社区"),
}
UNIT_KINDS = {
    "hall": ("接待大厅",),
    "mediation": ("调处化解中心", "调解中心"),
    "command": ("指挥调度中心", "指挥中心"),
    "department": ("部门",),
    "committee": ("调委会或评议团", "调委会", "评议团"),
    "town": ("镇街综治中心",),
    "village": ("村社区综治中心",),
}
RESIDENT, TURNS, ON_CALL = "resident", "turns", "on_call"
PRESENCES = {RESIDENT: ("常驻",), TURNS: ("轮驻",), ON_CALL: ("随叫随驻",)}
DAY_KINDS = {"holiday": ("放假", "假日", "休"), "workday": ("调休上班", "上班", "班")}
SETS = {
    "petition": ("信访内容分类", "内容分类", "信访"),
    "dispute": ("纠纷类型", "纠纷"),
    "event": ("网格事件类别", "事件"),
}
