"""Where a case of a register or an older system stands when it comes in: its state, its days, its result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from services.chassis.refusal import Invalid, Violation
from services.petition.domain.terms import STATE_ZH, Outcome, Route, Satisfaction, State

CLOSED = (State.CONCLUDED, State.EVALUATED)
REASON_UNKNOWN = "登记表未载明理由"


@dataclass(frozen=True)
class Standing:
    """What the register says of a case beyond its registration. `accepted_on` is the day of a refusal too."""

    state: State = State.REGISTERED
    accepted_on: date | None = None
    concluded_on: date | None = None
    responsible_unit: str = ""
    outcome: Outcome | None = None
    opinion: str = ""
    legal_basis: str = ""
    reason: str = ""
    route: Route | None = None
    satisfaction: Satisfaction | None = None
    evaluation_comment: str = ""

    @property
    def is_closed(self) -> bool:
        """Whether the office has answered."""
        return self.state in CLOSED


def state_of(accepted_on: date | None, concluded_on: date | None) -> State:
    """The state of a row that names none: what its days say."""
    if concluded_on is not None:
        return State.CONCLUDED
    return State.REGISTERED if accepted_on is None else State.ACCEPTED


def check(standing: Standing, received_on: date, today: date) -> None:
    """Raises Invalid naming everything that does not fit together."""
    wrong = [*_state(standing), *_days(standing, received_on, today)]
    if wrong:
        raise Invalid.of(wrong)


def _state(standing: Standing) -> Iterator[Violation]:
    zh = STATE_ZH[standing.state]
    if standing.state is State.MEDIATING:
        yield Violation(
            "state",
            "“调解中”的件不能直接导入:请写“已受理”,导入后再转调解。",
            "A case in mediation cannot come in as such: write 已受理, and refer it afterwards.",
        )
    needs = {
        "accepted_on": ("受理日期", standing.state in (State.ACCEPTED, State.DECLINED), standing.accepted_on),
        "concluded_on": ("办结日期", standing.is_closed, standing.concluded_on),
        "outcome": ("处理结果", standing.is_closed, standing.outcome),
        "satisfaction": ("满意度", standing.state is State.EVALUATED, standing.satisfaction),
    }
    for field, (heading, needed, given) in needs.items():
        if needed and given is None:
            yield Violation(field, f"状态为“{zh}”,请填写{heading}。", f"A case that is {standing.state} needs {field}.")
    if standing.state is State.REGISTERED and (standing.accepted_on or standing.concluded_on):
        yield Violation(
            "state",
            "状态为“已登记”却有受理或办结日期,请核对。",
            "A case that is REGISTERED has no day of acceptance or conclusion; check it.",
        )
    if standing.concluded_on and not standing.is_closed:
        yield Violation(
            "concluded_on", f"状态为“{zh}”却有办结日期,请核对。", f"A case that is {standing.state} is not concluded."
        )


def _days(standing: Standing, received_on: date, today: date) -> Iterator[Violation]:
    days = [
        ("received_on", received_on),
        ("accepted_on", standing.accepted_on),
        ("concluded_on", standing.concluded_on),
    ]
    given = [(field, day) for field, day in days if day is not None]
    if [day for _, day in given] != sorted(day for _, day in given):
        yield Violation(
            "accepted_on",
            "来访、受理、办结日期的先后不对,请核对。",
            "The days of receipt, acceptance and conclusion do not follow each other; check them.",
        )
    if any(day > today for field, day in given if field != "received_on"):
        yield Violation(
            "accepted_on", f"受理、办结日期不能晚于今天({today})。", f"No day may lie in the future; today is {today}."
        )
