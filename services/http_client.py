"""Calls the gateway as a person or program signed in there: signs in, goes on when told 401, reads its problems."""

from __future__ import annotations

import json
import ssl
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

TIMEOUT_S = 120.0
RETRIES = 5
LONGEST_PAUSE_S = 10.0


class GatewaySaid(Exception):
    """The gateway refused; the sentence is for people, Chinese first."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Unreachable(Exception):
    """Nobody answers there."""


class _NoRedirects(HTTPRedirectHandler):
    """A token goes to the address that was typed and nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None: a redirect is an error."""
        return


@dataclass
class Gateway:
    """One gateway and whoever is signed in there."""

    url: str
    ca: Path | None = None
    # Gives (access token, refresh token) anew; without one a 401 is final.
    sign_in_again: Callable[[], None] | None = None
    access: str = ""
    refresh: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise GatewaySaid(
                0, f"网关地址有误:{self.url},应如 http://127.0.0.1:8080。 The gateway's address is wrong: {self.url}."
            )
        self.url = self.url.rstrip("/")
        self._opener: OpenerDirector = build_opener(_NoRedirects(), *self._https())

    def sign_in(self, account: str, password: str) -> None:
        """Opens a session. Raises GatewaySaid when account and password do not fit."""
        self._take(self._once("POST", "/v1/session", {"account": account, "password": password}))

    def get(self, path: str, **query: Any) -> Any:
        """A JSON answer."""
        return self.call("GET", f"{path}?{urlencode(query)}" if query else path)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """A JSON answer; signs in again once, and waits when the gateway is away or asks for patience."""
        return json.loads(self._patiently(method, path, body, {}))

    def download(self, path: str) -> bytes:
        """A file."""
        return self._patiently("GET", path, None, {})

    def upload(self, path: str, file_name: str, content: bytes, fields: Mapping[str, str]) -> Any:
        """Sends a file as a form; with a request_id among the fields a repeat is safe."""
        boundary = uuid.uuid4().hex
        form = _form(boundary, file_name, content, fields)
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return json.loads(self._patiently("POST", path, form, headers))

    def _patiently(self, method: str, path: str, body: Any, headers: dict[str, str]) -> bytes:
        for attempt in range(RETRIES):
            try:
                return self._signed_in(method, path, body, headers)
            except GatewaySaid as said:
                if said.status not in (429, 502, 503, 504) or attempt == RETRIES - 1:
                    raise
            except Unreachable:
                if attempt == RETRIES - 1:
                    raise
            time.sleep(min(LONGEST_PAUSE_S, 0.5 * 2**attempt))
        raise AssertionError("unreachable")

    def _signed_in(self, method: str, path: str, body: Any, headers: dict[str, str]) -> bytes:
        try:
            return self._bytes(method, path, body, headers)
        except GatewaySaid as said:
            if said.status != 401 or not self._renew():
                raise
        return self._bytes(method, path, body, headers)

    def _renew(self) -> bool:
        """Whether there is a new access token."""
        if self.refresh:
            try:
                self._take(self._once("POST", "/v1/session:refresh", {"refresh_token": self.refresh}))
            except GatewaySaid:
                self.refresh = ""
            else:
                return True
        if self.sign_in_again is None:
            return False
        self.sign_in_again()
        return True

    def _take(self, opened: Any) -> None:
        self.access, self.refresh = opened.get("access_token", ""), opened.get("refresh_token", "")

    def _once(self, method: str, path: str, body: Any) -> Any:
        return json.loads(self._bytes(method, path, body, {}, signed=False))

    def _bytes(self, method: str, path: str, body: Any, headers: dict[str, str], *, signed: bool = True) -> bytes:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {"Accept": "application/json", **headers}
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        if signed:
            sent["Authorization"] = f"Bearer {self.access}"
        request = Request(self.url + path, data=data, headers=sent, method=method)  # noqa: S310 - http or https, checked
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                found: bytes = answer.read()
                return found
        except HTTPError as refused:
            raise GatewaySaid(refused.code, _sentence(refused)) from None
        except (URLError, OSError) as error:
            raise Unreachable(
                f"连不上网关 {self.url},请检查地址和网络。 The gateway {self.url} does not answer; check address and "
                f"network. ({type(getattr(error, 'reason', error)).__name__})"
            ) from None

    def _https(self) -> list[Any]:
        if self.ca is None:
            return []
        return [HTTPSHandler(context=ssl.create_default_context(cafile=str(self.ca)))]


def _form(boundary: str, file_name: str, content: bytes, fields: Mapping[str, str]) -> bytes:
    # The gateway reads what is said of a file before its bytes.
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
        if value
    ]
    quoted = file_name.replace("\\", "_").replace('"', "%22").replace("\r", " ").replace("\n", " ")
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{quoted}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return b"".join([*parts, head.encode(), content, f"\r\n--{boundary}--\r\n".encode()])


def _sentence(refused: HTTPError) -> str:
    """What the gateway said: the fields when it names some, else its sentence."""
    try:
        problem = json.loads(refused.read())
    except (ValueError, OSError):
        return f"网关答复 {refused.code}。 The gateway answered {refused.code}."
    said = [one.get("message", "") for one in problem.get("violations", [])]
    return " ".join(said) or str(problem.get("detail") or problem.get("title") or refused.code)
