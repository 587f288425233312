"""What listens for HTTP: Granian for `zongzhi gateway`, cheroot threads inside `zongzhi all`."""

from __future__ import annotations

import functools
import logging
import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

from cheroot import wsgi
from cheroot.server import HTTPRequest
from flask import Flask

from gateway import downloads
from gateway.app import EXTENSION, create_app
from gateway.live import Live
from gateway.metrics import MetricsOfWorkers, WorkerMetrics
from gateway.openapi import version
from gateway.sessions import Signer
from gateway.slow_callers import PATIENCE_S, BodyPlaces, PatientConnection
from services.chassis import datakey, logs, telemetry
from services.chassis.settings import Settings
from services.chassis.tokens import Verifier

log = logging.getLogger("zongzhi.gateway")

BACKLOG = 512
KEPT_CONNECTIONS = 1000
# A gateway that also answers requests keeps no more event streams than these; `--streams` is for many.
STREAMS_BESIDE = 32
# Of the threads that answer requests, uploads leave these to the others, and bodies that arrive slowly too.
THREADS_KEPT = 4
# What the servers read before the gateway can say what is too much; it takes 16 KiB of headers.
LARGEST_HEAD = 64 * 1024
# What is left of a refused body and read, so that its caller hears the answer; then the connection is closed.
LARGEST_REST = 16 * 1024 * 1024
_PIECE = 65536


