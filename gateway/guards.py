"""What a request must be before anybody reads it, and the headers that every answer carries.

The servers below have limits of their own, a little wider, for what never becomes a request (`gateway/server.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from werkzeug import Response

from gateway import source
from gateway.problems import HttpRefusal
from services.chassis.settings import Settings

LONGEST_PATH = 2048
LONGEST_QUERY = 8192
MOST_HEADERS = 100
LARGEST_HEADERS = 16 * 1024
HSTS = "max-age=31536000"
EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
# What scripts of an allowed origin may send and read; cookies never cross.
_CORS_HEADERS = "Authorization, Content-Type, If-None-Match, If-Range, Last-Event-ID, Range, traceparent"
_CORS_EXPOSED = "Content-Disposition, Content-Range, ETag, Retry-After, X-Trace-Id"
_CORS_KEPT_S = "600"
# Probes come by address, not by name.
_PROBES = frozenset({"/healthz", "/readyz"})

Pairs = list[tuple[str, str]]


class Guards:
    """The same for all requests; the settings say which hosts and origins there are."""

    def __init__(self, settings: Settings) -> None:
        self._hosts = frozenset(settings.allowed_hosts)
        self._origins = frozenset(settings.cors_origins)
        self._trusted = settings.trusted_proxies

    def check(self, environ: Mapping[str, Any]) -> None:
        """Raises HttpRefusal for what is too large, encoded or meant for somebody else."""
        if self._hosts and environ.get("PATH_INFO") not in _PROBES:
            self._check_host(str(environ.get("HTTP_HOST", "")))
        # Characters of the path as it was sent: WSGI gives one for each byte.
        if len(environ.get("PATH_INFO", "")) > LONGEST_PATH or len(environ.get("QUERY_STRING", "")) > LONGEST_QUERY:
            raise HttpRefusal(
                "URI_TOO_LONG",
                f"网址过长:路径最多 {LONGEST_PATH} 字节,查询最多 {LONGEST_QUERY} 字节。",
                f"The address is too long: at most {LONGEST_PATH} bytes of path and {LONGEST_QUERY} of query.",
            )
        _check_headers(environ)
        if environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
            raise HttpRefusal(
                "UNSUPPORTED_MEDIA_TYPE",
                "请求内容不能压缩,请去掉 Content-Encoding 后原样发送。",
                "Send the body uncompressed, without Content-Encoding.",
                Accept_Encoding="identity",
            )

    def of_options(self, environ: Mapping[str, Any], methods: Sequence[str]) -> Response:
        """What may be done at this address; for a browser that asks before it sends, who may do it."""
        listed = ", ".join(sorted({*methods, "OPTIONS", *(("HEAD",) if "GET" in methods else ())}))
        response = Response(status=204, headers={"Allow": listed})
        response.headers.pop("Content-Type", None)
        if "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ and self._is_allowed_origin(environ):
            response.headers["Access-Control-Allow-Methods"] = listed
            response.headers["Access-Control-Allow-Headers"] = _CORS_HEADERS
            response.headers["Access-Control-Max-Age"] = _CORS_KEPT_S
        return response

    def headers_for(self, environ: Mapping[str, Any]) -> Pairs:
        """What this answer carries beside what all carry."""
        found: Pairs = []
        if source.is_secure(environ, self._trusted):
            found.append(("Strict-Transport-Security", HSTS))
        if self._origins:
            # Also to others: a cache between must not give one origin's answer to the next.
            found.append(("Vary", "Origin"))
            if self._is_allowed_origin(environ):
                found.append(("Access-Control-Allow-Origin", environ["HTTP_ORIGIN"]))
                found.append(("Access-Control-Expose-Headers", _CORS_EXPOSED))
        return found

    def place(self, environ: Mapping[str, Any]) -> str:
        """The address that a request comes from."""
        return source.address(environ, self._trusted)

    def wrap(self, wsgi: Any) -> Any:
        """Adds the headers to every answer, unless it brings its own; as plain pairs, which is fast."""
        everywhere = [(name, value, name.lower()) for name, value in EVERYWHERE.items()]

        def application(environ: dict[str, Any], start_response: Any) -> Any:
            def start(status: str, headers: Pairs, *error: Any) -> Any:
                given = {name.lower() for name, _ in headers}
                added = [(name, value) for name, value, lower in everywhere if lower not in given]
                return start_response(status, headers + added + self.headers_for(environ), *error)

            return wsgi(environ, start)

        return application

    def _is_allowed_origin(self, environ: Mapping[str, Any]) -> bool:
        return environ.get("HTTP_ORIGIN") in self._origins

    def _check_host(self, host: str) -> None:
        name = host.lower()
        if name in self._hosts or name.rpartition(":")[0] in self._hosts:
            return
        raise HttpRefusal(
            "MISDIRECTED",
            "此处不是所请求的主机名,请核对网址;新的域名由管理员加入 ALLOWED_HOSTS。",
            "This is not the host you asked for; check the address. Administrators add new names to ALLOWED_HOSTS.",
        )


def _check_headers(environ: Mapping[str, Any]) -> None:
    sizes = [len(name) + len(value) for name, value in environ.items() if name[:5] == "HTTP_" and type(value) is str]
    if len(sizes) > MOST_HEADERS or sum(sizes) > LARGEST_HEADERS:
        raise HttpRefusal(
            "HEADERS_TOO_LARGE",
            f"请求头过多或过大:最多 {MOST_HEADERS} 个,共 {LARGEST_HEADERS // 1024} KiB。",
            f"Too many or too large headers: at most {MOST_HEADERS}, of {LARGEST_HEADERS // 1024} KiB in all.",
        )
