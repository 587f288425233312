"""The columns of a hall's register: their official headings, what else people call them, and the words inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from services.chassis.refusal import Invalid, Violation
from services.chassis.sheets import heading_key
from services.petition.domain.terms import (
    CHANNEL_ZH,
    OUTCOME_ZH,
    ROUTE_ZH,
    SATISFACTION_ZH,
    STATE_ZH,
    Channel,
    Outcome,
    PetitionClass,
    Route,
    State,
)

T = TypeVar("T", bound=StrEnum)


@dataclass(frozen=True)
class Column:
    """One column: the name of its field (which is its English heading), its official heading, and its synonyms."""

    field: str
    zh: str
    synonyms: tuple[str, ...] = ()


# In the order in which a register goes out.
COLUMNS = (
    Column("received_on", "来访日期", (
        "日期", "来信日期", "信访日期", "收到日期", "接访日期", "接待日期", "来访时间", "信访时间", "登记日期",
        "date")),
    Column("batch_no", "批次", ("批号", "批", "来访批次", "batch")),
    Column("person_count", "人次", ("人数", "来访人数", "信访人数", "来访人次", "persons")),
    Column("channel", "渠道", ("信访渠道", "信访形式", "来访形式", "信访方式", "来访方式", "形式")),
    Column("name", "姓名", ("来访人", "信访人", "来访人姓名", "信访人姓名", "代表姓名", "反映人", "反映人姓名")),
    Column("phone", "电话", ("联系电话", "手机", "手机号", "手机号码", "联系方式", "电话号码", "来访人电话")),
    Column("id_no", "证件号码", ("身份证", "身份证号", "身份证号码", "证件号", "居民身份证号码")),
    Column("address", "住址", ("地址", "家庭住址", "联系地址", "住所", "家庭地址", "来访人住址")),
    Column("subject", "概况", ("概要", "标题", "主题", "事由", "信访事由", "来访事由", "信访事项", "信访概况")),
    Column("content", "诉求", (
        "信访诉求", "主要诉求", "反映内容", "反映问题", "反映的问题", "主要内容", "内容", "诉求内容", "反映事项",
        "诉求事实和理由")),
    Column("division", "属地", (
        "属地代码", "问题属地", "区划代码", "所属乡镇", "乡镇", "镇街", "所属镇街", "事发地", "所属地",
        "division_code")),
    Column("village", "村社区", ("村", "社区", "所属村", "村居", "所属村社区")),
    Column("responsible_unit", "承办单位", ("责任单位", "办理单位", "交办单位", "处理单位", "承办部门")),
    Column("leader_reception", "领导接访", ("是否领导接访", "领导接待", "领导接访日", "领导接待日", "领导干部接访")),
    Column("petition_class", "信访类别", ("类别", "信访分类", "信访类型")),
    Column("repeated", "初次/重复", ("初重访", "初重信访", "初访重访", "是否重复", "是否初次", "visit_kind")),
    Column("earlier_case_number", "初次信访编号", ("原信访编号", "初访编号")),
    Column("accused_unit", "被检举单位", ("被控告单位", "被检举控告单位", "被反映单位")),
    Column("external_no", "原系统编号", ("原编号", "原系统信访编号", "外部编号", "来源编号")),
    Column("source_system", "来源系统", ("原系统", "原系统名称", "数据来源")),
    Column("state", "状态", ("办理状态", "当前状态", "信访件状态")),
    Column("accepted_on", "受理日期", ("受理时间", "受理告知日期", "告知日期", "不予受理日期")),
    Column("concluded_on", "办结日期", ("办结时间", "答复日期", "答复时间")),
    Column("outcome", "处理结果", ("办理结果", "办结结果")),
    Column("opinion", "处理意见", ("答复意见", "办理意见")),
    Column("legal_basis", "法律依据", ("政策依据", "依据")),
    Column("reason", "理由", ("不予受理理由", "作废理由")),
    Column("route", "法定途径", ("法定渠道",)),
    Column("satisfaction", "满意度", ("满意度评价", "满意情况")),
    Column("evaluation_comment", "评价说明", ()),
)  # fmt: skip
BY_FIELD = {column.field: column for column in COLUMNS}
REQUIRED = ("received_on", "channel", "name", "division")
# Columns that a register may hold and that need not come in: what the file of bad rows and an export add, and notes.
ROW, REASON, CASE_NUMBER = "行号", "原因", "信访编号"
SKIPPED = frozenset(map(heading_key, (ROW, REASON, CASE_NUMBER, "序号", "备注", "登记时间", "登记单位", "登记人",
                                      "row", "case_number", "no", "remarks")))  # fmt: skip
MEANINGS = {
    heading_key(word): column.field for column in COLUMNS for word in (column.zh, column.field, *column.synonyms)
}


@dataclass(frozen=True)
class Headings:
    """What the headings of a file mean: place → field, and those that mean nothing."""

    places: Mapping[str, int]
    understood: Sequence[tuple[str, str]]
    unknown: Sequence[str]
    skipped: Sequence[str]


def known_headings() -> list[str]:
    """Every word by which a heading row is recognised."""
    return [*MEANINGS, *SKIPPED]


def understand(written: Sequence[str]) -> Headings:
    """The meaning of each heading. Raises Invalid naming every required one that is missing and every doubled one."""
    places: dict[str, int] = {}
    doubled: list[tuple[str, str, str]] = []
    for place, text in enumerate(written):
        meaning = MEANINGS.get(heading_key(text))
        if meaning in places:
            doubled.append((written[places[meaning]], text, BY_FIELD[meaning].zh))
        elif meaning:
            places[meaning] = place
    _check(places, doubled)
    rest = [text for text in written if text and heading_key(text) not in MEANINGS]
    return Headings(
        places,
        [(written[place], BY_FIELD[name].zh) for name, place in sorted(places.items(), key=lambda item: item[1])],
        [text for text in rest if heading_key(text) not in SKIPPED],
        [text for text in rest if heading_key(text) in SKIPPED],
    )


def _check(places: Mapping[str, int], doubled: Iterable[tuple[str, str, str]]) -> None:
    missing = [BY_FIELD[name].zh for name in REQUIRED if name not in places]
    if "subject" not in places and "content" not in places:
        missing.append("诉求(或概况)")
    wrong = [
        Violation(
            "file",
            f"“{first}”和“{second}”都表示{zh},请只留一列。",
            f"The headings {first} and {second} mean the same ({zh}); keep one column.",
        )
        for first, second, zh in doubled
    ]
    if missing:
        zh, en = "、".join(missing), ", ".join(missing)
        wrong.append(
            Violation(
                "file",
                f"缺少必需的表头:{zh}。请在前 10 行内写明表头。",
                f"Required headings are missing: {en}. They must stand within the first 10 rows.",
            )
        )
    if wrong:
        raise Invalid.of(wrong)


def _words(terms: Mapping[T, str], prefix: str, more: Mapping[str, T]) -> dict[str, T]:
    """Every word for a term: the official one, its name in the contract, and what people say."""
    known = {heading_key(zh): term for term, zh in terms.items()}
    known |= {heading_key(name): term for term in terms for name in (term.name, f"{prefix}_{term.name}")}
    return known | {heading_key(word): term for word, term in more.items()}


CLASS_ZH = {
    PetitionClass.SUGGESTION: "建议意见",
    PetitionClass.ACCUSATION: "检举控告",
    PetitionClass.CLAIM: "申诉求决",
}
CHANNELS = _words(CHANNEL_ZH, "CHANNEL", {
    "来访": Channel.VISIT, "上访": Channel.VISIT, "个访": Channel.VISIT, "集访": Channel.VISIT, "群访": Channel.VISIT,
    "接访": Channel.VISIT, "来信": Channel.LETTER, "信件": Channel.LETTER, "信函": Channel.LETTER,
    "来电": Channel.PHONE, "热线": Channel.PHONE, "12345": Channel.PHONE, "网络": Channel.ONLINE,
    "网上": Channel.ONLINE, "网上信访": Channel.ONLINE, "网信": Channel.ONLINE, "微信": Channel.ONLINE,
    "电子邮件": Channel.ONLINE, "邮件": Channel.ONLINE,
})  # fmt: skip
CLASSES = _words(CLASS_ZH, "PETITION_CLASS", {
    "意见建议": PetitionClass.SUGGESTION, "建议": PetitionClass.SUGGESTION, "检举": PetitionClass.ACCUSATION,
    "控告": PetitionClass.ACCUSATION, "举报": PetitionClass.ACCUSATION, "求决": PetitionClass.CLAIM,
    "申诉": PetitionClass.CLAIM,
})  # fmt: skip
STATES = _words(STATE_ZH, "PETITION_STATE", {
    "登记": State.REGISTERED, "待受理": State.REGISTERED, "未受理": State.REGISTERED, "受理": State.ACCEPTED,
    "办理中": State.ACCEPTED, "在办": State.ACCEPTED, "正在办理": State.ACCEPTED, "不受理": State.DECLINED,
    "办结": State.CONCLUDED, "已结": State.CONCLUDED, "已答复": State.CONCLUDED, "评价": State.EVALUATED,
    "作废": State.VOIDED,
})  # fmt: skip
OUTCOMES = _words(OUTCOME_ZH, "OUTCOME", {
    "已支持": Outcome.SUPPORTED, "解释": Outcome.EXPLAINED, "说明": Outcome.EXPLAINED, "已解释说明": Outcome.EXPLAINED,
    "未支持": Outcome.NOT_SUPPORTED, "调解成功": Outcome.SETTLED, "达成协议": Outcome.SETTLED,
})  # fmt: skip
ROUTES = _words(ROUTE_ZH, "ROUTE", {
    "诉讼": Route.JUDICIAL, "行政复议": Route.ADMINISTRATIVE, "其他": Route.OTHER_ORGAN,
})  # fmt: skip
SATISFACTIONS = _words(SATISFACTION_ZH, "SATISFACTION", {})
FIRST = frozenset(map(heading_key, ("初次", "初访", "首次", "初信", "初信初访", "first", "否")))
AGAIN = frozenset(map(heading_key, ("重复", "重访", "重信", "重信重访", "再次", "again", "repeated", "是")))
# Who is written down as this gave no name.
NAMELESS = frozenset(map(heading_key, ("匿名", "无名", "不详", "未留名", "anonymous")))


def word(words: Mapping[str, T], text: str) -> T | None:
    """The term that a cell means; None for a word that is none."""
    return words.get(heading_key(text))


def choices(words: Mapping[str, T], official: Mapping[T, str]) -> str:
    """The official words to choose from."""
    return "、".join(official[term] for term in dict.fromkeys(words.values()))
