"""Every operation of our own API document, called by those who may not. An operation of tomorrow is walked as well."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from e2e.books import at_rest, rows
from e2e.conftest import LOCAL_SQLITE, RABBIT_POSTGRES, on
from e2e.refusals import assert_refused
from e2e.story import MEDIATION, Story
from e2e.system import SERVICES, TIER, System
from services.chassis import ids, tokens
from services.chassis.identity import Identity

pytestmark = pytest.mark.e2e

# What a citizen may do without signing in, and what signing in itself needs. Whoever adds a line has thought about
# what strangers can do with it: what it shows, what it writes, how often.
OPEN = {
    "GET /healthz", "GET /readyz",
    "POST /v1/session", "POST /v1/session:refresh", "POST /v1/token",
    "POST /v1/track", "POST /v1/track:documents", "POST /v1/track:evaluate", "POST /v1/track:addMaterial",
    "POST /v1/track:slip", "POST /v1/petitions:file", "GET /v1/petitions:filingDivisions",
}  # fmt: skip
ALL_BOOKS = (*SERVICES, "gateway")
STREAM, FORM = "text/event-stream", "multipart/form-data"


@dataclass(frozen=True)
class Operation:
    """One door, as the document describes it."""

    method: str
    path: str
    described: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_open(self) -> bool:
        """Whether the document says that nobody need sign in."""
        return self.described.get("security") == []

    @property
    def permission(self) -> str:
        """What a caller's roles must grant; "" when signing in is enough."""
        return str(self.described.get("x-permission", ""))

    def body(self) -> dict[str, Any]:
        """What `requests` needs to send a body that the document calls right."""
        content = self.described.get("requestBody", {}).get("content", {})
        if FORM in content:
            return {"files": {"file": ("a.txt", b"text", "text/plain")}}
        return {"json": next(iter(content.values())).get("example", {})} if content else {}


@dataclass
class Doors:
    """A running district with a case in it, and its people with their tokens and permissions."""

    system: System
    operations: list[Operation]
    story: Story
    known: dict[str, str]
    key: Any
    permissions: dict[str, set[str]] = field(default_factory=dict)
    bearers: dict[str, str] = field(default_factory=dict)

    def call(self, operation: Operation, headers: dict[str, str], **known: str) -> requests.Response:
        """One call with everything filled in as if it were to succeed."""
        answer = requests.request(
            operation.method, self.system.gateway + self.path(operation, known), headers=headers, timeout=30,
            stream=True, **operation.body(),
        )  # fmt: skip
        # A stream that was opened has no end to wait for.
        assert not answer.headers.get("Content-Type", "").startswith(STREAM), f"{operation} let somebody in"
        return answer

    def path(self, operation: Operation, known: dict[str, str]) -> str:
        """The path with its variables filled: with what exists, as far as it is known."""
        filled, more = operation.path, self.known | known
        for one in operation.described["parameters"]:
            if one["in"] == "path":
                owner = operation.path.split("/")[2].partition(":")[0]
                value = more.get(f"{owner}.{one['name']}") or more.get(one["name"]) or ids.uuid7()
                filled = filled.replace(f"{{{one['name']}}}", value)
        return filled

    def without(self, permission: str) -> str:
        """The token of a real person whose roles do not grant this."""
        lacking = [name for name, has in self.permissions.items() if permission not in has]
        assert lacking, f"every demo account has {permission}; the walk needs one that has not"
        return self.bearers[lacking[0]]

    def claims(self) -> dict[str, Any]:
        """What stands in the clerk's own token."""
        body = self.bearers["demo"].split(".")[1]
        return dict(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))

    def forged(self, key: Any = None, audience: str = "gateway", **more: Any) -> str:
        """A token of the clerk's running session, with one thing wrong."""
        who = Identity("demo", more.pop("tier", TIER), session=self.claims()["sid"])
        return tokens.sign(key or self.key, who, [audience], **more)


