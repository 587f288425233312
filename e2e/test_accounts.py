"""An officer comes, works, is locked out, and leaves; an integrator's program works; the signing key is changed."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from e2e.conftest import LOCAL_SQLITE, RABBIT_POSTGRES, on
from e2e.story import DIVISION, HALL, Story
from e2e.system import SERVICES, System, eventually, new_request_id
from infra.examples.client import Petitions, Tokens
from infra.launch import ROOT
from infra.processes import free_port

pytestmark = pytest.mark.e2e

PASSWORD = "quiet-Orchard-58"


class Person:
    """Somebody who is signed in at a gateway, and goes on when the access token ends."""

    def __init__(self, gateway: str, login: dict[str, str]) -> None:
        self.gateway = gateway
        self.http = requests.Session()
        self._take(self.http.post(f"{gateway}/v1/session", json=login, timeout=30))

    def _take(self, answer: requests.Response) -> None:
        assert answer.ok, answer.text
        given = answer.json()
        self.must_change = given["must_change_password"]
        self.refresh_token = given["refresh_token"]
        self.fresh_until = time.monotonic() + given["expires_in"] / 2
        self.http.headers["Authorization"] = f"Bearer {given['access_token']}"

    def call(self, method: str, path: str, body: Any = None, gateway: str = "") -> requests.Response:
        """One call, whatever the answer."""
        if time.monotonic() >= self.fresh_until:
            refresh = {"refresh_token": self.refresh_token}
            self._take(requests.post(f"{self.gateway}/v1/session:refresh", json=refresh, timeout=30))
        return self.http.request(method, f"{gateway or self.gateway}{path}", json=body, timeout=30)

    def ok(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One call that must succeed."""
        answer = self.call(method, path, body)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return dict(answer.json())


def demo(system: System, account: str) -> Person:
    """One of the demo accounts, signed in."""
    logins = json.loads((system.folder / "data" / "demo-logins.json").read_text())["logins"]
    return Person(system.gateway, next(login for login in logins if login["account"] == account))


@contextmanager
def second_gateway(system: System) -> Iterator[str]:
    """Another gateway process on the same database, as a replica is."""
    port = free_port()
    with (system.folder / "logs" / "gateway-2.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services", "gateway"], env={**system.env, "GATEWAY_PORT": str(port)}, cwd=ROOT,
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: answers(address), "the second gateway answers")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def answers(address: str) -> bool:
    try:
        return requests.get(f"{address}/healthz", timeout=2).ok
    except requests.RequestException:
        return False


def create_clerk(admin: Person, name: str) -> str:
    """An administrator opens a clerk's account; returns the one-time password."""
    post = {"post": "hall", "title": "窗口科员", "roles": ["hall"], "units": [HALL]}
    body = {"request_id": new_request_id(), "account": name, "display_name": "令狐望舒", "appointments": [post]}
    made = admin.ok("POST", "/v1/accounts", body)
    assert admin.ok("POST", "/v1/accounts", body)["password"] == made["password"]
    assert not made["note"], "the directory answers, so units are checked"
    return str(made["password"])


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_an_officer_comes_works_is_locked_out_and_leaves(district: System) -> None:
    name = f"clerk-{new_request_id()[:8]}"
    admin = demo(district, "demo-admin")
    with second_gateway(district) as other:
        clerk = comes(district, admin, name)
        case = works(clerk)
        is_locked_out(district, admin, other, name)
        leaves(district, admin, other, name, clerk, case)
    assert "审计链完整" in district.command("audit", "verify", "gateway")


def comes(district: System, admin: Person, name: str) -> Person:
    """The first sign-in demands a password of one's own."""
    unknown = {"post": "hall", "roles": ["hall"], "units": ["341702-NONE"]}
    body = {"request_id": new_request_id(), "account": name, "display_name": "令狐望舒", "appointments": [unknown]}
    refused = admin.call("POST", "/v1/accounts", body)
    assert (refused.status_code, "341702-NONE" in refused.text) == (400, True)
    first = create_clerk(admin, name)
    clerk = Person(district.gateway, {"account": name, "password": first})
    assert clerk.must_change
    assert clerk.call("GET", "/v1/petitions").json()["reason"] == "PASSWORD_CHANGE_REQUIRED"
    clerk.ok("POST", "/v1/session:changePassword", {"password": first, "new_password": PASSWORD})
    return clerk


