"""What each kind of the directory has, what its columns are called in a table, and which values they take."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from services.chassis.codes import normalise_phone
from services.chassis.directory_entries import CALENDARS, CATEGORIES, DIVISIONS, POSTS, STAFF, UNITS
from services.chassis.refusal import Invalid, Violation
from services.grid.domain import terms

CODE = r"[0-9A-Za-z][0-9A-Za-z._-]*"
CODE_ZH, CODE_EN = (
    "代码只能含字母、数字和 . _ -,并以字母或数字开头",
    "a code holds letters, digits and . _ - and begins with a letter or digit",
)
STAT = r"[0-9]{12}"
STAT_ZH, STAT_EN = "请填写 12 位统计用区划代码", "write the 12-digit statistical code"
NAME, PHONE = "person_name", "phone"
# Kept apart from the entries that travel.
PERSONAL = (NAME, PHONE)
WEEKDAYS = "一二三四五六日"


@dataclass(frozen=True)
class Column:
    """A column of a table: which field it fills, what it may be called, and what may stand in it."""

    field: str
    zh: str
    # Other headings, Chinese and English, compared without spaces, marks and case.
    also: tuple[str, ...] = ()
    required: bool = False
    longest: int = 100
    words: Mapping[str, tuple[str, ...]] | None = None
    pattern: str = ""
    hint_zh: str = ""
    hint_en: str = ""
    # The field of the contract, where it is called otherwise.
    api: str = ""

    @property
    def headings(self) -> tuple[str, ...]:
        """All that a person may write over it."""
        return (self.zh, self.field, self.api or self.field, *self.also)

    @property
    def name(self) -> str:
        """What programs call it."""
        return self.api or self.field


def _code(field: str, zh: str, *also: str, required: bool = False, api: str = "") -> Column:
    return Column(field, zh, also, required, 64, None, CODE, CODE_ZH, CODE_EN, api)


def _stat(field: str, zh: str, *also: str, required: bool = False, api: str = "") -> Column:
    return Column(field, zh, also, required, 12, None, STAT, STAT_ZH, STAT_EN, api)


FROM = Column("valid_from", "生效日期", ("启用日期", "起始日期"), api="effective_on")
TO = Column("valid_to", "失效日期", ("停用日期", "截止日期", "终止日期"))

COLUMNS: dict[str, tuple[Column, ...]] = {
    DIVISIONS: (
        _stat("code", "统计用区划代码", "区划代码", "统计代码", "代码", "stat_code", required=True),
        Column("name", "区划名称", ("名称",), required=True, longest=60),
        Column("level", "级别", ("区划级别", "层级"), words=terms.LEVELS),
        _stat("parent", "上级区划代码", "上级代码", "上级", "parent", api="parent_code"),
        Column(
            "mca_code", "民政区划代码", ("民政代码",), longest=12, pattern="[0-9]{6}|[0-9]{9}",
            hint_zh="请填写 6 位或 9 位数字,没有可不填", hint_en="write 6 or 9 digits, or leave it empty",
        ),
        FROM, TO,
    ),
    UNITS: (
        _code("code", "单位代码", "代码", "unit_code", required=True),
        Column("name", "单位名称", ("名称", "单位"), required=True),
        Column("level", "单位类型", ("类型", "类别"), required=True, words=terms.UNIT_KINDS, api="kind"),
        _stat("parent", "区划代码", "所属区划", "属地", "division", required=True, api="division_code"),
        _code("superior", "上级单位", "上级单位代码"),
        Column("presence", "入驻方式", ("入驻",), required=True, words=terms.PRESENCES),
        Column("rota", "轮驻日", ("轮驻星期", "轮值日"), longest=40),
        _code("contact", "联络员", "联络员编号"),
        FROM, TO,
    ),
    POSTS: (
        _code("code", "岗位代码", "代码", "post_code", required=True),
        Column("name", "岗位名称", ("岗位", "名称"), required=True, longest=60, api="title"),
        _code("parent", "单位代码", "所属单位", "单位", required=True, api="unit"),
        Column("roles", "角色", ("系统角色",), longest=200),
        FROM, TO,
    ),
    STAFF: (
        _code("code", "人员编号", "编号", "工号", "staff_no", required=True),
        Column(NAME, "姓名", (), required=True, longest=50, api="name"),
        Column(PHONE, "电话", ("手机", "手机号", "联系电话", "mobile"), longest=20),
        _code("parent", "单位代码", "所属单位", "单位", required=True, api="unit"),
        _code("post", "岗位代码", "岗位"),
        FROM, TO,
    ),
    CALENDARS: (
        Column(
            "code", "日期", ("date",), required=True, longest=10, pattern=r"\d{4}-\d{2}-\d{2}", api="day",
            hint_zh="请写成 2026-01-31 的日期", hint_en="write the date as 2026-01-31",
        ),
        Column("level", "类型", ("性质",), required=True, words=terms.DAY_KINDS, api="kind"),
        Column("name", "节日", ("名称", "节假日", "假日", "备注"), required=True, longest=60),
    ),
    CATEGORIES: (
        _code("code", "分类代码", "代码", "编码", required=True),
        Column("name", "分类名称", ("名称", "分类"), required=True, longest=60),
        Column("level", "分类类型", ("类型", "所属类型"), required=True, words=terms.SETS, api="set"),
        _code("parent", "上级分类", "上级代码", "上级", "parent", api="parent_code"),
        FROM, TO,
    ),
}  # fmt: skip


def column(kind: str, field: str) -> Column:
    """The column of a field."""
    return next(one for one in COLUMNS[kind] if one.field == field)


def read(one: Column, text: str) -> str:
    """The stored value of what a person wrote. Raises Invalid with a sentence that says what to write."""
    plain = text.strip()
    if not plain:
        if one.required:
            raise _invalid(one, "必填,请填写", "required; fill it in")
        return ""
    if len(plain) > one.longest:
        raise _invalid(one, f"最多 {one.longest} 个字,请缩短", f"at most {one.longest} characters; shorten it")
    if any(not sign.isprintable() for sign in plain):
        raise _invalid(one, "含有不可见的控制字符,请删除", "holds control characters; remove them")
    if one.words is not None:
        return _word(one, one.words, plain)
    if one.pattern and not re.fullmatch(one.pattern, plain):
        raise _invalid(one, one.hint_zh, one.hint_en)
    return _READ.get(one.field, _as_it_is)(one, plain)


def read_day(one: Column, text: str) -> date:
    """The date in a cell, already turned to 2026-01-31 by the reader of the sheet."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise _invalid(one, "请写成 2026-01-31 的日期", "write the date as 2026-01-31") from None


