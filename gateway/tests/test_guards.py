"""What is refused before anybody reads it, what every answer carries, and that every refusal is found in the log."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.guards import EVERYWHERE, LARGEST_HEADERS, LONGEST_PATH, LONGEST_QUERY, MOST_HEADERS, Guards
from gateway.source import networks
from gateway.tests.conftest import Running
from services.chassis.logs import JsonFormatter, StderrHandler

ORIGIN = "https://app.example.cn"


@pytest.fixture
def guarded(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """The gateway with a host, an origin and a proxy of its own."""
    settings = replace(
        gateway.settings, allowed_hosts=("zz.example.cn",), cors_origins=(ORIGIN,),
        trusted_proxies=networks("10.0.0.0/8"),
    )  # fmt: skip
    guards = Guards(settings)
    monkeypatch.setattr(gateway.app.extensions["zongzhi"], "_guards", guards)
    monkeypatch.setattr(gateway.app, "wsgi_app", guards.wrap(type(gateway.app).wsgi_app.__get__(gateway.app)))
    return gateway


def refused(answer: Any, status: int, reason: str = "") -> dict[str, Any]:
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json"), answer.text
    assert not reason or answer.json["reason"] == reason
    return dict(answer.json)


class TestRequests:
    def test_a_path_or_query_longer_than_anybody_needs_is_refused(self, gateway: Running) -> None:
        longest = "/v1/petitions/" + "x" * (LONGEST_PATH - len("/v1/petitions/"))
        assert gateway.call("GET", longest).status_code == 200
        refused(gateway.call("GET", longest + "x"), 414, "URI_TOO_LONG")
        refused(gateway.call("GET", "/v1/petitions?page_token=" + "x" * LONGEST_QUERY), 414, "URI_TOO_LONG")

    def test_too_many_and_too_large_headers_are_refused(self, gateway: Running) -> None:
        many = {f"X-{n}": "1" for n in range(MOST_HEADERS)}
        refused(gateway.call("GET", "/v1/petitions", headers=many), 431, "HEADERS_TOO_LARGE")
        refused(gateway.call("GET", "/v1/petitions", headers={"X-A": "x" * LARGEST_HEADERS}), 431, "HEADERS_TOO_LARGE")
        some = {f"X-{n}": "x" * 100 for n in range(MOST_HEADERS // 2)}
        assert gateway.call("GET", "/v1/petitions", headers=some).status_code == 200

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip", "x"])
    def test_a_compressed_body_is_not_unpacked(self, gateway: Running, encoding: str) -> None:
        answer = gateway.call(
            "POST", "/v1/petitions", data=b"\x1f\x8b", content_type="application/json",
            headers={"Content-Encoding": encoding},
        )  # fmt: skip
        assert "Content-Encoding" in refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")["detail"]
        assert answer.headers["Accept-Encoding"] == "identity"
        assert gateway.services.calls == []

    def test_json_deeper_than_any_contract_is_refused_without_harm(self, gateway: Running) -> None:
        for deep in (b'{"a":' * 50_000, b"[" * 100_000, b'{"subject":' + b'{"a":' * 400 + b"1" + b"}" * 401):
            answer = gateway.call("POST", "/v1/petitions", data=deep, content_type="application/json")
            assert answer.status_code == 400, answer.text[:200]

    @pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "BREW", "get"])
    def test_other_methods_are_refused_and_their_message_is_not_sent_back(self, gateway: Running, method: str) -> None:
        answer = gateway.call(method, "/v1/petitions", headers={"X-Secret": "do not echo"})
        refused(answer, 405, "METHOD_NOT_ALLOWED")
        assert "do not echo" not in answer.text
        assert "TRACE" not in answer.headers["Allow"]

    def test_options_says_what_may_be_done_here_and_asks_nobody(self, gateway: Running) -> None:
        answer = gateway.client.options("/v1/petitions")
        assert (answer.status_code, answer.headers["Allow"], answer.data) == (204, "GET, HEAD, OPTIONS, POST", b"")
        refused(gateway.client.options("/nowhere"), 404, "PATH_UNKNOWN")
        assert gateway.services.calls == []

    def test_head_says_what_get_would_without_the_body(self, gateway: Running) -> None:
        got, headed = gateway.call("GET", "/v1/petitions"), gateway.call("HEAD", "/v1/petitions")
        assert (headed.status_code, headed.data) == (200, b"")
        assert headed.headers["Content-Length"] == got.headers["Content-Length"]
        assert gateway.client.head("/v1/petitions").status_code == 401


class TestHosts:
    @pytest.mark.parametrize("host", ["zz.example.cn", "ZZ.example.cn", "zz.example.cn:8443"])
    def test_a_host_of_ours_is_served(self, guarded: Running, host: str) -> None:
        assert guarded.call("GET", "/v1/petitions", headers={"Host": host}).status_code == 200

    @pytest.mark.parametrize(
        "host", ["evil.example", "zz.example.cn.evil.example", "", "zz.example.cn:80:80", "a b", "["]
    )
    def test_any_other_is_refused(self, guarded: Running, host: str) -> None:
        for path in ("/v1/petitions", "/docs", "/nowhere"):
            problem = refused(guarded.call("GET", path, headers={"Host": host}), 421, "MISDIRECTED")
            assert "ALLOWED_HOSTS" in problem["detail"]

    def test_probes_come_by_address(self, guarded: Running) -> None:
        assert guarded.client.get("/healthz", headers={"Host": "10.1.2.3:8080"}).status_code == 200

    @pytest.mark.parametrize("host", ["evil.example", "a b", "[", "", "a/../b", "x" * 300])
    def test_without_a_list_any_host_will_do_and_none_does_harm(self, gateway: Running, host: str) -> None:
        assert gateway.call("GET", "/v1/petitions", headers={"Host": host}).status_code == 200


class TestHeaders:
    def test_every_answer_carries_them_whatever_it_is(self, gateway: Running) -> None:
        form = {"content_type": "application/json"}
        answers = [
            gateway.call("GET", "/v1/petitions"), gateway.client.get("/v1/petitions"), gateway.client.get("/nowhere"),
            gateway.call("PUT", "/v1/petitions"), gateway.client.options("/v1/petitions"), gateway.client.get("/docs"),
            gateway.client.get("/docs/docs.css"), gateway.client.get("/openapi.json"), gateway.client.get("/"),
            gateway.client.get("/healthz"), gateway.call("POST", "/v1/petitions", data=b"{", **form),
            gateway.call("POST", "/v1/petitions", data=b" " * 2_000_000, **form),
        ]  # fmt: skip
        assert [a.status_code for a in answers] == [200, 401, 404, 405, 204, 200, 200, 200, 303, 200, 400, 413]
        for answer in answers:
            assert EVERYWHERE.keys() <= set(answer.headers.keys()), answer.request.path
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert len(answer.headers.getlist("Content-Security-Policy")) == 1
            assert len(answer.headers["X-Trace-Id"]) == 32
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert "Strict-Transport-Security" not in answer.headers

    def test_a_browser_that_came_by_https_is_told_to_stay_there(self, guarded: Running) -> None:
        by_https = {"Host": "zz.example.cn", "X-Forwarded-Proto": "https"}
        for proxy, told in (("10.1.2.3", "max-age=31536000"), ("192.0.2.1", None)):
            answer = guarded.client.get("/docs", headers=by_https, environ_base={"REMOTE_ADDR": proxy})
            assert answer.headers.get("Strict-Transport-Security") == told


class TestOrigins:
    def preflight(self, guarded: Running, origin: str) -> Any:
        asked = {"Host": "zz.example.cn", "Origin": origin, "Access-Control-Request-Method": "POST"}
        return guarded.client.options("/v1/petitions", headers=asked)

    def test_an_allowed_origin_may_call_and_read(self, guarded: Running) -> None:
        asked = self.preflight(guarded, ORIGIN)
        assert asked.status_code == 204
        assert asked.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "POST" in asked.headers["Access-Control-Allow-Methods"]
        assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
        answer = guarded.call("GET", "/v1/petitions", headers={"Host": "zz.example.cn", "Origin": ORIGIN})
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "X-Trace-Id" in answer.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "Origin" in answer.headers["Vary"]

    @pytest.mark.parametrize("origin", ["https://evil.example", f"{ORIGIN}.evil.example", "null", "*", ""])
    def test_no_other_origin_may(self, guarded: Running, origin: str) -> None:
        for answer in (
            self.preflight(guarded, origin),
            guarded.call("GET", "/v1/petitions", headers={"Host": "zz.example.cn", "Origin": origin}),
        ):
            assert not [name for name, _ in answer.headers if name.startswith("Access-Control-")]

    def test_without_a_list_there_is_none(self, gateway: Running) -> None:
        answer = gateway.client.options(
            "/v1/petitions", headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
        )
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control-")]


Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """What the log says, as it is written."""
    handler = StderrHandler()
    handler.setFormatter(JsonFormatter("gateway"))
    caplog.set_level(logging.INFO)
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    logging.getLogger().removeHandler(handler)


REFUSALS: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", "/nowhere", {}, 404),
    ("PUT", "/v1/petitions", {}, 405),
    ("GET", "/v1/petitions", {"headers": {"Authorization": "Bearer x"}}, 401),
    ("GET", "/v1/petitions?nothing=1", {}, 400),
    ("POST", "/v1/petitions", {"data": b"{", "content_type": "application/json"}, 400),
    ("POST", "/v1/petitions", {"data": b"x", "content_type": "text/xml"}, 415),
    ("POST", "/v1/petitions", {"data": b" " * 2_000_000, "content_type": "application/json"}, 413),
    ("GET", "/" + "x" * 5000, {}, 414),
    ("GET", "/v1/petitions", {"headers": {"X-A": "x" * 20_000}}, 431),
    ("POST", "/v1/session", {"json": {}}, 400),
]


@pytest.mark.parametrize(("method", "path", "more", "status"), REFUSALS, ids=[f"{r[3]}-{r[0]}" for r in REFUSALS])
def test_the_number_that_a_refused_caller_is_given_stands_in_the_log(
    gateway: Running, method: str, path: str, more: dict[str, Any], status: int, told: Lines
) -> None:
    answer = gateway.call(method, path, **more)
    problem = refused(answer, status)
    (line,) = [line for line in told() if line["trace_id"] == problem["instance"]]
    assert line["status"] == status
    assert answer.headers["X-Trace-Id"] == problem["instance"]
    assert set(problem["instance"]) != {"0"}
