"""Field rules of the contracts, as a person who fills in a form meets them."""

from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from protos.mediation.v1 import mediation_pb2
from protos.options.v1 import options_pb2
from protos.petition.v1 import petition_pb2 as pb
from services.chassis import access
from services.chassis.refusal import Invalid
from services.chassis.validation import _check_of, validate

RULES: Any = options_pb2.rules
REQUEST_ID = "018f6f2e-7c1a-7d3b-8a4e-0123456789ab"


def a_request(**changed: Any) -> Any:
    fields: dict[str, Any] = {
        "request_id": REQUEST_ID,
        "channel": pb.CHANNEL_VISIT,
        "division_code": "341702102003",
        "representatives": [pb.Person(name="某甲", phone="13800000000")],
        "subject": "邻居占用公共通道",
        "content": "多次协商未果。\n要求恢复通行。\t此致",
    }
    return pb.RegisterPetitionRequest(**fields | changed)


def wrong(message: Any) -> Any:
    with pytest.raises(Invalid) as caught:
        validate(message)
    return {violation.field: violation.message for violation in caught.value.violations}


def test_a_request_that_keeps_the_rules_passes_unchanged() -> None:
    request = a_request(subject="  概况  ", received_on="2026-02-28")
    before = request.SerializeToString(deterministic=True)
    validate(request)
    assert request.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("blank", ["", " ", "　\n\t "])
def test_a_required_text_must_say_something(blank: Any) -> None:
    assert wrong(a_request(subject=blank)) == {"subject": "概况:必填,请填写。 subject: required; fill it in."}


def test_every_wrong_field_is_named_at_once_in_the_order_of_the_form() -> None:
    found = wrong(a_request(request_id="", channel=0, division_code="12", subject="", person_count=100001))
    assert list(found) == ["request_id", "channel", "division_code", "person_count", "subject"]


def test_a_path_names_the_entry_that_is_wrong() -> None:
    people = [pb.Person(name="某甲"), pb.Person(name="某乙", phone="12345")]
    found = wrong(a_request(representatives=people))
    assert list(found) == ["representatives[1].phone"]
    assert found["representatives[1].phone"].startswith("信访人或代表第 2 项的电话:请填写 11 位手机号")
    assert "representatives[1].phone: write an 11-digit mobile number" in found["representatives[1].phone"]


@pytest.mark.parametrize("phone", ["13800000000", "138-0000-0000", "+86 13800000000", "0566-2020000", "2020000", ""])
def test_a_phone_in_a_usual_form_passes(phone: Any) -> None:
    validate(a_request(representatives=[pb.Person(name="某甲", phone=phone)]))


@pytest.mark.parametrize("phone", ["1380000000", "13800000000x", "２０２００００", "13800000000\n"])
def test_the_whole_text_must_match(phone: Any) -> None:
    assert "representatives[0].phone" in wrong(a_request(representatives=[pb.Person(name="某甲", phone=phone)]))


def test_a_wrong_value_is_never_repeated() -> None:
    people = [pb.Person(name="某甲" * 40, phone="99887766554433", id_no="3417021990")]
    assert not any(text in str(wrong(a_request(representatives=people))) for text in ("某甲", "99887766", "34170219"))


@pytest.mark.parametrize(("length", "passes"), [(200, True), (201, False)])
def test_length_counts_characters_not_bytes(length: Any, passes: Any) -> None:
    request = a_request(subject="诉" * length)
    if passes:
        validate(request)
    else:
        assert wrong(request) == {"subject": "概况:最多 200 个字,请缩短。 subject: at most 200 characters; shorten it."}


def test_a_text_shorter_than_the_form_wants_is_refused() -> None:
    found = wrong(pb.RevealPetitionRequest(id="p", fields=["name"], reason="核对"))
    assert found == {"reason": "查看理由:至少 4 个字,请补充。 reason: at least 4 characters; add to it."}


def test_a_text_without_a_declared_limit_takes_ten_thousand_characters() -> None:
    request = pb.RevealPetitionRequest(id="p", fields=["x" * 10_000], reason="核对信息")
    validate(request)
    request.fields[0] += "x"
    assert list(wrong(request)) == ["fields[0]"]


@pytest.mark.parametrize("character", ["\x00", "\x01", "\x0b", "\x1b", "\x7f", "\x85"])
@pytest.mark.parametrize("field", ["subject", "content", "accused_unit"])
def test_control_characters_that_no_database_should_hold_are_refused(character: Any, field: Any) -> None:
    found = wrong(a_request(**{field: f"诉{character}求"}))
    assert list(found) == [field]
    assert character not in found[field]


@pytest.mark.parametrize("text", ["一\n二\r\n三\t四", "全角　空格", "\u200b零宽", "😀𠮷", "ü"])
def test_what_people_type_passes(text: Any) -> None:
    validate(a_request(content=text))


@pytest.mark.parametrize("day", ["2026-02-30", "2025-02-29", "2026-13-01", "2026-00-10", "0000-01-01"])
def test_a_day_that_no_calendar_has_is_refused(day: Any) -> None:
    assert wrong(a_request(received_on=day)) == {
        "received_on": "来访日期:日历上没有这一天,请更正。 received_on: no such day in the calendar; correct it."
    }


