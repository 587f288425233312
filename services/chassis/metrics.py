"""What a process counts and measures: sent every 15 s, served where METRICS_PORT says. Labels are never personal.

Every metric stands in HISTOGRAMS or INSTRUMENTS and nowhere else; infra/otel/metrics.md is written from them.
"""

import logging
import os
import resource as process_resource
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Metric, MetricReader
from opentelemetry.sdk.resources import Resource

from services.chassis import spans

Reading = float | Mapping[str, float]
Callback = Callable[[], Reading]

# Semantic conventions, RPC and HTTP metrics: boundaries in seconds.
DURATION_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Histogram:
    """How long something took, by labels; its count is the rate, and with `error.type` the errors."""

    metric: str
    description: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Instrument:
    """An observed metric. `label` names the key of a reading that is a mapping; `of_service`: one reading a service."""

    metric: str
    unit: str
    description: str
    label: str = ""
    counter: bool = False
    of_service: bool = True


SERVICE = "service"
HISTOGRAMS = {
    "rpc": Histogram(
        "rpc.server.call.duration",
        "How long calls took to answer",
        (SERVICE, spans.RPC_SYSTEM, spans.RPC_METHOD, spans.RPC_STATUS, spans.ERROR_TYPE),
    ),
    "http": Histogram(
        "http.server.request.duration",
        "How long the gateway took to answer; asking whether it is alive is not counted",
        (spans.HTTP_METHOD, spans.HTTP_ROUTE, spans.HTTP_STATUS, spans.ERROR_TYPE),
    ),
    "process": Histogram(
        "messaging.process.duration",
        "How long events took to apply",
        (SERVICE, spans.EVENT_TYPE, spans.ERROR_TYPE),
    ),
}
INSTRUMENTS = {
    "outbox_depth": Instrument("zongzhi.outbox.depth", "{row}", "Rows not yet confirmed", "destination"),
    "outbox_age_s": Instrument("zongzhi.outbox.age", "s", "Age of the oldest row not yet confirmed", "destination"),
    "inbox_depth": Instrument("zongzhi.inbox.depth", "{event}", "Received events not yet applied"),
    "inbox_age_s": Instrument("zongzhi.inbox.age", "s", "Age of the oldest received event not yet applied"),
    "held": Instrument("zongzhi.inbox.held", "{aggregate}", "Aggregates held after a failed event", "stream"),
    "dead_letters": Instrument("zongzhi.dead_letters", "{message}", "Messages that could not be decoded", "queue"),
    "clocks": Instrument("zongzhi.clocks", "{clock}", "Running time limits by colour", "colour"),
    "spans_dropped": Instrument(
        "zongzhi.telemetry.dropped", "{item}", "Spans and logs lost", "signal", counter=True, of_service=False
    ),
    "build": Instrument("zongzhi.build", "{build}", "1, labelled with the version that runs", "version",
                        of_service=False),
    "process_memory": Instrument("process.memory.usage", "By", "Resident memory", of_service=False),
    "process_cpu": Instrument("process.cpu.time", "s", "Processor time used", counter=True, of_service=False),
    "process_files": Instrument("process.unix.file_descriptor.count", "{file_descriptor}", "Open files and sockets",
                                of_service=False),
}  # fmt: skip


