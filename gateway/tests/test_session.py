"""Signing in over HTTP: for a program by bearer token, for a browser by cookies that other sites cannot use."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from gateway.accounts import demo, store, wiring
from gateway.sessions import own_identity
from gateway.tests.conftest import Running
from gateway.tests.office import GOOD
from services.chassis import identity, ids, migrations
from services.chassis.settings import Settings


@pytest.fixture
def login(folder: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / "demo-login.json").read_text())
    return found


@pytest.fixture
def admin(gateway: Running, folder: Path) -> Any:
    """Calls as the demo administrator."""
    logins = {one["account"]: one for one in json.loads((folder / "demo-logins.json").read_text())["logins"]}
    token = gateway.client.post("/v1/session", json=logins["demo-admin"]).json["access_token"]
    headers = {"Authorization": f"Bearer {token}"}

    def call(method: str, path: str, body: Any = None) -> Any:
        return gateway.client.open(path, method=method, headers=headers, json=body)

    return call


def bearer(answer: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json['access_token']}"}


def a_name() -> str:
    return f"clerk-{ids.uuid7()[-12:]}"


def create(admin: Any, name: str) -> str:
    posts = [
        {"post": "hall", "roles": ["hall"], "units": ["341702-XFJ"]},
        {"post": "centre", "roles": ["mediator"], "units": ["341702-SFJ"]},
    ]
    body = {"request_id": ids.uuid7(), "account": name, "display_name": "王小明", "appointments": posts}
    answer = admin("POST", "/v1/accounts", body)
    assert answer.status_code == 200, answer.json
    return str(answer.json["password"])


# Bearer tokens


def test_the_demo_account_signs_in_and_works(gateway: Running, login: dict[str, str]) -> None:
    answer = gateway.client.post("/v1/session", json=login)
    assert answer.status_code == 200
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 600)
    assert "Set-Cookie" not in answer.headers
    assert gateway.client.get("/v1/petitions", headers=bearer(answer)).status_code == 200
    found = gateway.services.identity_of_last(gateway.verifier, "petition")
    assert (found.account, found.scope, found.unit) == ("demo", "341702", "341702-XFJ")
    assert found.units == {"341702-XFJ", "341702-SFJ"}
    assert found.may("mediation.handle")


@pytest.mark.parametrize("wrong", [{"password": "nearly"}, {"account": "nobody"}, {"account": "Demo"}])
def test_wrong_account_and_wrong_password_sound_alike(
    gateway: Running, login: dict[str, str], wrong: dict[str, str]
) -> None:
    answer = gateway.client.post("/v1/session", json=login | wrong)
    assert (answer.status_code, answer.json["reason"]) == (401, "LOGIN_FAILED")
    assert login["password"] not in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "account"), ({"account": "demo"}, "password"), ({"account": 5, "password": "x"}, "account"),
     ({"account": "demo", "password": ""}, "password"), ({"account": "demo", "password": "x" * 201}, "password"),
     ({"account": "\ud800", "password": "x"}, "account"), ({"account": "a", "password": "b", "otp": "1"}, "otp"),
     ({"account": "a", "password": "b", "cookie": "yes"}, "cookie")],
)  # fmt: skip
def test_a_sign_in_that_is_no_sign_in_names_the_field(gateway: Running, body: dict[str, Any], field: str) -> None:
    answer = gateway.client.post("/v1/session", json=body)
    assert answer.status_code == 400
    assert field in [one["field"] for one in answer.json["violations"]]


def test_who_am_i_tells_account_posts_roles_and_permissions(gateway: Running, login: dict[str, str]) -> None:
    told = gateway.client.get("/v1/session", headers=bearer(gateway.client.post("/v1/session", json=login))).json
    assert (told["account"], told["post"], told["must_change_password"]) == ("demo", "hall", False)
    assert told["posts"] == [{"post": "hall", "title": "演示窗口", "units": ["341702-XFJ", "341702-SFJ"]}]
    assert "petition.register" in told["permissions"]
    assert gateway.client.get("/v1/session").status_code == 401


def test_the_first_sign_in_must_change_the_password_before_anything_else(gateway: Running, admin: Any) -> None:
    name = a_name()
    password = create(admin, name)
    answer = gateway.client.post("/v1/session", json={"account": name, "password": password})
    assert answer.json["must_change_password"]
    headers = bearer(answer)
    blocked = gateway.client.get("/v1/petitions", headers=headers)
    assert (blocked.status_code, blocked.json["reason"]) == (403, "PASSWORD_CHANGE_REQUIRED")
    assert gateway.client.get("/v1/session", headers=headers).json["must_change_password"]
    change = {"password": "wrong", "new_password": GOOD}
    path = "/v1/session:changePassword"
    assert gateway.client.post(path, headers=headers, json=change).json["reason"] == "LOGIN_FAILED"
    weak = gateway.client.post(path, headers=headers, json={"password": password, "new_password": name + "-1234"})
    assert (weak.status_code, weak.json["reason"]) == (400, "PASSWORD_WEAK")
    changed = gateway.client.post(path, headers=headers, json={"password": password, "new_password": GOOD})
    assert (changed.status_code, changed.json["must_change_password"]) == (200, False)
    assert gateway.client.get("/v1/petitions", headers=headers).status_code == 200
    again = gateway.client.post(path, headers=headers, json={"password": GOOD, "new_password": GOOD})
    assert again.json["reason"] == "PASSWORD_REUSED"


def test_a_refresh_a_post_and_a_sign_out_over_http(gateway: Running, admin: Any) -> None:
    name = a_name()
    password = create(admin, name)
    client = gateway.client
    opened = client.post("/v1/session", json={"account": name, "password": password, "post": "centre"})
    assert opened.json["post"] == "centre"
    client.post(
        "/v1/session:changePassword", headers=bearer(opened), json={"password": password, "new_password": GOOD}
    )  # fmt: skip
    fresh = client.post("/v1/session:refresh", json={"refresh_token": opened.json["refresh_token"]})
    assert fresh.json["post"] == "centre"
    told = client.post("/v1/session:switchPost", headers=bearer(fresh), json={"post": "hall"}).json
    assert (told["post"], told["roles"]) == ("hall", ["hall"])
    assert client.post("/v1/session:switchPost", headers=bearer(fresh), json={"post": "x"}).status_code == 404
    assert client.delete("/v1/session", headers=bearer(fresh)).json == {"ended": 1}
    assert client.get("/v1/session", headers=bearer(fresh)).json["reason"] == "SESSION_ENDED"
    used = client.post("/v1/session:refresh", json={"refresh_token": fresh.json["refresh_token"]})
    assert (used.status_code, used.json["reason"]) == (401, "SESSION_ENDED")


def test_signing_out_everywhere_is_one_call(gateway: Running, admin: Any) -> None:
    name = a_name()
    login = {"account": name, "password": create(admin, name)}
    one, two = (gateway.client.post("/v1/session", json=login) for _ in range(2))
    assert gateway.client.post("/v1/session:revokeAll", headers=bearer(one)).json == {"ended": 2}
    assert gateway.client.get("/v1/session", headers=bearer(two)).status_code == 401


# Browsers


def signed_in(gateway: Running, login: dict[str, str], **more: Any) -> tuple[Any, Any]:
    browser = gateway.client
    return browser, browser.post("/v1/session", json=login | {"cookie": True}, **more)


def cookies_of(answer: Any) -> dict[str, str]:
    return {header.partition("=")[0]: header for header in answer.headers.getlist("Set-Cookie")}


def test_a_browser_gets_cookies_that_scripts_and_other_sites_cannot_use(
    gateway: Running, login: dict[str, str]
) -> None:
    _, answer = signed_in(gateway, login, environ_overrides={"REMOTE_ADDR": "10.0.0.9"})
    given = cookies_of(answer)
    assert set(given) == {"zz_access", "zz_refresh", "zz_csrf"}
    for name in ("zz_access", "zz_refresh"):
        assert {"HttpOnly", "Secure", "SameSite=Strict"} <= {part.strip() for part in given[name].split(";")}
    assert "HttpOnly" not in given["zz_csrf"]
    assert "access_token" not in answer.json
    assert "refresh_token" not in answer.json


@pytest.mark.parametrize(
    ("environ", "secure"),
    [({}, False), ({"REMOTE_ADDR": "10.0.0.9"}, True), ({"wsgi.url_scheme": "https"}, True)],
    ids=["plain on this machine", "plain from elsewhere", "encrypted"],
)
def test_cookies_are_secure_but_for_plain_http_on_this_machine(
    gateway: Running, login: dict[str, str], environ: dict[str, str], secure: bool
) -> None:
    _, answer = signed_in(gateway, login, environ_overrides=environ)
    assert all(("Secure" in cookie) == secure for cookie in cookies_of(answer).values())


def test_reading_needs_the_cookie_alone_and_changing_needs_the_csrf_token_too(
    gateway: Running, login: dict[str, str]
) -> None:
    browser, answer = signed_in(gateway, login)
    csrf = answer.json["csrf_token"]
    assert browser.get("/v1/petitions").status_code == 200
    for headers in ({}, {"X-CSRF-Token": "guess"}):
        refused = browser.post("/v1/petitions", json={}, headers=headers)
        assert (refused.status_code, refused.json["reason"]) == (403, "CSRF_TOKEN")
    assert browser.post("/v1/petitions", json={}, headers={"X-CSRF-Token": csrf}).status_code == 200
    assert browser.delete("/v1/session").status_code == 403
    assert browser.delete("/v1/session", headers={"X-CSRF-Token": csrf}).status_code == 200
    assert browser.get("/v1/session").status_code == 401


def test_the_csrf_token_of_one_session_is_of_no_use_to_another(gateway: Running, login: dict[str, str]) -> None:
    _, other = signed_in(gateway, login)
    browser, _ = signed_in(gateway, login)
    refused = browser.post("/v1/petitions", json={}, headers={"X-CSRF-Token": other.json["csrf_token"]})
    assert (refused.status_code, refused.json["reason"]) == (403, "CSRF_TOKEN")


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:8081", "null"])
def test_a_page_of_another_origin_changes_nothing_even_with_the_token(
    gateway: Running, login: dict[str, str], origin: str
) -> None:
    browser, answer = signed_in(gateway, login)
    headers = {"X-CSRF-Token": answer.json["csrf_token"], "Origin": origin}
    refused = browser.post("/v1/petitions", json={}, headers=headers)
    assert (refused.status_code, refused.json["reason"]) == (403, "CROSS_ORIGIN")
    assert "Access-Control-Allow-Origin" not in refused.headers
    signing_in = gateway.client.post("/v1/session", json=login | {"cookie": True}, headers={"Origin": origin})
    assert signing_in.json["reason"] == "CROSS_ORIGIN"


def test_a_page_of_our_own_origin_works(gateway: Running, login: dict[str, str]) -> None:
    browser, answer = signed_in(gateway, login)
    headers = {"X-CSRF-Token": answer.json["csrf_token"], "Origin": "http://localhost"}
    assert browser.post("/v1/petitions", json={}, headers=headers).status_code == 200


def test_a_bearer_token_needs_no_csrf_token_even_beside_cookies(gateway: Running, login: dict[str, str]) -> None:
    browser, _ = signed_in(gateway, login)
    headers = bearer(gateway.client.post("/v1/session", json=login))
    assert browser.post("/v1/petitions", json={}, headers=headers).status_code == 200


def test_a_browser_refreshes_by_its_cookies_and_the_csrf_token(gateway: Running, login: dict[str, str]) -> None:
    browser, answer = signed_in(gateway, login)
    assert browser.post("/v1/session:refresh").json["reason"] == "CSRF_TOKEN"
    fresh = browser.post("/v1/session:refresh", headers={"X-CSRF-Token": answer.json["csrf_token"]})
    assert (fresh.status_code, fresh.json["csrf_token"]) == (200, answer.json["csrf_token"])
    assert {"zz_access", "zz_refresh"} <= set(cookies_of(fresh))
    assert browser.get("/v1/session").status_code == 200


# Programs


@pytest.fixture
def program(admin: Any) -> dict[str, str]:
    client_id = f"app-{ids.uuid7()[-12:]}"
    body = {
        "request_id": ids.uuid7(), "client_id": client_id, "title": "区级平台",
        "appointment": {"post": "main", "roles": ["hall"], "units": ["341702-XFJ"]},
    }  # fmt: skip
    return {"client_id": client_id, "client_secret": admin("POST", "/v1/serviceAccounts", body).json["client_secret"]}


def test_a_program_gets_the_token_of_one_service(gateway: Running, program: dict[str, str]) -> None:
    answer = gateway.client.post("/v1/token", json=program | {"audience": "petition"})
    assert (answer.status_code, answer.json["expires_in"]) == (200, 300)
    found = gateway.verifier.verify(answer.json["access_token"], "petition")
    assert (found.account, found.may("petition.register")) == (f"service:{program['client_id']}", True)
    assert gateway.client.get("/v1/petitions", headers=bearer(answer)).json["reason"] == "TOKEN_AUDIENCE"


def test_a_program_may_use_http_basic_and_call_the_gateway(gateway: Running, program: dict[str, str]) -> None:
    basic = base64.b64encode(f"{program['client_id']}:{program['client_secret']}".encode()).decode()
    answer = gateway.client.post(
        "/v1/token", json={"audience": "gateway"}, headers={"Authorization": f"Basic {basic}"}
    )  # fmt: skip
    assert gateway.client.get("/v1/petitions", headers=bearer(answer)).status_code == 200
    assert gateway.services.identity_of_last(gateway.verifier, "petition").account == f"service:{program['client_id']}"
    told = gateway.client.get("/v1/session", headers=bearer(answer)).json
    assert (told["posts"], told["roles"]) == ([], ["hall"])
    assert gateway.client.delete("/v1/session", headers=bearer(answer)).json["reason"] == "NO_SESSION"


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [({"client_secret": "wrong"}, 401, "CLIENT_FAILED"), ({"client_id": "nobody"}, 401, "CLIENT_FAILED"),
     ({"audience": "nowhere"}, 400, "FIELD_INVALID"), ({"audience": ""}, 400, "FIELD_INVALID")],
)  # fmt: skip
def test_a_program_that_errs_is_told_so(
    gateway: Running, program: dict[str, str], change: dict[str, str], status: int, reason: str
) -> None:
    answer = gateway.client.post("/v1/token", json=program | {"audience": "petition"} | change)
    assert (answer.status_code, answer.json["reason"]) == (status, reason)
    assert program["client_secret"] not in answer.get_data(as_text=True)


@pytest.mark.parametrize("header", ["Basic", "Basic ???", "Basic " + base64.b64encode(b"no-colon").decode()])
def test_broken_basic_credentials_are_refused(gateway: Running, header: str) -> None:
    answer = gateway.client.post("/v1/token", json={"audience": "petition"}, headers={"Authorization": header})
    assert (answer.status_code, answer.json["reason"]) == (401, "BASIC_INVALID")


# In process


def test_an_administrator_manages_accounts_and_sees_no_case(gateway: Running, admin: Any) -> None:
    name = a_name()
    create(admin, name)
    assert admin("GET", f"/v1/accounts/{name}").json["side"] == "SIDE_OPERATOR"
    for path in ("/v1/petitions", "/v1/mediations"):
        admin("GET", path)
        assert gateway.services.identity_of_last(gateway.verifier, path[4:-1]).permissions == frozenset(
            {"accounts.read", "accounts.manage", "accounts.reveal", "accounts.hand_over"}
        )
    assert admin("GET", "/v1/audit").status_code == 403
    assert admin("GET", "/v1/loginAttempts").status_code == 403


def test_the_auditor_reads_and_changes_nothing(gateway: Running, folder: Path) -> None:
    logins = {one["account"]: one for one in json.loads((folder / "demo-logins.json").read_text())["logins"]}
    headers = bearer(gateway.client.post("/v1/session", json=logins["demo-auditor"]))
    for path in ("/v1/audit", "/v1/loginAttempts", "/v1/accounts", "/v1/roles"):
        assert gateway.client.get(path, headers=headers).status_code == 200
    refused = gateway.client.post("/v1/accounts/demo:disable", headers=headers, json={"reason": "试试"})
    assert refused.status_code == 403
    assert gateway.client.get("/v1/accounts/demo/openItems", headers=headers).status_code == 403


def test_an_operator_sees_no_account(gateway: Running) -> None:
    assert gateway.call("GET", "/v1/accounts").status_code == 403


def test_wrong_fields_of_an_inside_call_are_named_like_those_of_any_other(admin: Any) -> None:
    answer = admin("POST", "/v1/accounts", {"request_id": "x", "account": "A", "appointments": []})
    assert answer.status_code == 400
    fields = {one["field"] for one in answer.json["violations"]}
    assert {"request_id", "account", "display_name", "appointments"} <= fields
    assert identity.current() == identity.NOBODY


def test_open_items_are_asked_for_in_the_gateways_own_name(gateway: Running, admin: Any) -> None:
    from protos.petition.v1 import petition_pb2

    item = petition_pb2.OfficerItem(id="1", case_number="341702001008X2611240001A", state_zh="已受理")
    reply = petition_pb2.ListOfficerItemsResponse(items=[item])
    gateway.services.answers["ListOfficerItems"] = lambda request: (
        reply if isinstance(request, petition_pb2.ListOfficerItemsRequest) else type(request)()
    )
    name = a_name()
    create(admin, name)
    admin("GET", f"/v1/accounts/{name}/openItems?page_size=1")
    asked = next(call for call in gateway.services.calls if call.method == "ListOfficerItems")
    found = gateway.verifier.verify(asked.metadata["authorization"].removeprefix("Bearer "), "petition")
    expected = own_identity(found.tier, frozenset({"petition.hand_over", "petition.read_all"}), "demo-admin")
    assert found == expected


# Demo accounts


def demo_folder(path: Path, **more: Any) -> tuple[Settings, Any]:
    settings = Settings(tier="341702000000", data_dir=path, **more)
    migrations.migrate("gateway", settings.database_url_of("gateway"))
    return settings, wiring.open_database(settings)


def test_demo_logins_are_made_once_and_kept_private(tmp_path: Path) -> None:
    settings, db = demo_folder(tmp_path)
    assert demo.seed(db, settings) == len(demo.POSTS)
    files = (tmp_path / "demo-login.json", tmp_path / "demo-logins.json")
    before = [file.read_text() for file in files]
    assert demo.seed(db, settings) == 0
    assert [file.read_text() for file in files] == before
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert json.loads(before[0])["account"] == "demo"
    db.close()


def test_a_lost_login_file_and_a_lost_database_are_made_good(tmp_path: Path) -> None:
    settings, db = demo_folder(tmp_path)
    demo.seed(db, settings)
    (tmp_path / "demo-login.json").unlink()
    demo.seed(db, settings)
    login = json.loads((tmp_path / "demo-login.json").read_text())
    db.close()
    for file in tmp_path.glob("gateway.db*"):
        file.unlink()
    settings, db = demo_folder(tmp_path)
    demo.seed(db, settings)
    with db.reading() as conn:
        kept = store.read(conn, "demo")
    assert json.loads((tmp_path / "demo-login.json").read_text()) == login
    assert not kept.must_change
    db.close()
