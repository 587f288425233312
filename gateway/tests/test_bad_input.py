"""Whatever is wrong with a request, the answer names the field and what to do, and repeats nothing of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.tests.conftest import Running

SECRET = "张三丰13912345678"
GOOD = {
    "request_id": "018f6f2e-7c1a-7d3b-8a4e-0123456789ab",
    "channel": "CHANNEL_VISIT",
    "division_code": "341702001008",
    "subject": "水井干了",
    "content": "村口水井干了三个月。",
}

# (body, field that is named, words of the advice)
BODIES: list[tuple[Any, str, str]] = [
    (GOOD | {"subject": 5}, "subject", "text in quotes"),
    (GOOD | {"subject": [SECRET]}, "subject", "text in quotes"),
    (GOOD | {"subject": "\ud800"}, "subject", "surrogate"),
    (GOOD | {"person_count": SECRET}, "person_count", "from 0 to 4294967295"),
    (GOOD | {"person_count": 1.5}, "person_count", "whole number"),
    (GOOD | {"person_count": -1}, "person_count", "whole number"),
    (GOOD | {"person_count": True}, "person_count", "whole number"),
    (GOOD | {"person_count": 10**40}, "person_count", "whole number"),
    (GOOD | {"channel": SECRET}, "channel", "CHANNEL_LETTER"),
    (GOOD | {"channel": "visit"}, "channel", "CHANNEL_VISIT(走访)"),
    (GOOD | {"channel": 99}, "channel", "CHANNEL_FAX"),
    (GOOD | {"channel": 1.0}, "channel", "CHANNEL_FAX"),
    (GOOD | {"representatives": {"name": SECRET}}, "representatives", "list"),
    (GOOD | {"representatives": [SECRET]}, "representatives[0]", "JSON object"),
    (GOOD | {"representatives": [{"name": "甲"}, {"name": 1}]}, "representatives[1].name", "text in quotes"),
    (GOOD | {"representatives": [{"name": "甲", "age": 5}]}, "representatives[0].age", "address"),
    (GOOD | {"representatives": [None]}, "representatives[0]", "JSON object"),
    (GOOD | {"subjct": "x"}, "subjct", "did you mean subject"),
    (GOOD | {SECRET: "x"}, "?", "there are request_id"),
    (GOOD | {"subject": "a", "requestId": "b"}, "request_id", "given twice"),
]


@pytest.mark.parametrize(("body", "field", "advice"), BODIES)
def test_a_wrong_field_is_named_with_what_to_write(gateway: Running, body: Any, field: str, advice: str) -> None:
    response = gateway.call("POST", "/v1/petitions", json=body)
    assert response.status_code == 400, response.json
    assert response.content_type == "application/problem+json"
    violation = next(one for one in response.json["violations"] if one["field"] == field)
    assert advice in violation["message"]
    assert SECRET not in json.dumps(response.json, ensure_ascii=False)
    assert not gateway.services.calls


def test_all_wrong_fields_are_named_at_once(gateway: Running) -> None:
    body = {"subject": 1, "channel": "X", "representatives": [{"name": 1, "phone": 2}]}
    response = gateway.call("POST", "/v1/petitions", data=json.dumps(body), content_type="application/json")
    named = [one["field"] for one in response.json["violations"]]
    assert named == ["subject", "channel", "representatives[0].name", "representatives[0].phone"]


def test_a_thousand_errors_are_not_all_listed(gateway: Running) -> None:
    body = {"representatives": [1] * 1000}
    assert len(gateway.call("POST", "/v1/petitions", json=body).json["violations"]) == 50


@pytest.mark.parametrize(
    "text",
    [
        b"{", b'{"subject": }', b"[]", b'"text"', b"null", b"5", b"{'subject': 1}", b'{"subject": NaN}',
        b'{"subject": "a", "subject": "b"}', b'{"subject": "\xff"}', b"[" * 200_000, b'{"a":' * 100_000,
        b'{"person_count": ' + b"9" * 5000 + b"}", b"\xff\xfe{\x00}\x00", b'{"subject": "a"} x', b'{"subject": "a\tb"}',
    ],
)  # fmt: skip
def test_what_is_not_a_json_object_is_refused(gateway: Running, text: bytes) -> None:
    response = gateway.call("POST", "/v1/petitions", data=text, content_type="application/json")
    assert (response.status_code, response.json["violations"][0]["field"]) == (400, "(body)")
    assert response.json["reason"] == "JSON_INVALID"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=gbk", "json", "/"]
)
def test_another_content_type_is_refused(gateway: Running, kind: str) -> None:
    response = gateway.call("POST", "/v1/petitions", data=json.dumps(GOOD), content_type=kind)
    assert (response.status_code, response.headers["Accept"]) == (415, "application/json")


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"']
)
def test_json_in_utf8_is_taken(gateway: Running, kind: str) -> None:
    assert gateway.call("POST", "/v1/petitions", data=json.dumps(GOOD), content_type=kind).status_code == 200


def test_a_verb_needs_no_body(gateway: Running) -> None:
    assert gateway.call("POST", "/v1/petitions/abc:accept").status_code == 200
    assert gateway.services.last.request.id == "abc"


def test_a_body_up_to_one_mebibyte_is_taken_and_no_more(gateway: Running) -> None:
    room = 1024 * 1024 - len(json.dumps(GOOD | {"content": ""}).encode())
    fits = json.dumps(GOOD | {"content": "a" * room})
    assert gateway.call("POST", "/v1/petitions", data=fits, content_type="application/json").status_code == 200
    response = gateway.call("POST", "/v1/petitions", data=fits + " ", content_type="application/json")
    assert (response.status_code, response.json["status"]) == (413, 413)
    assert "1 MiB" in response.json["detail"]


@pytest.mark.parametrize(
    ("query", "field", "advice"),
    [
        ("page_size=abc", "page_size", "whole number"),
        ("page_size=", "page_size", "whole number"),
        ("page_size=1&page_size=2", "page_size", "only once"),
        ("page_size=1e3", "page_size", "whole number"),
        ("pagesize=1", "pagesize", "did you mean page_size"),
        ("zzz=1", "zzz", "there are page_size"),
        (f"{SECRET}=1", "?", "there are page_size"),
        ("states=ACCEPTED", "states[0]", "PETITION_STATE_ACCEPTED"),
        ("states=1&states=77", "states[1]", "PETITION_STATE_ACCEPTED"),
        ("colour=rot", "colour", "COLOUR_AMBER(黄灯)"),
        ("text=%ff", "(query)", "UTF-8"),
        ("&".join("states=1" for _ in range(1001)), "(query)", "too many"),
    ],
)
def test_a_wrong_query_parameter_is_named(gateway: Running, query: str, field: str, advice: str) -> None:
    response = gateway.call("GET", f"/v1/petitions?{query}")
    assert response.status_code == 400
    violation = next(one for one in response.json["violations"] if one["field"] == field)
    assert advice in violation["message"]
    assert SECRET not in response.get_data(as_text=True)


def test_where_everything_is_in_the_body_a_query_is_refused(gateway: Running) -> None:
    response = gateway.call("POST", "/v1/petitions?subject=x", json=GOOD)
    assert (response.status_code, response.json["violations"][0]["field"]) == (400, "subject")


def test_path_and_body_must_name_the_same_case(gateway: Running) -> None:
    assert gateway.call("POST", "/v1/petitions/a:void", json={"id": "a", "reason": "x"}).status_code == 200
    response = gateway.call("POST", "/v1/petitions/a:void", json={"id": "b", "reason": "x"})
    assert (response.status_code, response.json["violations"][0]["field"]) == (400, "id")


def test_lower_camel_names_are_taken_too(gateway: Running) -> None:
    body = {"requestId": GOOD["request_id"], "divisionCode": "341702001008", "personCount": "3"}
    assert gateway.call("POST", "/v1/petitions", json=body).status_code == 200
    request = gateway.services.last.request
    assert (request.request_id, request.division_code, request.person_count) == (
        GOOD["request_id"], "341702001008", 3,
    )  # fmt: skip


def test_every_sentence_is_chinese_first_and_english_second(gateway: Running) -> None:
    detail = gateway.call("POST", "/v1/petitions", json={"subject": 1}).json["detail"]
    assert detail.index("应为") < detail.index("must be")