@pytest.mark.parametrize("day", ["2026-1-31", "20260131", "31.01.2026", "2026-01-31T00:00"])
def test_a_date_in_another_form_is_refused_with_the_form_to_use(day: Any) -> None:
    assert "2026-01-31" in wrong(a_request(received_on=day))["received_on"]


@pytest.mark.parametrize("day", ["", "2024-02-29", "2026-12-31"])
def test_a_real_day_or_none_passes(day: Any) -> None:
    validate(a_request(received_on=day))


@pytest.mark.parametrize("number", [0, 6, -1, 2_000_000_000])
def test_a_required_choice_must_be_one_of_those_offered(number: Any) -> None:
    found = wrong(a_request(channel=number))
    assert found["channel"].startswith("渠道:请从以下各项中选择:走访、书信、电话、传真、信息网络。")
    assert "CHANNEL_VISIT, CHANNEL_LETTER" in found["channel"]


def test_a_choice_that_is_not_required_may_be_left_out_but_not_invented() -> None:
    validate(a_request(petition_class=0))
    assert list(wrong(a_request(petition_class=9))) == ["petition_class"]


def test_each_of_several_choices_must_be_one_of_those_offered() -> None:
    numbers: Any = [1, 99, 2, -5]
    assert list(wrong(pb.ListPetitionsRequest(states=numbers))) == ["states[1]", "states[3]"]


@pytest.mark.parametrize(("size", "passes"), [(0, True), (1_000_000, True), (-1, False), (1_000_001, False)])
def test_a_number_stays_between_its_bounds(size: Any, passes: Any) -> None:
    request = pb.ListPetitionsRequest(page_size=size)
    if passes:
        validate(request)
    else:
        assert "0 到 1000000" in wrong(request)["page_size"]


def test_a_list_has_at_most_as_many_entries_as_declared() -> None:
    found = wrong(a_request(representatives=[pb.Person()] * 6))
    assert found == {
        "representatives": "信访人或代表:最多 5 项,请减少。 representatives: at most 5 entries; leave some out."
    }


def test_a_list_has_at_least_as_many_entries_as_declared() -> None:
    request = pb.ReferPetitionRequest(id="p", request_id=REQUEST_ID, reason="适合调解", dispute_type="邻里")
    assert "至少 1 项" in wrong(request)["respondents"]


def test_a_refusal_of_consent_is_a_choice_like_any_other() -> None:
    request = mediation_pb2.RecordConsentRequest(id="m", party_id="p", consent=mediation_pb2.CONSENT_REFUSED)
    validate(request)


@pytest.mark.parametrize("method", access.methods(), ids=lambda method: method.name)
def test_the_rules_of_every_request_compile(method: Any) -> None:
    message = message_factory.GetMessageClass(method.input_type)()
    assert isinstance(_check_of(method.input_type)(message), list)


# What no contract uses yet


def invented(**fields: Any) -> Any:
    """A message class with these fields: {name: (type, repeated, rules, type name)}."""
    package = f"zongzhi.test.v{abs(hash(str(fields)))}"
    file = descriptor_pb2.FileDescriptorProto(
        name=f"protos/test/{package}.proto",
        package=package,
        syntax="proto3",
        dependency=["protos/options/v1/options.proto"],
    )
    message = file.message_type.add(name="Invented")
    for number, (name, (kind, repeated, rules, type_name)) in enumerate(fields.items(), 1):
        field = message.field.add(name=name, number=number, type=kind, label=3 if repeated else 1)
        if type_name:
            field.type_name = f".{package}.{type_name}"
        field.options.Extensions[RULES].CopyFrom(options_pb2.FieldRules(**rules))
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.Invented"))


def test_a_list_without_a_declared_limit_takes_a_thousand_entries() -> None:
    kind = invented(codes=(9, True, {}, ""))
    validate(kind(codes=["x"] * 1000))
    assert list(wrong(kind(codes=["x"] * 1001))) == ["codes"]


def test_a_required_list_must_not_be_empty() -> None:
    assert list(wrong(invented(codes=(9, True, {"required": True}, ""))())) == ["codes"]


def test_a_required_number_must_not_be_zero() -> None:
    kind = invented(count=(5, False, {"required": True, "zh": "人数"}, ""))
    validate(kind(count=1))
    assert wrong(kind())["count"].startswith("人数:必填")


def test_a_message_within_a_message_is_checked_and_may_be_required() -> None:
    kind = invented(
        inner=(11, False, {"required": True, "zh": "内层"}, "Invented"),
        text=(9, False, {"zh": "文字", "max_length": 2}, ""),
    )
    assert list(wrong(kind())) == ["inner"]
    deep = kind(inner=kind(inner=kind(text="三个字")))
    assert "inner.inner.text" in wrong(deep)
    assert wrong(deep)["inner.inner.text"].startswith("内层的内层的文字:")


def test_bytes_are_counted_as_bytes() -> None:
    kind = invented(part=(12, False, {"required": True, "max_length": 3}, ""))
    validate(kind(part=b"123"))
    assert list(wrong(kind())) == ["part"]
    assert list(wrong(kind(part=b"1234"))) == ["part"]


def test_a_field_without_a_chinese_name_is_called_by_its_own() -> None:
    assert wrong(invented(count=(5, False, {"required": True}, ""))())["count"].startswith("count:必填")
