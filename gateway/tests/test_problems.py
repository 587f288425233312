"""What a service refuses arrives as a problem document; what nobody foresaw tells the trace id only."""

from __future__ import annotations

import json
import logging
from typing import Any

import grpc
import pytest

from gateway import problems
from gateway.tests.conftest import Running
from gateway.tests.fakes import fail, refuse
from services.chassis import refusal as r
from services.chassis.refusal import Invalid, Violation

MEMBERS = {"type", "title", "status", "detail", "instance", "reason"}


def test_the_table_knows_every_grpc_code() -> None:
    assert problems.grpc_codes_without_kind() == []
    for code, kind in problems.KINDS.items():
        assert 200 <= kind.status < 600, code
        assert kind.zh, code
        assert kind.en, code


@pytest.mark.parametrize(
    "code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK], ids=lambda c: c.name
)
def test_every_grpc_status_becomes_a_problem_without_words_of_others(gateway: Running, code: grpc.StatusCode) -> None:
    gateway.services.answers["GetPetition"] = fail(code)
    response = gateway.call("GET", "/v1/petitions/a")
    assert response.status_code == problems.KINDS[code.name].status
    assert response.content_type == "application/problem+json"
    assert response.json.keys() >= MEMBERS
    assert response.json["status"] == response.status_code
    assert "10.0.0.1" not in response.get_data(as_text=True)
    assert "13800000000" not in response.get_data(as_text=True)


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (r.Unauthenticated, 401), (r.Forbidden, 403), (r.NotFound, 404), (r.AlreadyExists, 409), (r.IllegalMove, 409),
        (r.StaleEpoch, 409), (r.Conflict, 409), (r.Exhausted, 429), (r.TooLate, 504), (r.Unavailable, 503),
    ],
)  # fmt: skip
def test_a_refusal_keeps_reason_sentence_and_details(gateway: Running, refusal: type[r.Refusal], status: int) -> None:
    gateway.services.answers["GetPetition"] = refuse(refusal("WHY", "不行。", "No.", state="concluded"))
    response = gateway.call("GET", "/v1/petitions/a")
    assert (response.status_code, response.json["reason"], response.json["detail"]) == (status, "WHY", "不行。 No.")
    assert response.json["details"] == {"state": "concluded"}
    assert ("Retry-After" in response.headers) == (status in (429, 503))


def test_wrong_fields_of_a_service_are_listed(gateway: Running) -> None:
    wrong = [
        Violation("representatives[0].phone", "电话:错。", "phone: wrong."),
        Violation("subject", "概况:必填。", "needed."),
    ]
    gateway.services.answers["RegisterPetition"] = refuse(Invalid.of(wrong))
    response = gateway.call("POST", "/v1/petitions", json={})
    assert response.status_code == 400
    assert response.json["violations"] == [{"field": one.field, "message": one.message} for one in wrong]


def test_what_nobody_foresaw_tells_the_trace_id_only(
    gateway: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("13912345678")

    monkeypatch.setattr("gateway.reading.request_of", broken)
    response = gateway.call("GET", "/v1/petitions")
    assert (response.status_code, response.json["reason"]) == (500, "INTERNAL")
    assert response.json["instance"] == response.headers["X-Trace-Id"] != "0" * 32
    text = response.get_data(as_text=True)
    assert "139" not in text.replace(response.json["instance"], "")
    assert "Traceback" not in text
    assert any(record.levelno == logging.ERROR for record in caplog.records)


def test_a_neighbour_that_is_away_is_said_to_be_unavailable(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    stubs = gateway.app.extensions["zongzhi"]._stubs
    with grpc.insecure_channel("127.0.0.1:9") as nobody:
        monkeypatch.setattr(stubs, "_channels", {"petition": nobody, "mediation": nobody})
        monkeypatch.setattr(stubs, "_calls", {})
        response = gateway.call("GET", "/v1/petitions")
        ready = gateway.client.get("/readyz")
    assert (response.status_code, response.json["reason"]) == (503, "UNAVAILABLE")
    assert "127.0.0.1" not in json.dumps(response.json)
    assert (ready.status_code, ready.json["services"]) == (503, {"petition": "unavailable", "mediation": "unavailable"})


def test_the_trace_of_the_caller_goes_on(gateway: Running) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    response = gateway.call("GET", "/v1/petitions", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert response.headers["X-Trace-Id"] == trace
    assert gateway.services.last.metadata["traceparent"].split("-")[1] == trace


@pytest.mark.parametrize("path", ["/v1/petitions", "/nowhere", "/docs", "/healthz"])
def test_every_answer_carries_security_headers(gateway: Running, path: str) -> None:
    headers = gateway.client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "Set-Cookie" not in headers
    assert not any(name.lower().startswith("access-control") for name, _ in headers)


def test_the_log_names_the_route_and_never_the_path_or_query(
    gateway: Running, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        gateway.call("GET", "/v1/petitions/secret-id/timeline?page_token=secret-token")
        gateway.call("GET", "/secret-path")
    lines = [record.fields for record in caplog.records if record.message == "request"]  # type: ignore[attr-defined]
    assert [(one["method"], one["route"], one["status"]) for one in lines] == [
        ("GET", "/v1/petitions/{id}/timeline", 200), ("GET", "(none)", 404),
    ]  # fmt: skip
    assert all(one["ms"] >= 0 for one in lines)
    assert "secret" not in caplog.text + str(lines)


def test_probes_say_how_things_are(gateway: Running) -> None:
    assert gateway.client.get("/healthz").json == {"status": "ok"}
    ready = gateway.client.get("/readyz")
    assert (ready.status_code, ready.json["ready"]) == (200, True)
    gateway.services.tell_health("zongzhi.mediation.v1.MediationService", False)
    ready = gateway.client.get("/readyz")
    assert (ready.status_code, ready.json["ready"]) == (503, False)
    others = set(ready.json["services"].items()) - {("mediation", "not_serving")}
    assert ready.json["services"].keys() >= {"petition", "mediation", "gateway"}
    assert {status for _, status in others} == {"serving"}
