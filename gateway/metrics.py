"""One metrics address for all of the gateway's worker processes.

    Prometheus ──HTTP──▶ first process (METRICS_PORT) ──socket file──▶ worker 0, worker 1, …

Each worker counts for itself. It takes the lowest free number and tells its numbers through a socket file of that
number; the first process asks all of them and adds the label `worker`. A worker that died gives its number to the next
one, whose counters begin anew: to Prometheus an ordinary restart. Ports shared by workers would answer with the numbers
of one of them, a different one each time.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from services.chassis.scraping import MetricsServer
from services.chassis.settings import Settings

log = logging.getLogger("zongzhi.gateway")

LABEL = "worker"
MOST_WORKERS = 256
# A worker that does not tell its numbers in this time is left out of one answer.
PATIENCE_S = 2.0


class WorkerMetrics:
    """The numbers of one worker process, told to whoever connects to its socket file."""

    def __init__(self, registry: CollectorRegistry, folder: Path) -> None:
        self._registry = registry
        self._folder = folder

    def start(self) -> None:
        """Takes a number and answers from a thread; both end with the process."""
        self._number, self._lock = _free_number(self._folder)
        path = self._folder / f"{self._number}.sock"
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._answer, name="metrics", daemon=True).start()

    def _answer(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                connection, _ = self._listener.accept()
                with connection:
                    connection.settimeout(PATIENCE_S)
                    connection.sendall(generate_latest(self._registry))


class MetricsOfWorkers:
    """Serves the numbers of all workers on METRICS_PORT, from the process that started them."""

    def __init__(self, settings: Settings) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="zongzhi-metrics-"))
        registry = CollectorRegistry()
        registry.register(_Workers(self.folder))
        self._server = MetricsServer(registry, settings.metrics_host, settings.metrics_port)
        self.port = settings.metrics_port

    def start(self) -> int:
        """Listens; returns the port. Raises MetricsPortTaken."""
        try:
            self.port = self._server.start()
            return self.port
        except Exception:
            self.stop()
            raise

    def stop(self) -> None:
        """Listens no more and removes the socket files."""
        self._server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class _Workers(Collector):
    """What the workers say, as one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        """Every worker's metrics, labelled with its number."""
        found: dict[str, Metric] = {}
        for path in sorted(self._folder.glob("*.sock")):
            for family in _of_worker(path):
                merged = found.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                merged.samples += [s._replace(labels={**s.labels, LABEL: path.stem}) for s in family.samples]
        yield from found.values()


def _of_worker(path: Path) -> Iterable[Metric]:
    """One worker's metrics; none when it has just ended."""
    told = bytearray()
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_S)
            connection.connect(str(path))
            while piece := connection.recv(1 << 16):
                told += piece
    except OSError as error:
        log.debug("a worker does not tell its metrics", extra={"fields": {"error": type(error).__name__}})
        return []
    return list(text_string_to_metric_families(told.decode()))


def _free_number(folder: Path) -> tuple[int, object]:
    """The lowest number no living worker has, and the lock that says so; it falls with the process, however it ends."""
    for number in range(MOST_WORKERS):
        lock = (folder / f"{number}.lock").open("w")
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return number, lock
        lock.close()
    raise RuntimeError(f"more than {MOST_WORKERS} workers")
