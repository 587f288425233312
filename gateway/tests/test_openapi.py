"""The API document says what the gateway does, and its page can be read without any other host or a script."""

from __future__ import annotations

import json
import re
import shlex
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from google.protobuf.message_factory import GetMessageClass
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway import comments, json_in, openapi, routes
from gateway.tests.conftest import Running
from services.chassis.validation import validate

ROUTES = routes.routes_of(routes.served())
COMMENTS = comments.load()


@pytest.fixture(scope="module")
def document(built: Running) -> dict[str, Any]:
    found: dict[str, Any] = built.client.get("/openapi.json").json
    return found


@pytest.fixture(scope="module")
def page(built: Running) -> str:
    return str(built.client.get("/docs", headers={"Host": "hall.example:8443"}).get_data(as_text=True))


def schema(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"][name]
    return found


def test_it_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_it_is_valid_without_the_comments_too() -> None:
    assert list(OpenAPIV31SpecValidator(openapi.document(ROUTES, {})).iter_errors()) == []


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.method.name)
def test_every_route_is_an_operation_with_its_permission(document: dict[str, Any], route: routes.Route) -> None:
    operation = document["paths"][route.path][route.http_method.lower()]
    assert operation["x-permission"] == route.access.permission
    assert operation["responses"].keys() >= {"202" if route.accepted else "200", "400", "401", "403", "500"}
    assert operation["description"], "the contract's comment"
    assert operation.get("security") == ([] if route.access.open else None)
    assert ("requestBody" in operation) == bool(route.body)


def test_rules_of_fields_are_in_the_schemas(document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/petitions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["required"]) == {"request_id", "channel", "division_code", "subject", "content"}
    assert body["properties"]["division_code"]["pattern"] == "^(?:[0-9]{12})$"
    assert body["properties"]["subject"] | {"description": ""} == {
        "type": "string", "maxLength": 200, "minLength": 1, "title": "概况", "description": "",
    }  # fmt: skip
    assert body["properties"]["representatives"]["maxItems"] == 5
    assert body["properties"]["channel"]["not"] == {"enum": ["CHANNEL_UNSPECIFIED"]}
    assert schema(document, "petition.v1.Person-sent")["properties"]["name"]["x-personal"] is True


def test_replies_carry_no_rules_that_a_masked_value_would_break(document: dict[str, Any]) -> None:
    assert "pattern" not in schema(document, "petition.v1.Person")["properties"]["phone"]
    assert "outcome" in schema(document, "petition.v1.Petition")["required"]
    assert "registered_at" not in schema(document, "petition.v1.Petition")["required"]


def test_enums_tell_the_chinese_terms(document: dict[str, Any]) -> None:
    colour = schema(document, "petition.v1.Colour")
    assert "COLOUR_AMBER" in colour["enum"]
    assert "`COLOUR_AMBER` 黄灯" in colour["description"]


def test_a_field_in_the_path_is_not_in_the_body(document: dict[str, Any]) -> None:
    operation = document["paths"]["/v1/petitions/{id}:void"]["post"]
    assert [(one["name"], one["in"]) for one in operation["parameters"]] == [("id", "path")]
    assert operation["requestBody"]["content"]["application/json"]["schema"]["properties"].keys() == {"reason"}


def test_lists_in_the_query_may_be_repeated(document: dict[str, Any]) -> None:
    parameters = {one["name"]: one for one in document["paths"]["/v1/petitions"]["get"]["parameters"]}
    assert parameters["states"]["explode"] is True
    assert parameters["states"]["schema"]["items"]["$ref"].endswith("PetitionState")


@pytest.mark.parametrize("route", [one for one in ROUTES if one.body], ids=lambda route: route.method.name)
def test_every_example_obeys_the_rules(document: dict[str, Any], route: routes.Route) -> None:
    content = document["paths"][route.path][route.http_method.lower()]["requestBody"]["content"]["application/json"]
    example = content["example"] | {variable.name: "a" for variable in route.variables}
    report = json_in.Report()
    message = json_in.parse(GetMessageClass(route.method.input_type), example, report)
    assert message is not None, report.violations
    validate(message)


def test_every_contract_has_comments() -> None:
    for route in ROUTES:
        assert COMMENTS[route.method.full_name]
    assert "REFERRAL_STATE_WITHDRAWING" in next(name for name in COMMENTS if name.endswith("WITHDRAWING"))


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.tags.add(tag)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given[name] or "" for name in ("href", "src", "action") if name in given]
        self.inline += [name for name in given if name == "style" or name.startswith("on")]


@pytest.fixture(scope="module")
def parsed(page: str) -> _Page:
    found = _Page()
    found.feed(page)
    return found


def test_the_page_shows_every_operation(parsed: _Page, page: str, document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["operationId"] in parsed.ids
        assert path in page
    for route in ROUTES:
        assert f"<code>{route.access.permission}</code>" in page


def test_the_page_names_no_other_host_and_needs_no_script(built: Running, parsed: _Page, page: str) -> None:
    assert set(re.findall(r"\b[a-z]+://[^/\s\"'<]+", page)) == {"http://hall.example:8443"}
    assert all(link.startswith(("#", "/")) and not link.startswith("//") for link in parsed.links)
    assert not parsed.tags & {"script", "iframe", "img", "style", "form"}
    assert not parsed.inline
    response = built.client.get("/docs")
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self';")
    style = built.client.get("/docs/docs.css")
    assert (style.status_code, style.mimetype) == (200, "text/css")
    assert "url(" not in style.get_data(as_text=True)
    assert "@import" not in style.get_data(as_text=True)


def test_every_link_inside_the_page_leads_somewhere(parsed: _Page) -> None:
    assert len(parsed.ids) == len(set(parsed.ids))
    assert {link[1:] for link in parsed.links if link.startswith("#")} <= set(parsed.ids)


@pytest.mark.parametrize("host", ['a"><script>', "a b", "", "x" * 300, "evil/..", "a:999999"])
def test_a_strange_host_header_does_not_reach_the_page(built: Running, host: str) -> None:
    page = built.client.get("/docs", environ_overrides={"HTTP_HOST": host}).get_data(as_text=True)
    assert "http://127.0.0.1:8080/v1/petitions" in page
    assert "<script" not in page


def test_a_curl_line_from_the_page_works_as_it_stands(gateway: Running, page: str) -> None:
    lines = [unescape(found) for found in re.findall(r"<pre>(curl .*?)</pre>", page, re.S)]
    assert len(lines) >= len(ROUTES)
    line = next(one for one in lines if '/v1/petitions"' in one and "-d" in one)
    words = shlex.split(line.replace("\\\n", " "))
    response = gateway.call("POST", "/v1/petitions", data=words[words.index("-d") + 1], content_type="application/json")
    assert response.status_code == 200
    assert gateway.services.last.request.division_code == "341702001008"


def test_the_address_itself_leads_to_the_page(gateway: Running) -> None:
    response = gateway.client.get("/")
    assert (response.status_code, response.headers["Location"]) == (303, "/docs")


def test_missing_or_broken_descriptors_cost_the_comments_only(tmp_path: Any) -> None:
    assert comments.load(tmp_path / "none") == {}
    (tmp_path / "broken").write_bytes(b"\xff\xff")
    assert comments.load(tmp_path / "broken") == {}
    assert json.dumps(openapi.document(ROUTES, {}))
