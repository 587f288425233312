"""Signing in and out, for people in a browser, people's programs, and integrators. What a proto cannot say: cookies."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from werkzeug import Response

from gateway import cookies, reading
from gateway.accounts import deeds, passwords, store
from gateway.accounts.model import Account
from gateway.answers import page_json
from gateway.json_in import Report, shown_name, suggestion
from gateway.problems import invalid
from gateway.sessions import Opened, Sessions, Standing, client_address, of_person
from services.chassis import audit
from services.chassis.database import Database
from services.chassis.identity import Identity
from services.chassis.refusal import Invalid, Unauthenticated
from services.chassis.settings import Settings

LONGEST = 200
# Chinese name of each field, and whether it must be given.
SIGN_IN = {"account": ("账号", True), "password": ("密码", True), "post": ("任职代码", False)}
REFRESH = {"refresh_token": ("续期令牌", False)}
CHANGE = {"password": ("当前密码", True), "new_password": ("新密码", True)}
POST = {"post": ("任职代码", True)}
TOKEN = {"client_id": ("应用标识", True), "client_secret": ("应用密钥", True), "audience": ("服务名", True)}

Environ = Mapping[str, Any]
Show = Callable[[Environ], Response]


class SessionPages:
    """The addresses under /v1/session, and POST /v1/token."""

    def __init__(self, sessions: Sessions, db: Database, settings: Settings, audiences: frozenset[str]) -> None:
        self._sessions = sessions
        self._db = db
        self._settings = settings
        self._audiences = audiences

    def all(self) -> list[tuple[str, str, Show]]:
        """Method, path and what answers there."""
        return [
            ("POST", "/v1/session", self.sign_in),
            ("GET", "/v1/session", self.who_am_i),
            ("DELETE", "/v1/session", self.sign_out),
            ("POST", "/v1/session:refresh", self.refresh),
            ("POST", "/v1/session:revokeAll", self.revoke_all),
            ("POST", "/v1/session:changePassword", self.change_password),
            ("POST", "/v1/session:switchPost", self.switch_post),
            ("POST", "/v1/token", self.token),
        ]

    def sign_in(self, environ: Environ) -> Response:
        """Account and password → a session."""
        document = reading.read_json(environ)
        browser = _flag(document, "cookie")
        given = _texts(document, SIGN_IN)
        if browser:
            cookies.check_origin(environ, self._settings)
        place = client_address(environ, self._settings)
        account = self._sessions.door.prove(given["account"], given["password"], place)
        opened = self._sessions.open(account, given.get("post", ""), place, browser=browser)
        return self._answer(environ, opened, browser)

    def refresh(self, environ: Environ) -> Response:
        """A refresh token → the next one, and a new access token."""
        given = _texts(reading.read_json(environ), REFRESH).get("refresh_token", "")
        browser = not given
        token = given or cookies.refresh(environ)
        if not token:
            zh, en = "请填写续期令牌。", "Send the refresh_token that you were given."
            raise Invalid("refresh_token", zh, en)
        if browser:
            cookies.check_origin(environ, self._settings)
            self._sessions.check_refresh_csrf(environ, token)
        opened = self._sessions.refresh(token, client_address(environ, self._settings))
        return self._answer(environ, opened, browser)

    def who_am_i(self, environ: Environ) -> Response:
        """Account, posts, roles and permissions of whoever asks."""
        standing = self._sessions.standing(environ)
        return page_json(self._told(standing))

    def sign_out(self, environ: Environ) -> Response:
        """Ends this session."""
        return self._end(environ, everywhere=False)

    def revoke_all(self, environ: Environ) -> Response:
        """Ends every session of the account."""
        _texts(reading.read_json(environ), {})
        return self._end(environ, everywhere=True)

    def change_password(self, environ: Environ) -> Response:
        """Chooses a new password; the present one is proved once more. Other sessions end."""
        standing = self._sessions.standing(environ)
        account, session = of_person(standing)
        given = _texts(reading.read_json(environ), CHANGE)
        place = client_address(environ, self._settings)
        self._sessions.door.prove_again(account, given["password"], place)
        with self._db.reading() as conn:
            former = store.former(conn, store.read(conn, account.name))
        passwords.check(given["new_password"], account.name, former)
        hashed = passwords.hashed(given["new_password"])
        with self._db.transaction(standing.identity) as tx:
            deeds.change_password(tx, account.name, hashed, keep_session=session.id)
        self._sessions.forget_all()
        return page_json(self._told(self._sessions.standing(environ)))

    def switch_post(self, environ: Environ) -> Response:
        """Acts in another post of the account from now on."""
        standing = self._sessions.standing(environ)
        given = _texts(reading.read_json(environ), POST)
        return page_json(self._told(self._sessions.switch_post(standing, given["post"])))

    def token(self, environ: Environ) -> Response:
        """A program's client id and secret → the token of one service, for gRPC or HTTP."""
        document = _with_basic(environ, reading.read_json(environ))
        given = _texts(document, TOKEN)
        if given["audience"] not in self._audiences:
            known = "、".join(sorted(self._audiences))
            raise Invalid(
                "audience", f"请从以下服务中选择:{known}。", f"Choose one of {', '.join(sorted(self._audiences))}."
            )
        place = client_address(environ, self._settings)
        program = self._sessions.door.prove_program(given["client_id"], given["client_secret"], place)
        token, lives = self._sessions.token_for(program, given["audience"])
        with self._db.transaction(Identity(program.actor, self._settings.tier)) as tx:
            audit.write(tx, "token.issued", "service", program.client_id, audience=given["audience"], source=place)
        return page_json({"access_token": token, "token_type": "Bearer", "expires_in": lives})

    def _end(self, environ: Environ, *, everywhere: bool) -> Response:
        ended = self._sessions.end(self._sessions.standing(environ), everywhere=everywhere)
        response = page_json({"ended": ended})
        cookies.take(response)
        return response

    def _answer(self, environ: Environ, opened: Opened, browser: bool) -> Response:
        common: dict[str, Any] = {"expires_in": opened.expires_in, "must_change_password": opened.must_change,
                                  "post": opened.post}  # fmt: skip
        if not browser:
            tokens = {"access_token": opened.access_token, "token_type": "Bearer",
                      "refresh_token": opened.refresh_token}  # fmt: skip
            return page_json(tokens | common)
        csrf = self._sessions.csrf_token(opened.session_id)
        response = page_json({"csrf_token": csrf} | common)
        cookies.give(
            response, environ, self._settings, access_token=opened.access_token,
            refresh_token=opened.refresh_token, csrf_token=csrf, lives_s=opened.expires_in,
        )  # fmt: skip
        return response

    def _told(self, standing: Standing) -> dict[str, Any]:
        identity = self._sessions.vouched(standing.identity)
        return {
            "account": identity.account,
            "post": standing.post.post if standing.post else "",
            "posts": _posts(standing.account) if standing.account else [],
            "units": sorted(identity.units),
            "scope": identity.scope,
            "roles": sorted(identity.roles),
            "permissions": sorted(identity.permissions),
            "must_change_password": standing.must_change,
            "session_ends_at": standing.session.ends_at.isoformat() if standing.session else "",
        }


