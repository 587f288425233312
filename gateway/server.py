"""What listens for HTTP: Granian for `zongzhi gateway`, cheroot threads inside `zongzhi all`."""

from __future__ import annotations

import functools
import logging
import socket
import threading
from pathlib import Path
from typing import Any

from cheroot import wsgi
from flask import Flask

from gateway.app import EXTENSION, create_app
from gateway.metrics import MetricsOfWorkers, WorkerMetrics
from gateway.openapi import version
from gateway.sessions import Signer
from services.chassis import logs, telemetry
from services.chassis.settings import Settings
from services.chassis.tokens import Verifier

log = logging.getLogger("zongzhi.gateway")

BACKLOG = 512
KEPT_CONNECTIONS = 1000


class PortTaken(Exception):
    """The gateway cannot listen where it was told to."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"无法在 {host}:{port} 监听:端口已被占用或不是本机地址,请停止占用它的程序,或另设 GATEWAY_PORT。 "
            f"Cannot listen on {host}:{port}: the port is taken or the address is not this machine's; "
            "stop what holds it, or set another GATEWAY_PORT."
        )


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
        # By default the eleventh caller's connection would be closed after every answer.
        self._server.keep_alive_conn_limit = KEPT_CONNECTIONS
        self._server.error_log = _log_error  # type: ignore[method-assign,assignment]  # as cheroot documents it
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
        log.info("gateway listens", extra={"fields": {"host": self.host, "port": self.port}})
        return self.port

    def stop(self) -> None:
        """Takes no more requests, finishes those in flight, then lets the channels go."""
        self._server.stop()
        if self._thread.is_alive():
            self._thread.join(self._drain_s)
        self._app.extensions[EXTENSION].close()


def serve_granian(settings: Settings, workers: int = 1, threads: int = 16) -> None:
    """Serves until SIGTERM or SIGINT with `workers` processes of `threads` threads; requests in flight are finished."""
    from granian.constants import HTTPModes, Interfaces
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
        blocking_threads=threads,
        backlog=BACKLOG,
        http=HTTPModes.http1,
        websockets=False,
        workers_kill_timeout=max(1, round(settings.drain_s)),
        respawn_failed_workers=True,
        log_dictconfig=_granian_logs(settings.log_level),
    )
    try:
        server.serve(
            target_loader=functools.partial(_load, settings, metrics.folder if metrics else None), wrap_loader=False
        )
    finally:
        if metrics:
            metrics.stop()


def check_startable(settings: Settings) -> None:
    """Raises KeysBroken or PortTaken here, once, before worker after worker would end over it with a stack trace."""
    Signer(settings.token_private_key_file)
    Verifier(settings.token_keys_file, settings.tier)
    host, port = settings.gateway_host, settings.gateway_port
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError:
        raise PortTaken(host, port) from None


def _load(settings: Settings, metrics: Path | None = None) -> Flask:
    """Runs once in every worker process."""
    logs.configure_logging("gateway", settings.log_level)
    watching = telemetry.configure(
        "gateway", settings.tier, endpoint=settings.otlp_endpoint, version=version(), scraped=metrics is not None
    )
    if metrics is not None and watching.registry is not None:
        WorkerMetrics(watching.registry, metrics).start()
    return create_app(settings, watching)


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
