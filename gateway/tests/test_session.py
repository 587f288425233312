"""Signing in: one demo account with a random password, and a stop for whoever guesses."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gateway import roles
from gateway.accounts import Accounts, create_demo_login
from gateway.lockout import Lockout
from gateway.sessions import Sessions, Signer
from gateway.tests.conftest import CLERK, TIER, Running
from services.chassis import tokens
from services.chassis.refusal import Exhausted, Unauthenticated, Unavailable


@pytest.fixture
def login(folder: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / "demo-login.json").read_text())
    return found


@pytest.fixture
def calm(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """The gateway before anybody failed to sign in."""
    accounts = _accounts(gateway)
    monkeypatch.setattr(accounts, "_lockout", Lockout())
    return gateway  # type: ignore[return-value]


def _accounts(gateway: Running) -> Any:
    pages = next(target for _, target in _exact(gateway, "/v1/session"))
    return pages.show.__self__._accounts


def _exact(gateway: Running, path: str) -> list[Any]:
    return [entry for methods, _ in gateway.app.extensions["zongzhi"]._paths.find(path) for entry in methods.values()]


def test_the_demo_account_signs_in_and_works(calm: Running, login: dict[str, str]) -> None:
    answer = calm.client.post("/v1/session", json=login)
    assert answer.status_code == 200
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 8 * 3600)
    headers = {"Authorization": f"Bearer {answer.json['access_token']}"}
    assert calm.client.get("/v1/petitions", headers=headers).status_code == 200
    identity = calm.services.identity_of_last(calm.verifier, "petition")
    assert (identity.account, identity.scope, identity.unit) == ("demo", "341702", "341702-XFJ")
    assert identity.units == {"341702-XFJ", "341702-SFJ"}
    assert identity.may("mediation.handle")


@pytest.mark.parametrize("wrong", [{"password": "nearly"}, {"account": "nobody"}, {"account": "Demo"}])
def test_wrong_account_and_wrong_password_sound_alike(
    calm: Running, login: dict[str, str], wrong: dict[str, str]
) -> None:
    answer = calm.client.post("/v1/session", json=login | wrong)
    assert (answer.status_code, answer.json["reason"]) == (401, "LOGIN_FAILED")
    assert login["password"] not in answer.get_data(as_text=True)


def test_ten_failures_lock_the_account_for_that_source_only(calm: Running, login: dict[str, str]) -> None:
    for _ in range(10):
        assert calm.client.post("/v1/session", json=login | {"password": "x"}).status_code == 401
    locked = calm.client.post("/v1/session", json=login)
    assert (locked.status_code, locked.json["reason"]) == (429, "LOGIN_LOCKED")
    assert 0 < int(locked.headers["Retry-After"]) <= 15 * 60 + 1
    elsewhere = calm.client.post("/v1/session", json=login, environ_overrides={"REMOTE_ADDR": "10.9.8.7"})
    assert elsewhere.status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "account"), ({"account": "demo"}, "password"), ({"account": 5, "password": "x"}, "account"),
     ({"account": "demo", "password": ""}, "password"), ({"account": "demo", "password": "x" * 201}, "password"),
     ({"account": "\ud800", "password": "x"}, "account"), ({"account": "a", "password": "b", "otp": "1"}, "otp")],
)  # fmt: skip
def test_a_sign_in_that_is_no_sign_in_names_the_field(calm: Running, body: dict[str, Any], field: str) -> None:
    answer = calm.client.post("/v1/session", json=body)
    assert answer.status_code == 400
    assert field in [one["field"] for one in answer.json["violations"]]


def test_failures_are_forgotten_after_fifteen_minutes_and_after_success() -> None:
    now = [0.0]
    lockout = Lockout(lambda: now[0])
    for _ in range(10):
        lockout.begin("demo", "here")
    with pytest.raises(Exhausted):
        lockout.begin("demo", "here")
    now[0] = 15 * 60
    for _ in range(9):
        lockout.begin("demo", "here")
    lockout.succeeded("demo", "here")
    for _ in range(10):
        lockout.begin("demo", "here")


def test_one_source_cannot_try_many_accounts() -> None:
    lockout = Lockout(lambda: 0.0)
    for i in range(100):
        lockout.begin(f"account-{i}", "here")
    with pytest.raises(Exhausted):
        lockout.begin("another", "here")
    lockout.begin("another", "there")


def test_guesses_at_once_are_counted_like_guesses_in_turn(folder: Path) -> None:
    accounts = Accounts(folder, TIER)

    def guess(_: int) -> str:
        with pytest.raises((Unauthenticated, Exhausted)) as refused:
            accounts.prove("demo", "x", "here")
        return type(refused.value).__name__

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(guess, range(20)))
    assert outcomes.count("Unauthenticated") == 10


def test_setup_makes_a_login_once_and_keeps_its_secrets_private(tmp_path: Path) -> None:
    create_demo_login(tmp_path)
    login, account = tmp_path / "demo-login.json", tmp_path / "keys" / "demo-account.json"
    before = login.read_text(), account.read_text()
    create_demo_login(tmp_path)
    assert (login.read_text(), account.read_text()) == before
    assert {stat.S_IMODE(file.stat().st_mode) for file in (login, account)} == {0o600}
    assert json.loads(before[0])["password"] not in before[1]
    assert json.loads(before[1])["password_hash"].startswith("$argon2id$")


@pytest.mark.parametrize("lost", ["demo-login.json", "keys/demo-account.json"])
def test_what_was_lost_is_made_again_and_works(tmp_path: Path, lost: str) -> None:
    create_demo_login(tmp_path)
    (tmp_path / lost).unlink()
    create_demo_login(tmp_path)
    login = json.loads((tmp_path / "demo-login.json").read_text())
    assert Accounts(tmp_path, TIER).prove(login["account"], login["password"], "here").account == "demo"


def test_without_an_account_nobody_signs_in(tmp_path: Path) -> None:
    with pytest.raises(Unauthenticated):
        Accounts(tmp_path, TIER).prove("demo", "x", "here")


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"account": "demo"}'])
def test_a_broken_account_file_is_said_to_be_broken(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "demo-account.json").write_text(content)
    with pytest.raises(Unavailable):
        Accounts(tmp_path, TIER).prove("demo", "x", "here")


def test_a_rotated_key_is_taken_up_and_old_sessions_go_on(tmp_path: Path) -> None:
    tokens.create_keys(tmp_path)
    signer = Signer(tmp_path / tokens.PRIVATE_FILE)
    before = signer.sign(CLERK, "gateway", 60)
    tokens.rotate_keys(tmp_path)
    after = signer.sign(CLERK, "gateway", 60)
    verifier = tokens.Verifier(tmp_path / tokens.PUBLIC_FILE, TIER)
    assert verifier.verify(before, "gateway").account == verifier.verify(after, "gateway").account == "clerk"
    assert before.split(".")[0] != after.split(".")[0]


def test_an_internal_token_is_signed_anew_before_it_expires(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("gateway.sessions.time.monotonic", lambda: now[0])
    sessions = Sessions(gateway.signer, gateway.verifier, gateway.settings.tier)
    first = sessions.internal_token(CLERK, "petition")
    now[0] += 239
    assert sessions.internal_token(CLERK, "petition") == first
    now[0] += 2
    assert sessions.internal_token(CLERK, "petition") != first


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("hall", "petition.register", "petition.reveal"),
        ("hall", "petition.void", "petition.read_all"),
        ("hall_lead", "petition.reveal", "mediation.read"),
        ("mediator", "mediation.reveal", "petition.read"),
        ("supervisor", "mediation.read_all", "petition.accept"),
        ("mayor", "", "petition.read"),
    ],
)
def test_a_role_may_what_its_work_needs(role: str, may: str, may_not: str) -> None:
    found = roles.permissions([role])
    assert may_not not in found
    assert not may or may in found