@pytest.fixture(scope="module")
def doors(district: System) -> Doors:
    """The doors of the district that runs now."""
    document = requests.get(f"{district.gateway}/openapi.json", timeout=30).json()
    operations = [
        Operation(method.upper(), path, described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]
    story = Story(district).referred()
    known = {
        "petitions.id": story.id, "cases.id": story.id, "mediations.id": story.mediation()["id"], "account": "demo",
    }  # fmt: skip
    key = tokens.load_private(district.settings.token_private_key_file)
    found = Doors(district, operations, story, known, key)
    for login in json.loads((district.folder / "data" / "demo-logins.json").read_text())["logins"]:
        answer = requests.post(f"{district.gateway}/v1/session", json=login, timeout=30).json()
        found.bearers[login["account"]] = bearer = answer["access_token"]
        told = requests.get(f"{district.gateway}/v1/session", headers=by(bearer), timeout=30).json()
        found.permissions[login["account"]] = set(told["permissions"])
    return found


def by(token: str) -> dict[str, str]:
    """How a token is sent."""
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def nothing_changes(doors: Doors) -> Iterator[None]:
    """The case, and every table of every service and of the gateway, are afterwards as before."""
    before, seen = at_rest(doors.system, ALL_BOOKS), (doors.story.petition(), doors.story.mediation())
    yield
    assert rows(doors.system, ALL_BOOKS) == before
    assert (doors.story.petition(), doors.story.mediation()) == seen


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_what_needs_no_sign_in_is_what_was_thought_about(doors: Doors) -> None:
    assert {str(one) for one in doors.operations if one.is_open} == OPEN
    assert len(doors.operations) > 40
    undeclared = [str(one) for one in doors.operations if not one.is_open and "401" not in one.described["responses"]]
    assert undeclared == []


Held = Callable[[Doors, Path], dict[str, str]]


def foreign(doors: Doors, folder: Path) -> dict[str, str]:
    """A token that another tier signed with a key of its own."""
    tokens.create_keys(folder)
    return by(doors.forged(tokens.load_private(folder / tokens.PRIVATE_FILE)))


STRANGERS: dict[str, Held] = {
    "nobody": lambda *_: {},
    "an empty token": lambda *_: {"Authorization": "Bearer "},
    "a made-up token": lambda *_: by("x.y.z"),
    "an unsigned token": lambda *_: by("eyJhbGciOiJub25lIn0.e30."),
    "another scheme": lambda *_: {"Authorization": "Basic ZGVtbzpkZW1v"},
    "a cut-off token": lambda doors, _: by(doors.bearers["demo"][:-5]),
    "an expired token": lambda doors, _: by(doors.forged(ttl_s=-60)),
    "another audience's token": lambda doors, _: by(doors.forged(audience="petition")),
    "another tier's token": lambda doors, _: by(doors.forged(tier="341721000000")),
    "another tier's key": foreign,
    "a token without a session": lambda doors, _: by(tokens.sign(doors.key, Identity("demo", TIER), ["gateway"])),
    "a session that never was": lambda doors, _: by(
        tokens.sign(doors.key, Identity("demo", TIER, session=ids.uuid7()), ["gateway"])
    ),
}


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("who", STRANGERS)
def test_nobody_gets_in_without_a_token_of_ours_that_lives(doors: Doors, who: str, tmp_path: Path) -> None:
    headers = STRANGERS[who](doors, tmp_path)
    for operation in doors.operations:
        if not operation.is_open:
            refused(doors.call(operation, headers), 401, operation, who)


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
@pytest.mark.usefixtures("nothing_changes")
def test_nobody_does_what_their_role_is_not_for(doors: Doors) -> None:
    walked = [one for one in doors.operations if one.permission and not one.is_open]
    assert len(walked) > 30
    for operation in walked:
        refused(doors.call(operation, by(doors.without(operation.permission))), 403, operation, "the wrong role")


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_a_cookie_alone_changes_nothing(doors: Doors) -> None:
    login = doors.system.login() | {"cookie": True}
    answer = requests.post(f"{doors.system.gateway}/v1/session", json=login, timeout=30)
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in answer.cookies)
    assert "zz_access=" in cookies
    assert (
        requests.get(f"{doors.system.gateway}/v1/petitions", headers={"Cookie": cookies}, timeout=30).status_code == 200
    )
    before = at_rest(doors.system, ALL_BOOKS)
    for operation in doors.operations:
        if not operation.is_open and operation.method != "GET":
            for more in ({}, {"X-CSRF-Token": "made-up"}, {"Origin": "https://evil.example"}):
                said = refused(doors.call(operation, {"Cookie": cookies} | more), 403, operation, "a cookie alone")
                assert said["reason"] in ("CSRF_TOKEN", "CROSS_ORIGIN"), f"{operation}: {said}"
    assert rows(doors.system, ALL_BOOKS) == before


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_a_case_that_one_may_not_see_looks_like_one_that_is_not_there(doors: Doors) -> None:
    hidden = complaint_about(doors, MEDIATION)
    walked = 0
    for operation in doors.operations:
        owner = operation.path.split("/")[2] if operation.path.startswith("/v1/") else ""
        if owner in ("petitions", "cases") and "/{id}" in operation.path:
            missing = ids.uuid7()
            there, not_there = (
                told(doors.call(operation, by(doors.bearers["demo"]), **{f"{owner}.id": one}), one)
                for one in (hidden, missing)
            )
            assert there == not_there, operation
            assert there[0] in (403, 404), f"{operation}: {there}"
            walked += 1
    assert walked > 10


def complaint_about(doors: Doors, unit: str) -> str:
    """A case about a unit that the clerk works for, registered by somebody who does not."""
    accusation = doors.story.registration(petition_class="PETITION_CLASS_ACCUSATION", accused_unit=unit)
    lead = by(doors.bearers["demo-lead"])
    answer = requests.post(f"{doors.system.gateway}/v1/petitions", json=accusation, headers=lead, timeout=30)
    assert answer.ok, answer.text
    case = str(answer.json()["petition"]["id"])
    seen = requests.get(f"{doors.system.gateway}/v1/petitions/{case}", headers=lead, timeout=30)
    assert seen.status_code == 200
    return case


def told(answer: requests.Response, case: str) -> tuple[int, dict[str, Any]]:
    """Status and problem, without what tells one call from the next."""
    problem = answer.json()
    problem.pop("instance")
    return answer.status_code, json.loads(json.dumps(problem).replace(case, "ID"))


def refused(answer: requests.Response, status: int, operation: Operation, who: str) -> dict[str, Any]:
    """A problem document with this status."""
    try:
        problem = assert_refused(answer, status)
    except AssertionError as error:
        raise AssertionError(f"{operation} by {who}: {error}") from None
    assert str(status) in operation.described["responses"], f"{operation} does not declare {status}"
    assert answer.headers["X-Trace-Id"] == problem["instance"]
    assert status != 401 or "Bearer" in answer.headers["WWW-Authenticate"]
    return problem
