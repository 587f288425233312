"""A citizen without an account, a clerk at the window, and screens that follow live, through the whole system."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from socket import SHUT_RDWR
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from e2e.conftest import LOCAL_SQLITE, RABBIT_POSTGRES, Collector, on
from e2e.people import Typed
from e2e.story import DIVISION, Json, Story
from e2e.system import System, eventually, new_request_id
from infra.launch import ROOT
from infra.processes import free_port
from services.chassis.codes import display_public_code, new_public_code

pytestmark = pytest.mark.e2e


class Citizen:
    """Somebody with a slip and without an account, at an address of their own."""

    def __init__(self, system: System, address: str, typed: Typed | None = None) -> None:
        self.gateway = system.gateway
        self.typed = typed or Typed()
        self.person = self.typed.person()
        self.code = ""
        self.http = requests.Session()
        self.http.mount("http://", _From(address))

    @property
    def proof(self) -> str:
        return self.person["phone"][-4:]

    def send(self, path: str, **body: Any) -> requests.Response:
        return self.http.post(f"{self.gateway}{path}", json=body, timeout=30)

    def ok(self, path: str, **body: Any) -> Json:
        answer = self.send(path, **body)
        assert answer.ok, answer.text
        assert not self.typed.found_in(answer.text)
        return dict(answer.json())

    def file(self) -> Json:
        who = {name: self.person[name] for name in ("name", "phone", "address")}
        answer = self.ok(
            "/v1/petitions:file", request_id=new_request_id(), division_code=DIVISION, representatives=[who],
            subject=self.typed.text(f"楼道堆物影响通行,{who['name']}反映"), notice_read=True,
            content=self.typed.text(f"多次反映无果,请回电{who['phone']}。"),
        )  # fmt: skip
        self.code = answer["public_code"]
        self.typed.personal.append(self.code)
        return answer

    def track(self, code: str = "") -> Json:
        # The code is the citizen's own; it stands in no answer but that of the filing.
        return self.ok("/v1/track", public_code=code or self.code)


class _From(HTTPAdapter):
    """Connects from an address of loopback, as if from another machine."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, source_address=(self._address, 0), **more)


def wrong_code() -> str:
    return display_public_code(new_public_code())


def the_case(system: System, number: str) -> Json:
    system.sign_in()
    (found,) = system.ok("GET", f"/v1/petitions?case_number={number}")["petitions"]
    return dict(found)


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_a_citizen_files_follows_and_evaluates_without_an_account(district: System, collector: Collector) -> None:
    citizen = Citizen(district, "127.0.1.1")
    filed = file_without_the_code_in_the_answer(citizen)
    slip = citizen.send("/v1/track:slip", public_code=citizen.code, proof=citizen.proof)
    assert slip.headers["Content-Type"] == "text/html; charset=utf-8"
    assert filed["case_number"] in slip.text
    assert citizen.person["phone"] not in slip.text
    assert citizen.track()["stage"] == "已登记,正在审查是否受理"

    case = the_case(district, filed["case_number"])
    again = district.call("POST", f"/v1/petitions/{case['id']}:slip", {"public_code": citizen.code})
    assert "补打" in again.text

    story = Story(district)
    story.id = case["id"]
    story.accept()
    assert citizen.track()["stage"] == "已受理,正在办理"
    citizen.ok(
        "/v1/track:addMaterial", public_code=citizen.code, proof=citizen.proof, request_id=new_request_id(),
        content=citizen.typed.text("补充:附近住户都可以作证"),
    )  # fmt: skip
    (material,) = district.ok("GET", f"/v1/petitions/{case['id']}/materials")["materials"]
    assert material["content"].startswith("补充")
    story.refer()
    assert citizen.track()["stage"].startswith("已转人民调解")
    story.consent_all()
    story.settle()
    eventually(lambda: citizen.track()["stage"].startswith("已达成调解协议"), "the citizen sees the agreement")
    papers = citizen.ok("/v1/track:documents", public_code=citizen.code, proof=citizen.proof)
    assert papers["documents"][0]["title"] == "信访处理意见书"
    rated = citizen.ok(
        "/v1/track:evaluate", public_code=citizen.code, proof=citizen.proof, satisfaction="SATISFACTION_SATISFIED",
        comment=citizen.typed.text("办得好快"),
    )  # fmt: skip
    assert rated["stage"] == "已办结,已收到您的评价"
    assert story.petition()["satisfaction"] == "SATISFACTION_SATISFIED"
    nothing_typed_in_is_anywhere(district, collector, citizen)


