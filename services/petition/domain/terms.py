"""The words of a petition, with the Chinese terms that people read. A value's name is its name in the contract."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a petition stands; `petition.py` draws the moves."""

    REGISTERED = "REGISTERED"
    ACCEPTED = "ACCEPTED"
    DECLINED = "DECLINED"
    MEDIATING = "MEDIATING"
    CONCLUDED = "CONCLUDED"
    EVALUATED = "EVALUATED"
    VOIDED = "VOIDED"


class Channel(StrEnum):
    """How a petition reached the hall (信访工作条例 art. 17)."""

    VISIT = "VISIT"
    LETTER = "LETTER"
    PHONE = "PHONE"
    FAX = "FAX"
    ONLINE = "ONLINE"


class PetitionClass(StrEnum):
    """The three classes of petition (信访工作条例 art. 29-31)."""

    SUGGESTION = "SUGGESTION"
    ACCUSATION = "ACCUSATION"
    CLAIM = "CLAIM"


class Outcome(StrEnum):
    """What the written opinion grants (信访工作条例 art. 32); SETTLED comes from mediation alone (art. 33)."""

    SUPPORTED = "SUPPORTED"
    EXPLAINED = "EXPLAINED"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    SETTLED = "SETTLED"


class Route(StrEnum):
    """The lawful route that is open instead of a petition (信访工作条例 art. 31)."""

    JUDICIAL = "JUDICIAL"
    ARBITRATION = "ARBITRATION"
    PARTY_APPEAL = "PARTY_APPEAL"
    ADMINISTRATIVE = "ADMINISTRATIVE"
    STATUTORY_DUTY = "STATUTORY_DUTY"
    OTHER_ORGAN = "OTHER_ORGAN"


class Satisfaction(StrEnum):
    """The petitioner's rating of the office's work."""

    SATISFIED = "SATISFIED"
    BASICALLY_SATISFIED = "BASICALLY_SATISFIED"
    DISSATISFIED = "DISSATISFIED"


STATE_ZH = {
    State.REGISTERED: "已登记",
    State.ACCEPTED: "已受理",
    State.DECLINED: "不予受理",
    State.MEDIATING: "调解中",
    State.CONCLUDED: "已办结",
    State.EVALUATED: "已评价",
    State.VOIDED: "已作废",
}
CHANNEL_ZH = {
    Channel.VISIT: "走访",
    Channel.LETTER: "书信",
    Channel.PHONE: "电话",
    Channel.FAX: "传真",
    Channel.ONLINE: "信息网络",
}
OUTCOME_ZH = {
    Outcome.SUPPORTED: "支持",
    Outcome.EXPLAINED: "解释说明",
    Outcome.NOT_SUPPORTED: "不支持",
    Outcome.SETTLED: "调解达成协议",
}
ROUTE_ZH = {
    Route.JUDICIAL: "诉讼等政法程序",
    Route.ARBITRATION: "仲裁",
    Route.PARTY_APPEAL: "党员申诉",
    Route.ADMINISTRATIVE: "行政复议等行政程序",
    Route.STATUTORY_DUTY: "履行法定职责",
    Route.OTHER_ORGAN: "其他有权机关",
}
SATISFACTION_ZH = {
    Satisfaction.SATISFIED: "满意",
    Satisfaction.BASICALLY_SATISFIED: "基本满意",
    Satisfaction.DISSATISFIED: "不满意",
}
