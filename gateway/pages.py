"""What no proto declares: signing in, probes, the API document and its page for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from werkzeug import Response

from gateway import citizen_pages, docs, openapi
from gateway.routes import Route
from gateway.session_pages import SessionPages

JSON = "application/json; charset=utf-8"
HERE = Path(__file__).parent
DOCS_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@dataclass(frozen=True)
class Page:
    """Something at a fixed address, open to everyone."""

    method: str
    path: str
    show: Callable[[Mapping[str, Any]], Response]


class Pages:
    """The gateway's own addresses."""

    def __init__(
        self, routes: Sequence[Route], sessions: SessionPages, health: Callable[[], dict[str, str]]
    ) -> None:
        self._routes = routes
        self._sessions = sessions
        self._health = health

    def all(self) -> list[Page]:
        """Every page."""
        return [
            *(Page(*one) for one in self._sessions.all()),
            Page("GET", "/healthz", lambda _: _json({"status": "ok"})),
            Page("GET", "/readyz", self._ready),
            Page("GET", "/openapi.json", lambda _: Response(self._openapi_json, content_type=JSON)),
            Page("GET", "/docs", self._docs),
            Page("GET", "/docs/docs.css", lambda _: _static("docs.css", "text/css; charset=utf-8")),
            *(Page("GET", path, partial(_citizen, path)) for path in citizen_pages.FILES),
            Page("GET", "/", lambda _: Response(status=303, headers={"Location": "/docs"})),
        ]

    @cached_property
    def _document(self) -> dict[str, Any]:
        return openapi.document(self._routes)

    @cached_property
    def _openapi_json(self) -> bytes:
        return json.dumps(self._document, ensure_ascii=False).encode()

    @cached_property
    def _docs_page(self) -> str:
        return docs.render(self._document)

    def _docs(self, environ: Mapping[str, Any]) -> Response:
        page = docs.at_origin(self._docs_page, environ)
        return Response(page, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": DOCS_POLICY})

    def _ready(self, _: Mapping[str, Any]) -> Response:
        health = self._health()
        ready = all(status == "serving" for status in health.values())
        return _json({"ready": ready, "services": health}, 200 if ready else 503)


def _citizen(path: str, _: Mapping[str, Any]) -> Response:
    return citizen_pages.show(path)


def _json(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), status, content_type=JSON)


def _static(name: str, content_type: str) -> Response:
    return Response((HERE / name).read_bytes(), content_type=content_type, headers={"Cache-Control": "max-age=300"})
