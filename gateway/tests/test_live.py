"""Event streams: what is told, from where on, to whom, how many at once, and when they end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from gateway import live
from gateway.app import EXTENSION
from gateway.server import CherootServer
from gateway.tests.conftest import CLERK, session_for
from gateway.tests.fakes import refuse
from protos.petition.v1 import following_pb2 as pb
from protos.petition.v1 import petition_pb2 as petition_pb
from services.chassis.refusal import NotFound, Unavailable

CASE = "/v1/cases/01a20fdb-51df-75be-b980-f86ee013d810/events"
BOARD = "/v1/board/events"


class Story:
    """What happens to a case, as the service keeps it."""

    def __init__(self, gateway: Any) -> None:
        self.rows: list[pb.Progress] = []
        self._changed = threading.Condition()
        self.waiting = 0
        gateway.services.answers.update(
            ListCaseProgress=self.list,
            ListBoardProgress=self.list,
            WaitProgress=self.wait,
            GetPetition=lambda _: petition_pb.Petition(),
        )

    def happens(self, kind: str = "petition.accepted", case_id: str = CASE.split("/")[3]) -> None:
        with self._changed:
            number = len(self.rows) + 1
            self.rows.append(
                pb.Progress(
                    cursor=str(number), petition_id=case_id, kind=kind, text=f"第 {number} 步", text_en=f"step {number}",
                    seq=number, state=petition_pb.PETITION_STATE_ACCEPTED, case_number="341702102000X261124A0001D",
                )
            )  # fmt: skip
            self._changed.notify_all()

    def list(self, request: Any) -> pb.ListProgressResponse:
        after = int(request.page_token or 0)
        rows = self.rows[after : after + request.page_size]
        return pb.ListProgressResponse(rows=rows, next_page_token=str(after + len(rows)))

    def wait(self, request: pb.WaitProgressRequest) -> pb.WaitProgressResponse:
        with self._changed:
            self.waiting += 1
            if request.after:
                self._changed.wait_for(lambda: len(self.rows) > int(request.after), 0.5)
            self.waiting -= 1
            after = int(request.after or len(self.rows))
            changed = {row.petition_id for row in self.rows[after:]}
            return pb.WaitProgressResponse(cursor=str(len(self.rows)), petition_ids=changed)


@pytest.fixture
def story(gateway):
    return Story(gateway)


@pytest.fixture
def server(gateway):
    """The gateway on threads of this process, as inside `zongzhi all`, with few of them."""
    running = CherootServer(gateway.app, "127.0.0.1", 0, threads=4, drain_s=2)
    gateway.app.extensions[EXTENSION].live._draining.clear()
    running._server.prepare()
    running.port = running._server.bind_addr[1]
    running._thread.start()
    yield running
    gateway.app.extensions[EXTENSION].live.drain()
    running._server.stop()
    gateway.app.extensions[EXTENSION].live._draining.clear()
    until(lambda: not gateway.app.extensions[EXTENSION].live._places.count())


def until(look: Any) -> None:
    end = time.monotonic() + 20
    while not look():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@contextmanager
def stream(server: CherootServer, token: str, path: str = CASE, **headers: str) -> Iterator[Iterator[dict[str, str]]]:
    url = f"http://127.0.0.1:{server.port}{path}"
    if token:
        headers["Authorization"] = f"Bearer {token}"
    with requests.get(url, headers=headers, stream=True, timeout=20) as answer:
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        yield events(answer)


def events(answer: requests.Response) -> Iterator[dict[str, str]]:
    """Events as a browser takes them apart."""
    found: dict[str, str] = {}
    for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
        if not line:
            if found:
                yield found
            found = {}
        else:
            name, _, value = line.partition(": ")
            found[name] = value


def take(told: Iterator[dict[str, str]], kind: str) -> dict[str, str]:
    return next(event for event in told if event.get("event") == kind)


def test_a_case_is_told_from_its_beginning_and_then_as_it_happens(gateway, story, server):
    story.happens("petition.registered")
    with stream(server, gateway.token()) as told:
        assert next(told) == {"retry": "2000"}
        first = next(told)
        assert (first["id"], first["event"]) == ("1", "petition.registered")
        data = json.loads(first["data"])
        assert list(data)[:2] == ["text", "text_en"]
        assert data["state"] == "PETITION_STATE_ACCEPTED"
        story.happens("petition.accepted")
        assert take(told, "petition.accepted")["id"] == "2"


@pytest.mark.parametrize("how", ["header", "query"])
def test_a_reader_goes_on_where_it_left_off(gateway, story, server, how):
    for _ in range(5):
        story.happens()
    path, headers = (CASE, {"Last-Event-ID": "3"}) if how == "header" else (f"{CASE}?last_event_id=3", {})
    with stream(server, gateway.token(), path, **headers) as told:
        next(told)
        assert [next(told)["id"], next(told)["id"]] == ["4", "5"]


def test_the_board_begins_now_and_says_where(gateway, story, server):
    with stream(server, gateway.token(), BOARD) as told:
        next(told)
        assert next(told)["event"] == "ready"
        story.happens(case_id="another")
        assert json.loads(take(told, "petition.accepted")["data"])["petition_id"] == "another"


def test_a_long_story_is_told_in_pages_without_a_gap(gateway, story, server):
    for _ in range(2 * live.PAGE + 7):
        story.happens()
    with stream(server, gateway.token()) as told:
        next(told)
        assert [next(told)["id"] for _ in range(2 * live.PAGE + 7)] == [str(n + 1) for n in range(2 * live.PAGE + 7)]


@pytest.mark.parametrize(("path", "method"), [(CASE, "ListCaseProgress"), (BOARD, "ListBoardProgress")])
def test_every_read_is_the_callers_own(gateway, story, server, path, method):
    story.happens()
    with stream(server, gateway.token(), path, **{"Last-Event-ID": "0"}) as told:
        next(told)
        next(told)
    heard = next(call for call in gateway.services.calls if call.method == method)
    vouched = gateway.verifier.verify(heard.metadata["authorization"].removeprefix("Bearer "), "petition")
    assert (vouched.account, vouched.units) == (CLERK.account, CLERK.units)


def test_the_waiting_call_is_the_gateways_and_may_do_nothing_else(gateway, story, server):
    with stream(server, gateway.token()) as told:
        next(told)
        until(lambda: any(call.method == "WaitProgress" for call in gateway.services.calls))
    heard = next(call for call in gateway.services.calls if call.method == "WaitProgress")
    vouched = gateway.verifier.verify(heard.metadata["authorization"].removeprefix("Bearer "), "petition")
    assert vouched.account == "system:gateway"
    assert vouched.permissions == {"petition.wait_progress"}


def test_one_waiting_call_serves_all_streams(gateway, story, server):
    with stream(server, gateway.token()) as one, stream(server, gateway.token()) as two:
        next(one), next(two)
        until(lambda: story.waiting == 1)
        for _ in range(5):
            time.sleep(0.05)
            assert story.waiting <= 1


def test_without_signing_in_there_is_no_stream(gateway, server):
    for path in (CASE, BOARD):
        answer = requests.get(f"http://127.0.0.1:{server.port}{path}", timeout=5)
        assert answer.status_code == 401
        assert answer.json()["detail"]


def test_a_case_that_may_not_be_seen_is_not_found_at_the_door(gateway, story, server):
    gateway.services.answers["ListCaseProgress"] = refuse(NotFound.thing("该信访件", "petition", "x"))
    headers = {"Authorization": f"Bearer {gateway.token()}"}
    answer = requests.get(f"http://127.0.0.1:{server.port}{CASE}", headers=headers, timeout=5)
    assert answer.status_code == 404
    assert not gateway.app.extensions[EXTENSION].live._places.count()


@pytest.mark.parametrize("query", ["?last_event_id=" + "9" * 200, "?lastEventId=3", "?last_event_id=%E4%B8%AD"])
def test_a_damaged_cursor_is_told(gateway, story, server, query):
    headers = {"Authorization": f"Bearer {gateway.token()}"}
    answer = requests.get(f"http://127.0.0.1:{server.port}{CASE}{query}", headers=headers, timeout=5)
    assert answer.status_code == 400
    assert answer.json()["violations"]


def test_a_case_that_leaves_the_callers_hands_ends_the_stream(gateway, story, server):
    story.happens()
    with stream(server, gateway.token()) as told:
        next(told), next(told)
        gateway.services.answers["ListCaseProgress"] = refuse(NotFound.thing("该信访件", "petition", "x"))
        story.happens()
        end = take(told, "end")
        assert json.loads(end["data"])["reason"] == "NOT_FOUND"
        assert end["id"] == "1"
        assert next(told, None) is None


def test_a_service_that_is_away_keeps_its_readers_waiting(gateway, story, server):
    story.happens()
    with stream(server, gateway.token()) as told:
        next(told), next(told)
        gateway.services.answers["ListCaseProgress"] = refuse(Unavailable("AWAY", "不在。", "Away."))
        story.happens()
        time.sleep(0.5)
        gateway.services.answers["ListCaseProgress"] = story.list
        assert take(told, "petition.accepted")["id"] == "2"


def test_signing_out_ends_the_stream(gateway, story, server):
    leaving = type(CLERK)("leaving", CLERK.tier, CLERK.scope, CLERK.units, CLERK.roles, unit=CLERK.unit)
    with stream(server, gateway.token(leaving)) as told:
        next(told)
        sessions = gateway.app.extensions[EXTENSION]._sessions
        standing = sessions._look_up(session_for(gateway.db, leaving, gateway._known))
        sessions.end(standing)
        assert json.loads(take(told, "end")["data"])["reason"] == "SESSION_ENDED"


def test_a_stream_ends_with_its_token(gateway, story, server):
    with stream(server, gateway.token(ttl_s=-8)) as told:
        next(told)
        assert "TOKEN" in json.loads(take(told, "end")["data"])["reason"]


def test_an_account_keeps_no_more_than_its_streams(gateway, story, server):
    greedy = type(CLERK)("greedy", CLERK.tier, CLERK.scope, CLERK.units, CLERK.roles, unit=CLERK.unit)
    token, url = gateway.token(greedy), f"http://127.0.0.1:{server.port}{CASE}"
    opened = [
        requests.get(url, headers={"Authorization": f"Bearer {token}"}, stream=True, timeout=20) for _ in range(5)
    ]
    assert [answer.status_code for answer in opened] == [200, 200, 200, 200, 429]
    assert opened[-1].json()["reason"] == "STREAMS_OF_ACCOUNT"
    assert opened[-1].headers["Retry-After"]
    with stream(server, gateway.token()) as told:
        next(told)
    for answer in opened:
        answer.close()


def test_a_replica_keeps_no_more_than_its_streams(gateway, story, server, monkeypatch):
    monkeypatch.setattr(gateway.app.extensions[EXTENSION].live._places, "most", 1)
    with stream(server, gateway.token()) as told:
        next(told)
        url = f"http://127.0.0.1:{server.port}{BOARD}"
        answer = requests.get(url, headers={"Authorization": f"Bearer {gateway.token()}"}, timeout=5)
        assert answer.status_code == 429
        assert answer.json()["reason"] == "STREAMS_OF_REPLICA"


def test_a_reader_who_goes_gives_the_place_back(gateway, story, server, monkeypatch):
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.1)
    places = gateway.app.extensions[EXTENSION].live._places
    with stream(server, gateway.token()) as told:
        next(told)
        assert places.count() == 1
    until(lambda: places.count() == 0)


def test_a_head_request_keeps_no_place(gateway, story, server):
    url = f"http://127.0.0.1:{server.port}{CASE}"
    answer = requests.head(url, headers={"Authorization": f"Bearer {gateway.token()}"}, timeout=5)
    assert answer.status_code == 200
    until(lambda: gateway.app.extensions[EXTENSION].live._places.count() == 0)


def test_a_quiet_stream_gives_a_sign_of_life_and_moves_its_cursor_on(gateway, story, server, monkeypatch):
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.2)
    with stream(server, gateway.token(), **{"Last-Event-ID": "0"}) as told:
        next(told)
        gateway.services.answers["ListCaseProgress"] = lambda _: pb.ListProgressResponse(next_page_token="77")
        beat = next(event for event in told if event.get("id") == "77")
        assert "event" not in beat
        assert "data" not in beat


def test_requests_are_answered_while_more_streams_are_open_than_there_are_threads(gateway, story, server):
    """Four threads answer requests; each stream brings its own."""
    url = f"http://127.0.0.1:{server.port}"
    clerks = [
        type(CLERK)(f"many{n}", CLERK.tier, CLERK.scope, CLERK.units, CLERK.roles, unit=CLERK.unit) for n in range(3)
    ]
    opened = [
        requests.get(f"{url}{CASE}", headers={"Authorization": f"Bearer {gateway.token(one)}"}, stream=True, timeout=20)
        for one in clerks
        for _ in range(4)
    ]
    assert {answer.status_code for answer in opened} == {200}
    for _ in range(10):
        answer = requests.get(
            f"{url}/v1/petitions/p", headers={"Authorization": f"Bearer {gateway.token()}"}, timeout=5
        )
        assert answer.status_code == 200
    story.happens("petition.accepted")
    for answer in opened:
        assert take(events(answer), "petition.accepted")["id"] == "1"
        answer.close()
    pool = server._server.requests
    gateway.app.extensions[EXTENSION].live.drain()
    until(lambda: len([thread for thread in pool._threads if thread.is_alive()]) == 4)


def test_when_the_gateway_stops_every_stream_says_so_first(gateway, story, server):
    with stream(server, gateway.token()) as told:
        next(told)
        gateway.app.extensions[EXTENSION].live.drain()
        assert json.loads(take(told, "end")["data"])["reason"] == "RESTARTING"
        assert next(told, None) is None


def test_the_document_describes_the_streams(gateway):
    document = gateway.client.get("/openapi.json").json
    for path in ("/v1/cases/{id}/events", "/v1/board/events"):
        operation = document["paths"][path]["get"]
        assert "text/event-stream" in operation["responses"]["200"]["content"]
        assert operation["x-stream"]
        assert {"Last-Event-ID", "last_event_id"} <= {one["name"] for one in operation["parameters"]}
        assert {"401", "404", "429"} <= set(operation["responses"])