def _posts(account: Account) -> list[dict[str, Any]]:
    return [{"post": one.post, "title": one.title, "units": list(one.units)} for one in account.appointments]


def _flag(document: dict[str, Any], name: str) -> bool:
    value = document.pop(name, False)
    if not isinstance(value, bool):
        raise Invalid(name, f"{name}:请填写 true 或 false。", f"{name}: write true or false.")
    return value


def _texts(document: dict[str, Any], fields: Mapping[str, tuple[str, bool]]) -> dict[str, str]:
    """The fields of a body, all wrong ones reported at once. Raises Invalid."""
    report = Report()
    for name in document.keys() - fields.keys():
        report.add(shown_name(name), *suggestion(name, list(fields)))
    for name, (zh, required) in fields.items():
        value = document.get(name)
        if (value is None or value == "") and not required:
            continue
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST or not _encodable(value):
            report.add(
                name, f"请填写{zh},1 到 {LONGEST} 个字", f"write the {name}, 1 to {LONGEST} characters"
            )  # fmt: skip
    if report.violations:
        raise invalid(report.violations)
    return {name: value for name, value in document.items() if value}


def _encodable(text: str) -> bool:
    """Whether it is whole Unicode; JSON can smuggle half characters in."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def _with_basic(environ: Environ, document: dict[str, Any]) -> dict[str, Any]:
    """The body, with client id and secret of HTTP Basic (RFC 6749 §2.3.1) where they are sent so."""
    scheme, _, encoded = str(environ.get("HTTP_AUTHORIZATION") or "").partition(" ")
    if scheme.lower() != "basic":
        return document
    try:
        name, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        colon = ""
    if not colon:
        raise Unauthenticated(
            "BASIC_INVALID", "Authorization: Basic 的内容无效。", "The content of Authorization: Basic is not valid."
        )
    return {**document, "client_id": name, "client_secret": secret}