def file_without_the_code_in_the_answer(citizen: Citizen) -> Json:
    filed = citizen.file()
    assert filed["public_code"]
    return filed


def nothing_typed_in_is_anywhere(district: System, collector: Collector, citizen: Citizen) -> None:
    """Neither names, phones, texts nor the code: in no log line, span or metric; wrong codes neither."""
    written = district.logs() + " ".join(body.decode("utf-8", "replace") for body in collector.bodies)
    plain = citizen.code.replace("-", "")
    assert not [secret for secret in (*citizen.typed.personal, *citizen.typed.texts, plain) if secret in written]


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_ten_wrong_guesses_close_the_door_to_this_source_and_to_no_other(
    district: System, collector: Collector
) -> None:
    citizen, guesser = Citizen(district, "127.0.1.2"), Citizen(district, "127.0.1.3")
    citizen.file()
    guesses = [wrong_code() for _ in range(10)]
    mistyped = citizen.code[:-1] + ("0" if citizen.code[-1] != "0" else "2")
    assert guesser.send("/v1/track", public_code=mistyped).status_code == 400
    for place, guess in enumerate(guesses):
        if place % 2:
            answer = guesser.send("/v1/track", public_code=guess)
        else:
            answer = guesser.send(
                "/v1/track:documents", public_code=citizen.code, proof="0000" if citizen.proof != "0000" else "1111"
            )
        assert answer.status_code == 404, answer.text
    for code in (wrong_code(), citizen.code):
        closed = guesser.send("/v1/track", public_code=code)
        assert (closed.status_code, closed.json()["reason"]) == (429, "TRACK_CLOSED")
        assert 3000 < int(closed.headers["Retry-After"]) <= 3600
    assert citizen.track()["stage"]
    written = district.logs() + " ".join(body.decode("utf-8", "replace") for body in collector.bodies)
    assert not [code for code in [*guesses, citizen.code] if code in written or code.replace("-", "") in written]


class Screen:
    """A reader of an event stream, as a browser is one."""

    def __init__(self, gateway: str, path: str, token: str, after: str = "") -> None:
        headers = {"Authorization": token} | ({"Last-Event-ID": after} if after else {})
        host, _, port = gateway.removeprefix("http://").partition(":")
        connection = HTTPConnection(host, int(port), timeout=60)
        connection.connect()
        self._socket = connection.sock
        connection.request("GET", path, headers=headers)
        self._answer = connection.getresponse()
        self.status = self._answer.status
        self.events: list[dict[str, str]] = []
        self.broke = threading.Event()
        if self.status == 200:
            threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        found: dict[str, str] = {}
        try:
            while line := self._answer.readline():
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    found[name] = value
                elif found:
                    self.events.append(found)
                    found = {}
        except (OSError, HTTPException, ValueError):
            pass
        self.broke.set()

    @property
    def problem(self) -> dict[str, Any]:
        """What was said instead of a stream."""
        return dict(json.loads(self._answer.read()))

    @property
    def told(self) -> list[dict[str, Any]]:
        """What happened, without signs of life."""
        return [event | {"data": json.loads(event["data"])} for event in self.events if "data" in event]

    @property
    def last_id(self) -> str:
        return next((event["id"] for event in reversed(self.events) if "id" in event), "")

    def close(self) -> None:
        """The reader goes, without a word."""
        self._socket.shutdown(SHUT_RDWR)
        self._socket.close()


