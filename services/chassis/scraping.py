"""Metrics for a Prometheus server that comes and asks: the registry it is answered from, and what listens for it.

Names are those of OpenTelemetry as its Prometheus exporter writes them (`rpc.server.call.duration` in seconds becomes
`rpc_server_call_duration_seconds`); infra/otel/metrics.md lists them.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from prometheus_client import CollectorRegistry, start_http_server

log = logging.getLogger(__name__)

# Of the resource, these stand on every series: which tier and which role it is about.
ON_EVERY_SERIES = frozenset({"zongzhi.tier", "service.name"})


class MetricsPortTaken(Exception):
    """The metrics cannot be served where they were told to be."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"无法在 {host}:{port} 提供监控指标:端口已被占用或不是本机地址,请另设 METRICS_PORT 或 METRICS_HOST。 "
            f"Cannot serve metrics on {host}:{port}: the port is taken or the address is not this machine's; "
            "set another METRICS_PORT or METRICS_HOST."
        )


def registry() -> tuple[CollectorRegistry, PrometheusMetricReader]:
    """A registry of this process alone, and the reader that fills it whenever somebody asks."""
    empty = CollectorRegistry()
    reader = PrometheusMetricReader(
        scope_info_enabled=False, resource_attribute_filter=ON_EVERY_SERIES.__contains__, registry=empty
    )
    return empty, reader


class MetricsServer:
    """Serves one registry over HTTP on threads of its own. It shows numbers only and changes nothing."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        self._registry = registry
        self._host = host
        self.port = port
        self._server: Any = None
        self._thread: threading.Thread | None = None

    def start(self) -> int:
        """Listens and answers; returns the port. Raises MetricsPortTaken."""
        try:
            self._server, self._thread = start_http_server(self.port, self._host, self._registry)
        except OSError:
            raise MetricsPortTaken(self._host, self.port) from None
        self.port = int(self._server.server_address[1])
        # A forked worker must not hold the port when this process is gone.
        os.register_at_fork(after_in_child=self._server.socket.close)
        log.info("metrics are served", extra={"fields": {"host": self._host, "port": self.port}})
        return self.port

    def stop(self) -> None:
        """Listens no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
