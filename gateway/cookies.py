"""Cookies for a browser: scripts cannot read the tokens, other sites cannot use them.

`zz_access` and `zz_refresh` are HttpOnly and SameSite=Strict, and Secure unless a person tries the system on their own
machine over plain HTTP. `zz_csrf` is for the page's script, which sends it back in X-CSRF-Token with every change.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from werkzeug import Response
from werkzeug.http import parse_cookie

from gateway import source
from services.chassis.refusal import Forbidden
from services.chassis.settings import Settings

ACCESS, REFRESH, CSRF = "zz_access", "zz_refresh", "zz_csrf"
# The refresh token travels to the two addresses that need it and to no other.
REFRESH_PATH = "/v1"
# Longer than any session; the database says when one ends.
LONGEST_S = 30 * 86_400


def access(environ: Mapping[str, Any]) -> str:
    """The access token that a browser sent; "" when it sent none."""
    return _cookie(environ, ACCESS)


def refresh(environ: Mapping[str, Any]) -> str:
    """The refresh token that a browser sent; "" when it sent none."""
    return _cookie(environ, REFRESH)


def give(
    response: Response, environ: Mapping[str, Any], settings: Settings,
    *, access_token: str, refresh_token: str, csrf_token: str, lives_s: int,
) -> None:  # fmt: skip
    """Sets the three cookies."""
    proxies = settings.trusted_proxies
    plain_at_home = not source.is_secure(environ, proxies) and source.is_loopback(environ, proxies)
    more: dict[str, Any] = {"secure": not plain_at_home, "samesite": "Strict"}
    response.set_cookie(ACCESS, access_token, max_age=lives_s, path="/", httponly=True, **more)
    response.set_cookie(REFRESH, refresh_token, max_age=LONGEST_S, path=REFRESH_PATH, httponly=True, **more)
    response.set_cookie(CSRF, csrf_token, max_age=LONGEST_S, path="/", **more)


def take(response: Response) -> None:
    """Removes them from the browser."""
    for name, path in ((ACCESS, "/"), (REFRESH, REFRESH_PATH), (CSRF, "/")):
        response.delete_cookie(name, path=path, samesite="Strict")


def check_csrf(environ: Mapping[str, Any], expected: str, settings: Settings) -> None:
    """Refuses a change that another site made the browser send. Raises Forbidden."""
    check_origin(environ, settings)
    given = str(environ.get("HTTP_X_CSRF_TOKEN") or "")
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise Forbidden(
            "CSRF_TOKEN",
            "请求缺少有效的 X-CSRF-Token,请刷新页面后重试。",
            "The request has no valid X-CSRF-Token; reload the page and try again.",
        )


def check_origin(environ: Mapping[str, Any], settings: Settings) -> None:
    """Refuses a change that comes from a page of another origin. Raises Forbidden."""
    origin = str(environ.get("HTTP_ORIGIN") or "")
    if not origin or origin in settings.cors_origins:
        return
    scheme = "https" if source.is_secure(environ, settings.trusted_proxies) else "http"
    sent = urlsplit(origin)
    if (sent.scheme, sent.netloc) != (scheme, str(environ.get("HTTP_HOST") or "")):
        raise Forbidden(
            "CROSS_ORIGIN",
            "不接受来自其他网站页面的请求。",
            "Requests from pages of another origin are not taken.",
        )


def _cookie(environ: Mapping[str, Any], name: str) -> str:
    header = str(environ.get("HTTP_COOKIE") or "")
    return str(parse_cookie(header).get(name, "")) if header else ""