def works(clerk: Person) -> dict[str, Any]:
    """A petition is registered and taken on."""
    body = {
        "request_id": new_request_id(), "channel": "CHANNEL_LETTER", "division_code": DIVISION,
        "subject": "路灯不亮", "content": "两盏路灯不亮,请修复。",
    }  # fmt: skip
    made = clerk.ok("POST", "/v1/petitions", body)["petition"]
    assert clerk.ok("POST", f"/v1/petitions/{made['id']}:accept", {})["officer"]
    assert clerk.call("GET", "/v1/accounts").status_code == 403
    return made


def is_locked_out(district: System, admin: Person, other: str, name: str) -> None:
    """Ten wrong passwords, half of them at each gateway; both refuse the right one until it is unlocked."""
    right = {"account": name, "password": PASSWORD}
    for n in range(10):
        gateway = other if n % 2 else district.gateway
        wrong = requests.post(f"{gateway}/v1/session", json=right | {"password": "wrong"}, timeout=30)
        assert (wrong.status_code, wrong.json()["reason"]) == (401, "LOGIN_FAILED")
    for gateway in (district.gateway, other):
        locked = requests.post(f"{gateway}/v1/session", json=right, timeout=30)
        assert (locked.status_code, locked.json()["reason"]) == (429, "LOGIN_LOCKED")
    assert admin.ok("GET", f"/v1/accounts/{name}")["locked_until"]
    admin.ok("POST", f"/v1/accounts/{name}:unlock", {})
    assert requests.post(f"{other}/v1/session", json=right, timeout=30).ok
    auditor = demo(district, "demo-auditor")
    found = auditor.ok("GET", f"/v1/loginAttempts?account={name}&outcome=ATTEMPT_OUTCOME_LOCKED")["attempts"]
    assert len(found) == 2
    actions = {row["action"] for row in auditor.ok("GET", f"/v1/audit?account={name}")["rows"]}
    assert {"account.created", "account.locked", "account.unlocked", "session.opened", "session.failed"} <= actions


def leaves(
    district: System, admin: Person, other: str, name: str, clerk: Person, case: dict[str, Any]
) -> None:  # fmt: skip
    """Open cases are handed over, then the account is closed, and its tokens stop working everywhere."""
    (item,) = admin.ok("GET", f"/v1/accounts/{name}/openItems")["items"]
    assert (item["service"], item["case_number"], item["unit"]) == ("petition", case["case_number"], HALL)
    refused = admin.call("POST", f"/v1/accounts/{name}:close", {"reason": "调离"})
    assert (refused.status_code, refused.json()["reason"]) == (409, "OPEN_ITEMS")
    moved = admin.ok("POST", f"/v1/accounts/{name}:handOver", {"to_account": "demo", "reason": "调离"})
    assert moved["complete"]
    assert clerk.call("GET", "/v1/petitions", gateway=other).ok
    admin.ok("POST", f"/v1/accounts/{name}:close", {"reason": "调离"})
    for gateway in (district.gateway, other):
        eventually(functools.partial(is_signed_out, clerk, gateway), "the token stops working")
    gone = requests.post(f"{other}/v1/session", json={"account": name, "password": PASSWORD}, timeout=30)
    assert gone.json()["reason"] == "LOGIN_FAILED"
    receiver = demo(district, "demo")
    assert receiver.ok("GET", f"/v1/petitions/{case['id']}")["officer"] == "demo"
    story = receiver.ok("GET", f"/v1/petitions/{case['id']}/timeline")["entries"]
    assert story[-1]["kind"] == "petition.handed_over"