class Meters:
    """The metrics of one process: call durations are recorded, everything else is observed when collected."""

    def __init__(self, resource: Resource, readers: Sequence[MetricReader] = (), dropped: Callback = dict) -> None:
        self._reader = InMemoryMetricReader()
        self._provider = MeterProvider([self._reader, *readers], resource, shutdown_on_exit=False)
        self._callbacks: dict[str, dict[object, tuple[Callback, dict[str, str]]]] = {name: {} for name in INSTRUMENTS}
        self._lock = Lock()
        meter = self._provider.get_meter("zongzhi")
        self._histograms = {
            name: meter.create_histogram(
                histogram.metric, "s", histogram.description, explicit_bucket_boundaries_advisory=DURATION_BUCKETS_S
            )
            for name, histogram in HISTOGRAMS.items()
        }
        for name, instrument in INSTRUMENTS.items():
            create = meter.create_observable_counter if instrument.counter else meter.create_observable_gauge
            create(instrument.metric, [self._observer(name)], instrument.unit, instrument.description)
        self.observe("spans_dropped", dropped)
        self.observe("process_memory", resident_bytes)
        self.observe("process_cpu", time.process_time)
        self.observe("process_files", open_files)
        self.observe("build", lambda: {str(resource.attributes.get("service.version") or "?"): 1})

    def rpc_duration(self, method: str, code: str, seconds: float, service: str = "") -> None:
        """Records one answered call (`pkg.Svc/M`, `OK`); inside its span, so that the exemplar names the trace."""
        labels = {spans.RPC_SYSTEM: "grpc", spans.RPC_METHOD: method.lstrip("/"), spans.RPC_STATUS: code}
        if service:
            labels[SERVICE] = service
        if code in spans.SERVER_ERRORS:
            labels[spans.ERROR_TYPE] = code
        self._histograms["rpc"].record(seconds, labels)

    def http_duration(self, method: str, route: str, status: int, seconds: float) -> None:
        """Records one answered request, by its route: a path may name a case."""
        labels: dict[str, str | int] = {spans.HTTP_METHOD: method, spans.HTTP_ROUTE: route, spans.HTTP_STATUS: status}
        if status >= 500:
            labels[spans.ERROR_TYPE] = str(status)
        self._histograms["http"].record(seconds, labels)

    def process_duration(self, service: str, event_type: str, error: str, seconds: float) -> None:
        """Records one event that a listener acted on; `error` names the failure, "" for none."""
        labels = {SERVICE: service, spans.EVENT_TYPE: event_type}
        if error:
            labels[spans.ERROR_TYPE] = error
        self._histograms["process"].record(seconds, labels)

    def observe(self, name: str, callback: Callback, **labels: str) -> Callable[[], None]:
        """Asks `callback` for the value of `name` at each collection; the returned function ends that.

        A callback gives a number, or numbers by the metric's label ({"amber": 3}). KeyError for an unknown name.
        """
        key = object()
        with self._lock:
            self._callbacks[name][key] = (callback, labels)
        return lambda: self._forget(name, key)

    def collect(self) -> dict[str, dict[str, float]]:
        """Every metric now: {"zongzhi.clocks": {"colour=amber,service=petition": 3}}; histograms as .count and .sum."""
        data = self._reader.get_metrics_data()
        found: dict[str, dict[str, float]] = {}
        for metric in (m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics) if data else ():
            for name, labels, value in _points(metric):
                found.setdefault(name, {})[labels] = value
        return found

    def shutdown(self, timeout_s: float) -> None:
        """Sends a last time and stops, within `timeout_s`."""
        self._provider.shutdown(timeout_s * 1000)

    def _forget(self, name: str, key: object) -> None:
        with self._lock:
            self._callbacks[name].pop(key, None)

    def _observer(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observations(_: CallbackOptions) -> Iterable[Observation]:
            with self._lock:
                callbacks = list(self._callbacks[name].values())
            return [one for callback, labels in callbacks for one in _ask(name, callback, labels)]

        return observations


def resident_bytes() -> int:
    """Resident memory of this process in bytes; where /proc is missing, its peak."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return process_resource.getrusage(process_resource.RUSAGE_SELF).ru_maxrss * 1024


def open_files() -> int:
    """Open files and sockets of this process; 0 where /proc is missing."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0


def _ask(name: str, callback: Callback, labels: dict[str, str]) -> list[Observation]:
    """One failing callback (its database is away) must not hide the other metrics."""
    try:
        reading = callback()
    except Exception:
        _log.warning("metric cannot be read", exc_info=True, extra={"fields": {"metric": name}})
        return []
    if isinstance(reading, Mapping):
        label = INSTRUMENTS[name].label
        return [Observation(value, {**labels, label: key}) for key, value in reading.items()]
    return [Observation(reading, labels)]


def _points(metric: Metric) -> Iterable[tuple[str, str, float]]:
    for point in metric.data.data_points:
        labels = ",".join(f"{key}={value!s}" for key, value in sorted((point.attributes or {}).items()))
        if hasattr(point, "value"):
            yield metric.name, labels, point.value
        elif hasattr(point, "count"):
            yield f"{metric.name}.count", labels, point.count
            yield f"{metric.name}.sum", labels, point.sum
