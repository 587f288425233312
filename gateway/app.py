"""The gateway as a WSGI application: prove the caller, read the request, ask the service, write the answer.

Flask gives the application and its context; finding a route, reading and writing JSON are compiled from the contracts.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from flask import Flask, request
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from opentelemetry import trace
from werkzeug import Response

from gateway import documents, inside, json_out, problems, reading, routes
from gateway.accounts import wiring
from gateway.accounts.keeping import Keeper
from gateway.downloads import Downloads
from gateway.guards import Guards
from gateway.limits import SOURCE, Limits, kind_of
from gateway.live import STREAMS, Live, Stream
from gateway.pages import Page, Pages
from gateway.paths import Paths, compile_template
from gateway.problems import HttpRefusal
from gateway.roles import PUBLIC
from gateway.routes import Route
from gateway.session_pages import SessionPages
from gateway.sessions import AUDIENCE, Sessions, Signer
from gateway.slow_callers import BodyPlaces
from gateway.stubs import Stubs, open_channels
from gateway.uploads import Uploads
from services.chassis import datakey, spans, statuses, troubles
from services.chassis.database import Database
from services.chassis.identity import Identity
from services.chassis.metrics import Meters
from services.chassis.refusal import Exhausted, NotFound, Refusal, Unauthenticated
from services.chassis.settings import Settings
from services.chassis.telemetry import Telemetry, use_traceparent
from services.chassis.tokens import Verifier

log = logging.getLogger("zongzhi.gateway")

# What a log line or span calls a path that is nobody's: the path itself may hold anything.
NO_ROUTE = "(none)"
# Asked every few seconds by machines; a line each would bury the rest.
QUIET = frozenset({"/healthz", "/readyz"})
EXTENSION = "zongzhi"


def create_app(
    settings: Settings,
    telemetry: Telemetry | None = None,
    *,
    services: Sequence[ServiceDescriptor] | None = None,
    channels: Mapping[str, grpc.Channel] | None = None,
    signer: Signer | None = None,
    verifier: Verifier | None = None,
    db: Database | None = None,
) -> Flask:
    """The application. `services` are all that the contracts declare and `channels` lead there, unless given.

    Raises KeysBroken, BadTemplate or SettingsMissing at the start rather than at the first request.
    """
    tracer = telemetry.tracer("gateway") if telemetry else trace.NoOpTracer()
    served = routes.served() if services is None else services
    found = routes.routes_of(served)
    asked = inside.neighbours(served)
    stubs = Stubs(asked, channels if channels is not None else open_channels(settings, asked, tracer))
    db, key = db or wiring.open_database(settings), datakey.load(settings.data_key_file)
    signer = signer or Signer(settings.token_private_key_file)
    verifier = verifier or Verifier(settings.token_keys_file, settings.tier)
    sessions = Sessions(signer, verifier, settings, db, key.hash_key)
    accounts = wiring.servicer(settings, db, sessions, signer, stubs.channels, key.seal_key)
    ours = SessionPages(sessions, db, settings, frozenset({*stubs.channels, AUDIENCE}))
    pages = Pages(found, ours, lambda: {**stubs.health(), "gateway": wiring.health(db)})
    guards = Guards(settings)
    gateway = Gateway(
        found, pages, sessions, stubs, tracer, guards, Limits(settings), telemetry.meters if telemetry else None
    )
    gateway.inside = inside.Inside({"accounts": accounts}, tracer)
    gateway.keeper = Keeper(db, settings)
    gateway.live = Live(found, sessions, stubs, settings)
    app = Flask("gateway", static_folder=None, template_folder=None)
    # Before Flask's own routing, which would answer in HTML what it does not know.
    app.before_request(gateway.handle)
    app.extensions[EXTENSION] = gateway
    app.wsgi_app = guards.wrap(app.wsgi_app)  # type: ignore[method-assign]  # as Flask documents it
    return app


class Gateway:
    """What answers requests; one for all threads."""

    def __init__(
        self,
        found: Sequence[Route],
        pages: Pages,
        sessions: Sessions,
        stubs: Stubs,
        tracer: trace.Tracer,
        guards: Guards,
        limits: Limits,
        meters: Meters | None = None,
    ) -> None:
        self.routes = tuple(found)
        self._paths: Paths[Route | Page | Stream] = Paths()
        for route in found:
            self._paths.add(route.http_method, route.template, route)
        for page in pages.all():
            self._paths.add(page.method, compile_template(page.path), page)
        # Set by `create_app`: what this process answers itself, and what it does beside requests.
        self.inside: inside.Inside
        self.keeper: Keeper
        self.live: Live
        for stream in STREAMS:
            self._paths.add(stream.method, compile_template(stream.path), stream)
        self._sessions = sessions
        self._stubs = stubs
        self.uploads, self.downloads = Uploads(stubs), Downloads(stubs)
        self._tracer = tracer
        self._guards = guards
        self._limits = limits
        self.bodies = BodyPlaces()
        self._meters = meters

    def handle(self) -> Response:
        """Answers the request that Flask is serving."""
        environ, began = request.environ, time.perf_counter()
        method = environ["REQUEST_METHOD"]
        target, variables, allowed = self._find("GET" if method == "HEAD" else method, environ.get("PATH_INFO", ""))
        route = target.path if target else NO_ROUTE
        with (
            use_traceparent(environ.get("HTTP_TRACEPARENT")),
            spans.http_server_span(self._tracer, method, route) as span,
        ):
            response = self._answer(environ, target, variables, allowed)
            spans.set_http_status(span, response.status_code)
            self._finish(response, method, route, began)
        return response

    def start(self) -> None:
        """Begins what goes on beside requests; called in the process that serves."""
        self.keeper.start()

    def close(self) -> None:
        """Ends that, and lets go of the channels."""
        self.live.close()
        self.keeper.stop()
        self._stubs.close()

    def _find(self, method: str, raw_path: str) -> tuple[Route | Page | Stream | None, dict[str, str], list[str]]:
        try:
            path = raw_path if raw_path.isascii() else raw_path.encode("latin-1").decode()
        except UnicodeError:
            return None, {}, []
        fits = self._paths.find(path)
        for methods, variables in fits:
            if method in methods:
                return methods[method][1], variables, []
        return None, {}, sorted({name for methods, _ in fits for name in methods})

    def _answer(
        self,
        environ: Mapping[str, Any],
        target: Route | Page | Stream | None,
        variables: dict[str, str],
        allowed: list[str],
    ) -> Response:
        try:
            self._guards.check(environ)
            if isinstance(target, Route):
                return self._call(target, environ, variables)
            if isinstance(target, Stream):
                return self.live.open(target, environ, variables)
            if target:
                return self._show(target, environ)
            if allowed and environ["REQUEST_METHOD"] == "OPTIONS":
                return self._guards.of_options(environ, allowed)
            self._limits.admit_source(SOURCE, environ)
            return _nothing_there(allowed)
        except HttpRefusal as refusal:
            return problems.answer(problems.of_http(refusal), **refusal.headers)
        except Unauthenticated as refusal:
            return problems.answer(problems.of_refusal(self._counted(refusal, environ)))
        except Refusal as refusal:
            return problems.answer(problems.of_refusal(refusal))
        except grpc.RpcError as error:
            return problems.answer(problems.of_rich_error(statuses.parse(error)))
        except Exception as error:
            if (passing := troubles.refusal_of(error)) is not None:
                log.warning("request failed for now", extra={"fields": {"reason": passing.reason}})
                return problems.answer(problems.of_refusal(passing))
            # The log says where; its text might quote personal data, so callers get the trace id only.
            log.exception("request failed")
            return problems.answer(problems.internal())

    def _call(self, route: Route, environ: Mapping[str, Any], variables: dict[str, str]) -> Response:
        identity = self._caller(route, environ)
        if route.transfer == routes.DOWNLOAD:
            # A long file outlives the token with which it began.
            token = functools.partial(self._sessions.internal_token, identity, route.service)
            return self.downloads.answer(route, environ, variables, token)
        if route.transfer == routes.UPLOAD:
            token_now = self._sessions.internal_token(identity, route.service)
            return _json(self.uploads.carry(route, environ, variables, token_now), "", 202 if route.accepted else 200)
        with self.bodies.taken(environ):
            message = reading.request_of(route, environ, variables)
        if self.inside.answers(route):
            reply = self.inside.call(route, message, self._sessions.vouched(identity))
        else:
            token_now = self._sessions.internal_token(identity, route.service)
            source = self._guards.place(environ) if identity.account == PUBLIC else ""
            reply = self._stubs.call(route, message, token_now, source)
        if documents.is_document(route.method.output_type):
            return documents.answer(reply)
        return _json(reply, route.response_body)

    def _caller(self, route: Route, environ: Mapping[str, Any]) -> Identity:
        """Who calls, and that they do not call too often."""
        identity = self._sessions.caller(environ, open_to_all=route.access.open)
        if identity.account == PUBLIC:
            self._limits.admit_source(kind_of(route.http_method, route.path), environ)
        else:
            self._limits.admit_account(identity.account)
        return identity

    def _counted(self, refusal: Refusal, environ: Mapping[str, Any]) -> Refusal:
        """What somebody hears whose sign-in is not accepted: after too many of those, that there were too many."""
        try:
            self._limits.admit_source(SOURCE, environ)
        except Exhausted as exhausted:
            return exhausted
        return refusal

    def _show(self, page: Page, environ: Mapping[str, Any]) -> Response:
        if page.path not in QUIET:
            self._limits.admit_source(kind_of(page.method, page.path), environ)
        with self.bodies.taken(environ):
            return page.show(environ)

    def _finish(self, response: Response, method: str, route: str, began: float) -> None:
        response.headers["X-Trace-Id"] = problems.trace_id()
        if route in QUIET and response.status_code == 200:
            return
        method = method if method in spans.HTTP_METHODS else "_OTHER"
        seconds = time.perf_counter() - began
        if self._meters:
            self._meters.http_duration(method, route, response.status_code, seconds)
        fields = {"method": method, "route": route, "status": response.status_code, "ms": round(seconds * 1000, 1)}
        # All four come from closed sets, so the scrubber need not look for phone numbers in them.
        log.info("request", extra={"fields": fields, "scrubbed": True})


def _json(reply: Message, response_body: str, status: int = 200) -> Response:
    text = json_out.dumps(reply, response_body)
    return Response(text, status, content_type="application/json; charset=utf-8")


def _nothing_there(allowed: list[str]) -> Response:
    if allowed:
        listed = ", ".join([*allowed, "HEAD"] if "GET" in allowed else allowed)
        raise HttpRefusal(
            "METHOD_NOT_ALLOWED", f"此处只接受 {listed}。", f"Only {listed} is accepted here.", Allow=listed
        )
    raise NotFound(
        "PATH_UNKNOWN",
        "没有这个网址,请对照接口文档 /docs。",
        "There is nothing at this address; /docs lists what there is.",
    )