class PortTaken(Exception):
    """The gateway cannot listen where it was told to."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"无法在 {host}:{port} 监听:端口已被占用或不是本机地址,请停止占用它的程序,或另设 GATEWAY_PORT。 "
            f"Cannot listen on {host}:{port}: the port is taken or the address is not this machine's; "
            "stop what holds it, or set another GATEWAY_PORT."
        )


class _Request(HTTPRequest):  # type: ignore[misc]
    """Reads what is left of a body in pieces; cheroot would take it into memory whole, however long it is."""

    def send_headers(self) -> None:
        """Called once, before the answer."""
        rest, most = self.rfile, LARGEST_REST
        while not self.chunked_read and getattr(rest, "remaining", 0) > 0:
            if rest.remaining > most or not (read := len(rest.read(min(_PIECE, rest.remaining)))):
                self.close_connection = True
                break
            most -= read
        super().send_headers()


class _Connection(PatientConnection):
    RequestHandlerClass = _Request


class CherootServer:
    """The gateway on threads of this process."""

    def __init__(self, app: Flask, host: str, port: int, threads: int = 16, drain_s: float = 4.0) -> None:
        self._app = app
        self._drain_s = drain_s
        self._server = wsgi.Server(
            (host, port),
            app,
            numthreads=threads,
            server_name="zongzhi",
            request_queue_size=BACKLOG,
            shutdown_timeout=max(1, round(drain_s)),
        )
        self._server.version = "zongzhi"
        self._server.ConnectionClass = _Connection
        self._server.max_request_header_size = LARGEST_HEAD
        # By default the eleventh caller's connection would be closed after every answer.
        self._server.keep_alive_conn_limit = KEPT_CONNECTIONS
        self._server.error_log = _log_error  # type: ignore[method-assign,assignment]  # as cheroot documents it
        # Each event stream brings a thread of its own and takes it away again: requests keep theirs.
        self._live = app.extensions[EXTENSION].live
        self._live.when_changed(lambda: self._resize(1), lambda: self._resize(-1))
        # So does each file on its way, whose caller's line may be slow.
        for carrier in (app.extensions[EXTENSION].uploads, app.extensions[EXTENSION].downloads):
            carrier.places.when_changed(lambda: self._resize(1), lambda: self._resize(-1))
        self._resizing, self._streams, self._serving = threading.Lock(), 0, False
        self._thread = threading.Thread(target=self._server.serve, name="gateway", daemon=True)
        self.host = host
        self.port = port

    def start(self) -> int:
        """Listens and answers; returns the port. Raises PortTaken."""
        try:
            self._server.prepare()
        except OSError:
            raise PortTaken(self.host, self.port) from None
        self.port = int(self._server.bind_addr[1])
        self._thread.start()
        self._serving = True
        self._app.extensions[EXTENSION].start()
        log.info("gateway listens", extra={"fields": {"host": self.host, "port": self.port}})
        return self.port

    def stop(self) -> None:
        """Takes no more requests, finishes those in flight, then lets the channels go."""
        self._live.drain()
        with self._resizing:
            self._serving = False
        self._server.stop()
        if self._thread.is_alive():
            self._thread.join(self._drain_s)
        self._app.extensions[EXTENSION].close()

    def _resize(self, by: int) -> None:
        pool = self._server.requests
        with self._resizing:
            self._streams += by
            if not self._serving:
                # A pool that does not run would wait for ever for the threads that it is asked for.
                return
            # `shrink` would take those that have gone already for some that are still to go.
            pool._clear_dead_threads()
            there = len(pool._threads)
            wanted = pool.min + self._streams
            if there < wanted:
                pool.grow(wanted - there)
            else:
                # It counts in those that were asked to go and have not gone yet.
                pool.shrink(there - wanted)


def serve_granian(settings: Settings, workers: int = 1, threads: int = 16, *, streams: bool = False) -> None:
    """Serves until SIGTERM or SIGINT with `workers` processes of `threads` threads; requests in flight are finished.

    With `streams` each process has room for all event streams that STREAMS allows, else for a few.
    """
    places = settings.streams if streams else min(settings.streams, STREAMS_BESIDE)
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.server import Server

    logs.configure_logging("gateway", settings.log_level)
    check_startable(settings)
    metrics = MetricsOfWorkers(settings) if settings.metrics_port else None
    if metrics:
        metrics.start()
    server = Server(
        "gateway",
        settings.gateway_host,
        settings.gateway_port,
        interface=Interfaces.WSGI,
        workers=workers,
        # They come when needed and go when idle. Requests use `threads` of them, streams one each.
        blocking_threads=_turns(threads) + places + downloads.AT_ONCE,
        backlog=BACKLOG,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=round(PATIENCE_S * 1000), max_buffer_size=LARGEST_HEAD),
        websockets=False,
        workers_kill_timeout=max(1, round(settings.drain_s)),
        respawn_failed_workers=True,
        log_dictconfig=_granian_logs(settings.log_level),
    )
    folder = metrics.folder if metrics else None
    try:
        server.serve(target_loader=functools.partial(_load, settings, threads, places, folder), wrap_loader=False)
    finally:
        if metrics:
            metrics.stop()


def check_startable(settings: Settings) -> None:
    """Raises KeysBroken or PortTaken here, once, before worker after worker would end over it with a stack trace."""
    Signer(settings.token_private_key_file)
    Verifier(settings.token_keys_file, settings.tier)
    datakey.load(settings.data_key_file)
    host, port = settings.gateway_host, settings.gateway_port
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError:
        raise PortTaken(host, port) from None


def _load(settings: Settings, threads: int, places: int, metrics: Path | None = None) -> Flask:
    """Runs once in every worker process."""
    logs.configure_logging("gateway", settings.log_level)
    watching = telemetry.configure(
        "gateway", settings.tier, endpoint=settings.otlp_endpoint, version=version(), scraped=metrics is not None
    )
    if metrics is not None and watching.registry is not None:
        WorkerMetrics(watching.registry, metrics).start()
    app = create_app(settings, watching)
    gateway = app.extensions[EXTENSION]
    gateway.live.limit(places)
    # An upload is a request as long as it lasts.
    gateway.uploads.limit(_slow(threads))
    gateway.bodies = BodyPlaces(_slow(threads))
    _drain_at_signal(gateway.live)
    app.wsgi_app = _at_once(app.wsgi_app, _turns(threads))  # type: ignore[method-assign]  # as Flask documents it
    gateway.start()
    return app


def _slow(threads: int) -> int:
    """How many uploads, and how many other bodies, may be on their way at once."""
    return max(1, threads - THREADS_KEPT)


def _turns(threads: int) -> int:
    """Room for as many slow bodies, beside as many uploads, as may be, and for others nevertheless."""
    return threads + _slow(threads)


def _at_once(wsgi: Any, most: int) -> Any:
    """No more requests at once than these; what a stream sends afterwards is not held by it."""
    turns = threading.BoundedSemaphore(most)

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        with turns:
            return wsgi(environ, start_response)

    return application


def _drain_at_signal(live: Live) -> None:
    """Granian waits at SIGTERM for answers to end, so event streams must be told. It sets its own handlers later, and
    a handler of ours would be lost; the interpreter writes every signal into this pipe whoever handles it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def listen() -> None:
        ends = {signal.SIGTERM, signal.SIGINT}
        while (heard := os.read(reader, 1)) and heard[0] not in ends:
            pass
        live.drain()

    threading.Thread(target=listen, name="live-drain", daemon=True).start()


def _log_error(message: str = "", level: int = logging.ERROR, traceback: bool = False) -> None:
    """cheroot would print whole requests to stderr; the first words say what happened."""
    log.log(level, "http server: %s", message.splitlines()[0] if message else "", exc_info=traceback)


def _granian_logs(level: str) -> dict[str, Any]:
    """Granian's own lines go the way of all others instead of to stdout."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "loggers": {"_granian": {"level": level, "handlers": [], "propagate": True}},
    }
