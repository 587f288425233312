"""The gRPC server of one service: threads and limits, health by its own database, reflection, and an orderly end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.chassis import tls
from services.chassis.interceptors import Pipeline
from services.chassis.readiness import Readiness
from services.chassis.service import Service
from services.chassis.telemetry import Telemetry
from services.chassis.tokens import Verifier

log = logging.getLogger(__name__)

LARGEST_REQUEST = 4 * 1024 * 1024

OPTIONS: list[tuple[str, int]] = [
    # By default two servers may share one port, and calls would go to either.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", LARGEST_REQUEST),
    # By default gRPC reads megabytes of each stream ahead of the handler that writes them down.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 256 * 1024),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # Without it a frozen peer is noticed after 60 s, whatever keepalive says.
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Clients ping every 10 s; the default would send them away for it.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    # Clients look names up anew when a connection ends, and so find replicas that were added.
    ("grpc.max_connection_age_ms", 300_000),
    ("grpc.max_connection_age_grace_ms", 30_000),
]


class PortTaken(Exception):
    """The server cannot listen where it was told to."""


class GrpcServer:
    """Answers the calls of one service. It is healthy while the service's own database answers, nothing else counts."""

    def __init__(
        self,
        service: Service,
        verifier: Verifier,
        telemetry: Telemetry | None = None,
        tell: Callable[[bool], None] = lambda _ready: None,
    ) -> None:
        """`tell` hears whenever the service becomes ready or ceases to be."""
        settings = service.settings
        self.service = service
        # The port that it listens on, once started.
        self.port = 0
        self._pool = ThreadPoolExecutor(settings.grpc_threads, thread_name_prefix=f"{service.name}-rpc")
        self._server = grpc.server(
            self._pool,
            interceptors=[Pipeline(service.name, verifier, telemetry)],
            options=OPTIONS,
            maximum_concurrent_rpcs=settings.grpc_max_concurrent,
        )
        self._health = health.HealthServicer()
        self._tell = tell
        self._readiness = Readiness(service, self._tell_health)
        self._stopped = False

    def start(self) -> int:
        """Listens and answers; returns the port. Raises PortTaken. It does not wait for a database that is away."""
        self.service.join(self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (*self.service.grpc_names, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        self.port = self._listen()
        self._readiness.start()
        self._server.start()
        log.info("grpc server listens", extra={"fields": {"service": self.service.name, "port": self.port}})
        return self.port

    def stop(self, grace_s: float | None = None) -> None:
        """Ends within `grace_s` (DRAIN_S): health says so, new calls are refused, calls in flight are finished."""
        if self._stopped:
            return
        self._stopped = True
        self._readiness.stop()
        self._tell(False)
        self._health.enter_graceful_shutdown()
        self._server.stop(self.service.settings.drain_s if grace_s is None else grace_s).wait()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _listen(self) -> int:
        address = f"{self.service.settings.grpc_host}:{self.service.settings.grpc_port}"
        try:
            port = self._add_port(address)
        except RuntimeError:
            port = 0
        if not port:
            raise PortTaken(
                f"无法在 {address} 监听:端口已被占用或不是本机地址,请停止占用它的程序,或另设 GRPC_PORT、GRPC_HOST。 "
                f"Cannot listen on {address}: the port is taken or the address is not this machine's; "
                "stop what holds it, or set another GRPC_PORT or GRPC_HOST."
            )
        return port

    def _add_port(self, address: str) -> int:
        folder = self.service.settings.grpc_tls_dir
        if folder is None:
            return self._server.add_insecure_port(address)
        return self._server.add_secure_port(address, tls.server_credentials(folder))

    def _tell_health(self, ready: bool) -> None:
        status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", *self.service.grpc_names):
            self._health.set(name, status)
        self._tell(ready)
