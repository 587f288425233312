"""Answers Kubernetes' gRPC probes on a port of its own, in plain text: the kubelet speaks neither TLS nor tokens.

    live    the process answers; asks nothing else, so that a database that is away restarts nobody
    ready   every part that was expected says so, that is: its own database answers

Its threads are its own too: a service that has all hands full is busy, not dead.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

log = logging.getLogger(__name__)

LIVE, READY = "live", "ready"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class HealthPortTaken(Exception):
    """The probes cannot be answered where they were told to be."""


class HealthPort:
    """The health of one process. Started before its parts and stopped after them."""

    def __init__(self, host: str, port: int) -> None:
        self._address = f"{host}:{port}"
        self.port = port
        self._servicer = health.HealthServicer()
        # By default two processes may share one port, and a probe would ask either.
        options = [("grpc.so_reuseport", 0)]
        self._server = grpc.server(ThreadPoolExecutor(2, thread_name_prefix="health"), options=options)
        self._parts: dict[str, bool] = {}
        self._lock = threading.Lock()

    def expect(self, part: str) -> Callable[[bool], None]:
        """From now on the process is ready only when this part says so; the returned function tells it."""
        self._told(part, False)
        return lambda ready: self._told(part, ready)

    def start(self) -> int:
        """Listens and answers; returns the port. Raises HealthPortTaken."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, self._server)
        self._servicer.set(LIVE, SERVING)
        try:
            self.port = self._server.add_insecure_port(self._address)
        except RuntimeError:
            raise HealthPortTaken(
                f"无法在 {self._address} 应答探针:端口已被占用或不是本机地址,请另设 HEALTH_PORT 或 HEALTH_HOST。 "
                f"Cannot answer probes on {self._address}: the port is taken or the address is not this machine's; "
                "set another HEALTH_PORT or HEALTH_HOST."
            ) from None
        self._server.start()
        log.info("probes are answered", extra={"fields": {"port": self.port}})
        return self.port

    def stop(self) -> None:
        """Answers no more."""
        self._servicer.enter_graceful_shutdown()
        self._server.stop(0).wait()

    def _told(self, part: str, ready: bool) -> None:
        with self._lock:
            self._parts[part] = ready
            self._servicer.set(READY, SERVING if all(self._parts.values()) else NOT_SERVING)
