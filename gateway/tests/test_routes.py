"""Every RPC of the contracts answers at its HTTP path."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gateway import declared, inside, routes
from gateway.routes import Route
from gateway.tests.conftest import CLERK, Running
from services.chassis import access

ROUTES = routes.routes_of(routes.served())
# The gateway answers the others itself.
ASKED = [route for route in ROUTES if route.service not in inside.NAMES]
UUID = "018f6f2e-7c1a-7d3b-8a4e-0123456789ab"


def path_of(route: Route) -> str:
    return re.sub(r"\{[^}]+\}", UUID, route.path)


def body_of(route: Route) -> dict[str, Any]:
    return {"json": {}} if route.body else {}


def ids(route: Route) -> str:
    return f"{route.http_method} {route.path}"


def test_every_rpc_with_a_path_is_routed() -> None:
    outside = {method.full_name for method in access.methods() if not declared.access(method).internal}
    assert {route.method.full_name for route in ROUTES} == outside
    assert len(ROUTES) >= 20


@pytest.mark.parametrize("route", ASKED, ids=ids)
def test_a_route_calls_its_rpc_with_the_path_variables(gateway: Running, route: Route) -> None:
    response = gateway.call(route.http_method, path_of(route), **body_of(route))
    assert response.status_code == 200, response.json
    assert gateway.services.last.method == route.method.name
    for variable in route.variables:
        assert getattr(gateway.services.last.request, variable.name) == UUID


@pytest.mark.parametrize("route", [route for route in ROUTES if route.access.open], ids=ids)
def test_an_open_call_needs_no_token_and_tells_the_service_where_it_comes_from(gateway: Running, route: Route) -> None:
    where = {"environ_base": {"REMOTE_ADDR": "203.0.113.9"}}
    response = gateway.client.open(path_of(route), method=route.http_method, **body_of(route), **where)
    assert response.status_code == 200
    service = route.service
    assert gateway.services.identity_of_last(gateway.verifier, service).account == "public"
    assert gateway.services.last.metadata["zongzhi-source"] == "203.0.113.9"
    # Whoever signed in is known by name; their address is nobody's business.
    gateway.call(route.http_method, path_of(route), **body_of(route))
    assert "zongzhi-source" not in gateway.services.last.metadata


@pytest.mark.parametrize("route", [route for route in ROUTES if not route.access.open], ids=ids)
def test_without_a_token_nothing_is_asked(gateway: Running, route: Route) -> None:
    response = gateway.client.open(path_of(route), method=route.http_method, **body_of(route))
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert response.json["reason"] == "TOKEN_MISSING"
    assert not gateway.services.calls


@pytest.mark.parametrize("route", ROUTES, ids=ids)
def test_an_expired_token_is_refused(gateway: Running, route: Route) -> None:
    headers = {"Authorization": f"Bearer {gateway.token(ttl_s=-60)}"}
    response = gateway.client.open(path_of(route), method=route.http_method, headers=headers, **body_of(route))
    assert (response.status_code, response.json["reason"]) == (401, "TOKEN_EXPIRED")
    assert not gateway.services.calls


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic ZGVtbzpkZW1v", "Bearer not.a.token", "Bearer a b c"])
def test_anything_but_a_session_token_is_refused(gateway: Running, header: str) -> None:
    response = gateway.client.get("/v1/petitions", headers={"Authorization": header})
    assert (response.status_code, response.content_type) == (401, "application/problem+json")
    assert response.json["reason"] in ("TOKEN_MISSING", "TOKEN_INVALID")
    assert "not.a.token" not in response.get_data(as_text=True)
    assert not gateway.services.calls


def test_a_token_for_a_service_opens_no_session(gateway: Running) -> None:
    token = gateway.token(audience="petition")
    response = gateway.client.get("/v1/petitions", headers={"Authorization": f"Bearer {token}"})
    assert (response.status_code, response.json["reason"]) == (401, "TOKEN_AUDIENCE")


def test_the_service_learns_who_asks_and_for_how_long(gateway: Running) -> None:
    gateway.call("GET", "/v1/petitions")
    identity = gateway.services.identity_of_last(gateway.verifier, "petition")
    assert (identity.account, identity.scope, identity.unit) == (CLERK.account, CLERK.scope, CLERK.unit)
    assert identity.may("petition.register")
    assert not identity.may("petition.reveal")
    assert 8 < gateway.services.last.seconds_left < 11


def test_one_internal_token_serves_many_calls_of_one_service_only(gateway: Running) -> None:
    for path in ("/v1/petitions", "/v1/divisions", "/v1/mediations"):
        gateway.call("GET", path)
    first, second, third = (call.metadata["authorization"] for call in gateway.services.calls)
    assert first == second != third


def test_query_parameters_fill_fields(gateway: Running) -> None:
    query = "states=PETITION_STATE_ACCEPTED&states=2&page_size=7&text=%E6%B0%B4%E4%BA%95&divisionPrefix=341702"
    assert gateway.call("GET", f"/v1/petitions?{query}").status_code == 200
    request = gateway.services.last.request
    assert (list(request.states), request.page_size, request.text) == ([2, 2], 7, "水井")
    assert request.division_prefix == "341702"


def test_head_answers_like_get_without_a_body(gateway: Running) -> None:
    response = gateway.call("HEAD", "/v1/petitions")
    assert (response.status_code, response.data) == (200, b"")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/petitions", "GET, POST, HEAD"),
        ("GET", f"/v1/petitions/{UUID}:accept", "POST"),
        ("PUT", "/v1/session", "DELETE, GET, POST, HEAD"),
        ("OPTIONS", "/v1/divisions", "GET, HEAD"),
        ("BREW", "/healthz", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_which_ones_there_are(gateway: Running, method: str, path: str, allowed: str) -> None:
    response = gateway.client.open(path, method=method)
    assert (response.status_code, response.headers["Allow"]) == (405, allowed)
    assert response.content_type == "application/problem+json"


@pytest.mark.parametrize(
    "path",
    ["/v1", "/v1/petition", "/v1/petitions/", f"/v1/petitions/{UUID}:explode", f"/v1/petitions/{UUID}/x",
     "/v1//petitions", "/v1/petitions/a%2Fb", "/v1/%E5%BC%A0%E4%B8%89", "/docs/../keys", "/static/x"],
)  # fmt: skip
def test_an_unknown_path_is_a_problem_that_does_not_repeat_it(gateway: Running, path: str) -> None:
    response = gateway.call("GET", path)
    assert (response.status_code, response.json["reason"]) == (404, "PATH_UNKNOWN")
    assert "张三" not in response.get_data(as_text=True)


def test_a_path_that_is_no_text_is_unknown(gateway: Running) -> None:
    response = gateway.client.get("/", environ_overrides={"PATH_INFO": "/v1/petitions/\xff"})
    assert (response.status_code, response.json["reason"]) == (404, "PATH_UNKNOWN")


@pytest.mark.parametrize(
    ("package", "name"), [("zongzhi.petition.v1", "petition"), ("zongzhi.grid.v1beta1", "grid"), ("town", "town")]
)
def test_a_package_names_its_neighbour(package: str, name: str) -> None:
    class File:
        pass

    class Service:
        file = File()

    Service.file.package = package  # type: ignore[attr-defined]
    assert routes.neighbour(Service()) == name  # type: ignore[arg-type]