def is_signed_out(person: Person, gateway: str) -> bool:
    return person.call("GET", "/v1/petitions", gateway=gateway).status_code == 401


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_a_mediators_case_goes_to_a_colleague_too(district: System) -> None:
    Story(district).referred().consent_all()
    name = f"mediator-{new_request_id()[:8]}"
    made = json.loads(
        district.command("account", "create", name, "--name", "端木怀瑾", "--role", "mediator", "--role", "hall",
                         "--unit", "341702-SFJ", "--unit", HALL, "--json")
    )  # fmt: skip
    assert made["account"]["state"] == "ACCOUNT_STATE_ACTIVE"
    open_before = json.loads(district.command("account", "open-items", "demo", "--json").splitlines()[0])["items"]
    assert {item["service"] for item in open_before} >= {"mediation"}
    moved = json.loads(
        district.command("account", "hand-over", "demo", "--to", name, "--reason", "轮岗", "--json")
    )  # fmt: skip
    assert moved["complete"]
    left = json.loads(district.command("account", "open-items", "demo", "--json").splitlines()[0])["items"]
    assert left == []
    back = json.loads(district.command("account", "hand-over", name, "--to", "demo", "--reason", "轮岗", "--json"))
    assert sum(one["moved"] for one in back["services"]) == sum(one["moved"] for one in moved["services"])
    district.command("account", "close", name, "--reason", "轮岗")


def program(system: System, client_id: str) -> str:
    """A service account, made at the command line; returns its secret."""
    made = system.command(
        "account", "service-create", client_id, "--title", "区级平台", "--role", "hall", "--unit", HALL, "--json"
    )  # fmt: skip
    return str(json.loads(made)["client_secret"])


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_the_example_client_works_as_it_stands(district: System) -> None:
    client_id = f"app-{new_request_id()[:8]}"
    secret = program(district, client_id)
    env = {
        **os.environ, "ZONGZHI_GATEWAY": district.gateway, "ZONGZHI_CLIENT_ID": client_id,
        "ZONGZHI_CLIENT_SECRET": secret, "ZONGZHI_PETITION": district.settings.address_of("petition"),
    }  # fmt: skip
    words = [sys.executable, "-m", "infra.examples.client"]
    done = subprocess.run(words, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "已登记 registered" in done.stdout
    wrong = {**env, "ZONGZHI_CLIENT_SECRET": "wrong"}
    refused = subprocess.run(words, env=wrong, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (refused.returncode, "应用标识或密钥不正确" in refused.stderr) == (1, True)
    tokens = Tokens(district.gateway, client_id, secret, "petition")
    petitions = Petitions(district.settings.address_of("petition"), tokens)
    tokens._token, tokens._fresh_until = "ended.on.its-way", time.monotonic() + 60
    assert next(petitions.all()).id
    petitions.close()


class Flow:
    """Calls without a pause on a thread of its own; keeps what went wrong."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._stop = threading.Event()
        self.done = 0
        self.failed: list[str] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Flow:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=60)

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            try:
                self._call()
                self.done += 1
            except Exception as error:
                self.failed.append(f"{type(error).__name__} {error}")


def test_not_one_call_fails_while_the_signing_key_is_changed(tmp_path: Path) -> None:
    with System(tmp_path, SESSION_TOKEN_S="6", INTERNAL_TOKEN_S="4") as system:
        before = system.command("keys", "list").split()[0]
        secret = program(system, "flow-app")
        clerk = demo(system, "demo")
        tokens = Tokens(system.gateway, "flow-app", secret, "petition")
        petitions = Petitions(system.settings.address_of("petition"), tokens)
        petitions.register("路灯不亮", "请修复。", DIVISION)
        with (
            Flow(lambda: next(petitions.all())) as direct,
            Flow(lambda: clerk.ok("GET", "/v1/petitions?page_size=1")) as through,
        ):
            said = system.command("keys", "rotate", "--wait", "2")
            eventually(lambda: direct.done > 50 and through.done > 50, "calls flow")
        assert [line.split()[1] for line in said.splitlines()] == ["已发布", "已启用", "已撤下"]
        assert (direct.failed, through.failed) == ([], [])
        after = system.command("keys", "list")
        assert before not in after
        assert "在用 signing" in after
        assert set(SERVICES) <= set(requests.get(f"{system.gateway}/readyz", timeout=10).json()["services"])
        petitions.close()
