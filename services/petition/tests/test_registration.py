"""What a registration must hold; all that is wrong is told at once."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from services.chassis.codes import case_number
from services.chassis.refusal import Invalid
from services.petition.domain.petition import Person
from services.petition.domain.registration import Registration, check
from services.petition.domain.terms import Channel, PetitionClass

TODAY = date(2026, 3, 2)
EARLIER = case_number("341702102000", "X", date(2026, 1, 5), "A", 7)


def a_draft(**over: object) -> Registration:
    values: dict[str, object] = {
        "channel": Channel.VISIT, "petition_class": PetitionClass.CLAIM, "division_code": "341702102000",
        "subject": "界址", "content": "越界砌墙", "received_on": TODAY, "representatives": (Person("王小明"),),
    }  # fmt: skip
    return Registration(**{**values, **over})  # type: ignore[arg-type]


def people(count: int) -> tuple[Person, ...]:
    return tuple(Person(f"代表{number}") for number in range(count))


@pytest.mark.parametrize(
    "over",
    [
        {},
        {"received_on": TODAY - timedelta(days=30)},
        {"representatives": people(5), "person_count": 60},
        {"representatives": (), "channel": Channel.LETTER},
        {"petition_class": PetitionClass.ACCUSATION, "accused_unit": "341702-RSJ"},
        {"earlier_case_number": EARLIER.lower()},
    ],
)
def test_a_registration_that_keeps_the_rules_is_taken(over):
    check(a_draft(**over), TODAY)


@pytest.mark.parametrize(
    ("over", "field", "says"),
    [
        ({"received_on": TODAY + timedelta(days=1)}, "received_on", "不能晚于今天"),
        ({"received_on": date(1999, 12, 31)}, "received_on", "不能早于"),
        ({"representatives": people(6)}, "representatives", "第二十条"),
        ({"representatives": people(3), "person_count": 2}, "person_count", "不能少于代表人数 3"),
        ({"representatives": ()}, "representatives", "匿名信访仅限"),
        ({"representatives": (Person(" "),)}, "representatives[0].name", "请填写姓名"),
        ({"representatives": (Person("王小明", id_no="110105194912310021"),)}, "representatives[0].id_no", "校验"),
        ({"representatives": (Person("王小明", phone="电话"),)}, "representatives[0].phone", "电话号码"),
        ({"accused_unit": "341702-RSJ"}, "accused_unit", "只有检举控告"),
        ({"earlier_case_number": EARLIER[:-1] + "?"}, "earlier_case_number", "编号"),
        ({"subject": "  "}, "subject", "概况"),
        ({"content": "\n"}, "content", "诉求"),
    ],
)
def test_a_registration_that_breaks_a_rule_names_the_field(over, field, says):
    with pytest.raises(Invalid) as info:
        check(a_draft(**over), TODAY)
    assert [(v.field, says in v.zh, bool(v.en)) for v in info.value.violations] == [(field, True, True)]


def test_everything_that_is_wrong_is_told_at_once():
    with pytest.raises(Invalid) as info:
        check(a_draft(received_on=TODAY + timedelta(days=1), representatives=(), subject=""), TODAY)
    assert [v.field for v in info.value.violations] == ["representatives", "subject", "received_on"]


@pytest.mark.parametrize(
    ("over", "persons"),
    [({}, 1), ({"representatives": people(3)}, 3), ({"representatives": people(2), "person_count": 40}, 40),
     ({"representatives": (), "channel": Channel.LETTER}, 1)],
)  # fmt: skip
def test_the_number_of_persons_defaults_to_the_representatives_and_is_at_least_one(over, persons):
    assert a_draft(**over).persons == persons