@contextmanager
def gateway_of(system: System, *words: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """One more gateway of the same district."""
    port = free_port()
    with (system.folder / "logs" / f"gateway-{port}.log").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services", "gateway", *words], env={**system.env, "GATEWAY_PORT": str(port)},
            cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        try:
            return requests.get(f"{url}/readyz", timeout=2).ok
        except requests.RequestException:
            return False

    try:
        eventually(ready, "another gateway is ready", timeout=120)
        yield url, process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def bearer(system: System) -> str:
    system.sign_in()
    return str(system.http.headers["Authorization"])


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_screens_hear_of_every_step_as_it_happens(district: System) -> None:
    story = Story(district).filed()
    token = bearer(district)
    case = Screen(district.gateway, f"/v1/cases/{story.id}/events", token)
    board = Screen(district.gateway, "/v1/board/events", token)
    eventually(lambda: case.told and board.told, "both streams begin")
    story.accept()
    story.refer()
    story.consent_all()
    story.settle()
    eventually(lambda: "mediation.settled" in story.kinds(), "the agreement arrives")
    wanted = story.kinds()
    eventually(lambda: [one["event"] for one in case.told] == wanted, f"the case's stream tells {wanted}")
    eventually(
        lambda: [one["event"] for one in board.told if one["data"].get("petition_id") == story.id] == wanted[1:],
        "the board's stream tells the same from the moment on at which it began",
    )
    assert [one["id"] for one in case.told] == [str(n + 1) for n in range(len(wanted))]
    assert not story.typed.found_in(json.dumps([*case.events, *board.events], ensure_ascii=False))
    case.close()
    board.close()


@on(RABBIT_POSTGRES)
def test_a_gateway_dies_and_the_screen_goes_on_at_another_without_a_gap_or_a_repeat(district: System) -> None:
    token = bearer(district)
    with gateway_of(district) as (one, process), gateway_of(district, "--streams") as (other, _):
        screen = Screen(one, "/v1/board/events", token)
        eventually(lambda: screen.told, "the stream begins")
        first = [Story(district).filed().id for _ in range(3)]
        eventually(lambda: first[-1] in str(screen.events), "three registrations are told")
        # With its worker, which would go on without it: as a machine that loses its power.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert screen.broke.wait(20)
        meanwhile = [Story(district).filed().id for _ in range(4)]
        again = Screen(other, "/v1/board/events", token, after=screen.last_id)
        after = [Story(district).filed().id for _ in range(2)]
        eventually(lambda: after[-1] in str(again.events), "all is told")
        told = [event["data"]["petition_id"] for event in (*screen.told, *again.told) if "petition_id" in event["data"]]
        assert [one for one in told if one in {*first, *meanwhile, *after}] == [*first, *meanwhile, *after]
        again.close()


@on(RABBIT_POSTGRES)
def test_a_gateway_that_stops_sends_its_screens_away_first(district: System) -> None:
    token = bearer(district)
    with gateway_of(district, "--streams") as (url, process):
        screen = Screen(url, "/v1/board/events", token)
        eventually(lambda: screen.told, "the stream begins")
        process.send_signal(signal.SIGTERM)
        assert screen.broke.wait(20)
        assert screen.told[-1]["event"] == "end"
        assert screen.told[-1]["data"]["reason"] == "RESTARTING"
        assert screen.events[0] == {"retry": "2000"}


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_a_stream_is_signed_in_counted_and_ends_with_the_session(district: System) -> None:
    story = Story(district).filed()
    path = f"/v1/cases/{story.id}/events"
    nobody = Screen(district.gateway, path, "Bearer x")
    assert nobody.status == 401
    token = bearer(district)
    open_ones = [Screen(district.gateway, path, token) for _ in range(4)]
    assert {screen.status for screen in open_ones} == {200}
    fifth = Screen(district.gateway, path, token)
    assert (fifth.status, fifth.problem["reason"]) == (429, "STREAMS_OF_ACCOUNT")
    district.call("DELETE", "/v1/session")
    for screen in open_ones:
        assert screen.broke.wait(20)
        assert screen.told[-1]["event"] == "end"
        assert screen.told[-1]["data"]["reason"] == "SESSION_ENDED"
    bearer(district)
    stale = eventually(lambda: _opened(district, path), "the places are given back")
    stale.close()


def _opened(district: System, path: str) -> Screen | None:
    screen = Screen(district.gateway, path, str(district.http.headers["Authorization"]))
    return screen if screen.status == 200 else None


@on(LOCAL_SQLITE)
def test_requests_are_answered_beside_fifty_open_streams(district: System, request: pytest.FixtureRequest) -> None:
    """Each stream of `zongzhi all` brings a thread of its own, so that the sixteen for requests stay free."""
    folder = request.getfixturevalue("tmp_path")
    with System(folder, STREAMS_PER_ACCOUNT="100") as many:
        story = Story(many).filed()
        token = bearer(many)
        screens = [Screen(many.gateway, "/v1/board/events", token) for _ in range(50)]
        assert {screen.status for screen in screens} == {200}
        began = time.monotonic()
        for _ in range(50):
            many.ok("GET", "/v1/petitions?page_size=1")
        print(f"50 requests beside 50 streams: {time.monotonic() - began:.2f} s", file=sys.stderr)
        story.accept()
        eventually(lambda: all("petition.accepted" in str(screen.events) for screen in screens), "all fifty hear of it")
        memory = _rss_mb(many.processes["all"].pid)
        print(f"RSS with 50 streams: {memory:.0f} MB", file=sys.stderr)
        for screen in screens:
            screen.close()


def _rss_mb(pid: int) -> float:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