def _word(one: Column, words: Mapping[str, tuple[str, ...]], text: str) -> str:
    found = next((word for word, called in words.items() if text.lower() == word or text in called), None)
    if found is None:
        official = "、".join(called[0] for called in words.values())
        raise _invalid(one, f"请从以下各项中选择:{official}", f"choose one of {', '.join(words)}")
    return found


def _as_it_is(_: Column, text: str) -> str:
    return text


def _rota(one: Column, text: str) -> str:
    """周一、周三 or 1,3 → 1 3."""
    plain = re.sub("星期|礼拜|周", "", text).replace("天", "日")
    days = [str(WEEKDAYS.index(sign) + 1) if sign in WEEKDAYS else sign for sign in re.sub(r"[\s,,、;/]+", "", plain)]
    if not all(day in "1234567" for day in days):
        raise _invalid(one, "请写星期几,如 周一、周三 或 1 3", "write weekdays as 1 3, 1 being Monday")
    return " ".join(sorted(set(days)))


def _roles(one: Column, text: str) -> str:
    roles = re.split(r"[\s,,、;]+", text)
    if not all(re.fullmatch("[a-z][a-z_]{0,39}", role) for role in roles):
        raise _invalid(one, "请填写角色代码,多个用空格隔开,如 hall mediator", "write roles such as hall mediator")
    return " ".join(sorted(set(roles)))


def _phone(one: Column, text: str) -> str:
    try:
        normalise_phone(text)
    except Invalid as wrong:
        raise Invalid(one.name, wrong.zh, wrong.en) from None
    return text


_READ = {"rota": _rota, "roles": _roles, PHONE: _phone}


def _invalid(one: Column, zh: str, en: str) -> Invalid:
    return Invalid(one.name, f"{one.zh}:{zh}。", f"{one.name}: {en}.")


def level_by_code(code: str) -> str:
    """The level that a statistical code has by its form (统计用区划代码编制规则)."""
    if code.endswith("000000"):
        return "district"
    if code.endswith("000"):
        return {"0": "street", "1": "town", "2": "town", "3": "town"}.get(code[6], "town_like")
    if code[6] not in "0123":
        return "village_like"
    return {"0": "community", "1": "community", "2": "village", "3": "village"}.get(code[9], "village_like")


def parent_by_code(code: str) -> str:
    """The statistical code one level up."""
    if code.endswith("000000"):
        return code[:4].ljust(12, "0")
    return code[: 6 if code.endswith("000") else 9].ljust(12, "0")


def wrong_form(kind: str, values: Mapping[str, str]) -> Iterator[Violation]:
    """What is wrong with the fields of an entry taken together."""
    if kind == DIVISIONS:
        yield from _wrong_division(values)
    elif kind == UNITS:
        yield from _wrong_presence(values)


def _wrong_division(values: Mapping[str, str]) -> Iterator[Violation]:
    code, by_code = values["code"], level_by_code(values["code"])
    if values["level"] not in (by_code, "village_like" if not code.endswith("000") else by_code):
        called = terms.LEVELS[by_code][0]
        yield Violation(
            "level", f"级别:代码 {code} 属于{called}。", f"level: by its form the code {code} is a {by_code}."
        )
    if values["parent"] != parent_by_code(code):
        above = parent_by_code(code)
        yield Violation(
            "parent_code", f"上级区划代码:代码 {code} 的上级是 {above}。", f"parent_code: {above} is above {code}."
        )
    mca, level = values.get("mca_code", ""), values["level"]
    wanted = {"district": 6, "street": 9, "town": 9, "town_like": 9}.get(level, 0)
    if mca and len(mca) != wanted:
        zh = f"民政区划代码:{'本级没有民政代码,请不填' if not wanted else f'本级应为 {wanted} 位'}。"
        yield Violation("mca_code", zh, f"mca_code: {wanted or 'no'} digits at this level.")


def _wrong_presence(values: Mapping[str, str]) -> Iterator[Violation]:
    turns = values.get("presence") == terms.TURNS
    if turns and not values.get("rota"):
        yield Violation("rota", "轮驻日:轮驻的单位请写明星期几。", "rota: a unit by turns names its weekdays.")
    if not turns and values.get("rota"):
        yield Violation("rota", "轮驻日:只有轮驻的单位填写。", "rota: only for a unit that comes by turns.")
