"""Where a case stands when it comes in: state, days and result fit together, or the row is refused."""

from __future__ import annotations

from datetime import date

import pytest

from services.chassis.refusal import Invalid
from services.petition.domain import old_case
from services.petition.domain.old_case import Standing
from services.petition.domain.terms import Outcome, Satisfaction, State

CAME, TAKEN, ANSWERED, TODAY = (date(2026, 3, day) for day in (2, 9, 20, 30))


def refused(**standing):
    with pytest.raises(Invalid) as told:
        old_case.check(Standing(**standing), CAME, TODAY)
    return told.value.zh


@pytest.mark.parametrize(
    "standing",
    [
        Standing(),
        Standing(State.ACCEPTED, TAKEN),
        Standing(State.DECLINED, TAKEN),
        Standing(State.CONCLUDED, TAKEN, ANSWERED, outcome=Outcome.SUPPORTED),
        Standing(State.CONCLUDED, None, ANSWERED, outcome=Outcome.SETTLED),
        Standing(State.EVALUATED, TAKEN, ANSWERED, outcome=Outcome.SUPPORTED, satisfaction=Satisfaction.SATISFIED),
        Standing(State.VOIDED),
        Standing(State.VOIDED, TAKEN),
        Standing(State.ACCEPTED, CAME),
    ],
)
def test_what_fits_together_comes_in(standing):
    old_case.check(standing, CAME, TODAY)


@pytest.mark.parametrize(
    ("standing", "says"),
    [
        ({"state": State.MEDIATING, "accepted_on": TAKEN}, "再转调解"),
        ({"state": State.ACCEPTED}, "请填写受理日期"),
        ({"state": State.DECLINED}, "请填写受理日期"),
        ({"state": State.CONCLUDED, "concluded_on": ANSWERED}, "请填写处理结果"),
        ({"state": State.CONCLUDED, "outcome": Outcome.SUPPORTED}, "请填写办结日期"),
        ({"state": State.EVALUATED, "concluded_on": ANSWERED, "outcome": Outcome.SUPPORTED}, "请填写满意度"),
        ({"state": State.REGISTERED, "accepted_on": TAKEN}, "却有受理"),
        ({"state": State.ACCEPTED, "accepted_on": TAKEN, "concluded_on": ANSWERED}, "却有办结日期"),
        ({"state": State.ACCEPTED, "accepted_on": date(2026, 3, 1)}, "先后不对"),
        ({"state": State.ACCEPTED, "accepted_on": date(2026, 4, 1)}, "不能晚于今天"),
    ],
)
def test_what_does_not_is_refused_with_what_is_missing(standing, says):
    assert says in refused(**standing)
