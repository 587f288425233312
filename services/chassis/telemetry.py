"""Traces, metrics and logs of one process, sent by OTLP over HTTP; telemetry never delays or stops the work.

A process calls `configure` once. It may hold several services (`zongzhi all`): each gets a tracer provider of its own,
so that its spans carry its own service.name, while queue, thread and connection are shared. A collector that restarts
costs nothing: what it did not take is kept and sent again. One that is away for long, slow or mute costs spans (they
are counted as dropped), never time.

Trace context is read and written by the library's W3C propagator: 3.3 µs to read and 1.4 µs to write, against 1.4 µs
and 1.0 µs for hand-written code, of about 30 µs for a whole span: not worth a second parser that could be wrong.
`tracestate` and baggage are not carried: a caller outside could put personal data there.
"""

import atexit
import contextlib
import logging
import os
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from opentelemetry import context as otel_context
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    ReadableSpan,
    SpanLimits,
    SpanProcessor,
    SynchronousMultiSpanProcessor,
    TracerProvider,
)
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import NoOpTracer, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.chassis.logs import OtlpHandler, Scrubber
from services.chassis.metrics import Meters
from services.chassis.refusal import Refusal
from services.chassis.spans import parent_context, type_name

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

EXPORT_TIMEOUT_S = 2.0
METRIC_INTERVAL_S = 15.0
QUEUE_SIZE = 4096
BATCH_SIZE = 512
BATCH_INTERVAL_S = 1.0
# What a collector did not take is offered again for this long, as far as the queue holds it.
KEEP_S = 300.0
# A relay's batch links to every row it sends, more than the library's 128.
LIMITS = SpanLimits(max_links=256)

_W3C = TraceContextTextMapPropagator()
_log = logging.getLogger(__name__)

Item = TypeVar("Item")
Sent = TypeVar("Sent", contravariant=True)


class _Exporter(Protocol[Sent]):
    def export(self, batch: Sequence[Sent], /) -> object: ...
    def shutdown(self) -> None: ...


def current_traceparent() -> str:
    """The W3C traceparent of the running span, as an outbox row or a call carries it; "" outside of any span."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get("traceparent", "")


@contextmanager
def use_traceparent(traceparent: str | None) -> Iterator[None]:
    """Makes `traceparent` the parent of spans begun inside; a missing or malformed one changes nothing."""
    context = parent_context(traceparent)
    if context is None:
        yield
        return
    token = otel_context.attach(context)
    try:
        yield
    finally:
        otel_context.detach(token)


class Batch(Generic[Item]):
    """A bounded queue and the native thread that exports it; what does not fit or is refused is counted, then lost.

    What could not be handed over because the collector was away goes back to the head of the queue. The library's
    batch processor does not say how much it dropped and waits up to 30 s at shutdown.
    The thread keeps working in the nameko worker, where eventlet patches sockets but not threads.
    """

    def __init__(
        self, name: str, exporter: _Exporter[Item], size: int = QUEUE_SIZE, refused: Callable[[], bool] = lambda: False
    ) -> None:
        self.dropped = 0
        self._name = name
        self._exporter = exporter
        self._size = size
        # Whether the last export failed because the collector does not want it, and never will.
        self._refused = refused
        self._queue: deque[Item] = deque()
        self._failing = False
        self._failing_since = 0.0
        self._begin()
        method = weakref.WeakMethod(self._restart)
        os.register_at_fork(after_in_child=lambda: (restart := method()) and restart())

    def _begin(self) -> None:
        self._wake = Event()
        self._flushes: deque[Event] = deque()
        self._give_up_at: float | None = None
        self._thread = Thread(target=self._run, name=f"telemetry-{self._name}", daemon=True)
        self._thread.start()

    def _restart(self) -> None:
        """A forked child has the queue but not the thread; what was queued belongs to the parent."""
        self._queue.clear()
        if self._give_up_at is None:
            self._begin()

    def put(self, item: Item) -> None:
        """Queues one item; never blocks."""
        if len(self._queue) >= self._size or self._give_up_at is not None:
            self.dropped += 1
            return
        self._queue.append(item)
        # While the collector is away it is asked once an interval, however much there is to tell.
        if len(self._queue) >= BATCH_SIZE and not self._failing:
            self._wake.set()

    def flush(self, timeout_s: float) -> bool:
        """Whether all that was queued before this call has been handed to the exporter in time."""
        done = Event()
        self._flushes.append(done)
        self._wake.set()
        return done.wait(timeout_s)

    def stop(self, timeout_s: float) -> None:
        """Lets the thread send what is left; `join` waits for it."""
        self._give_up_at = time.monotonic() + timeout_s
        self._wake.set()

    def join(self, timeout_s: float) -> None:
        """Waits for the thread, then counts what stayed behind."""
        self._thread.join(max(timeout_s, 0))
        self.dropped += len(self._queue)
        self._exporter.shutdown()

    def _run(self) -> None:
        while self._give_up_at is None:
            self._wake.wait(BATCH_INTERVAL_S)
            self._wake.clear()
            self._drain()
        self._drain()

    def _drain(self) -> None:
        flushes = [self._flushes.popleft() for _ in range(len(self._flushes))]
        while self._queue and not self._too_late():
            batch = [self._queue.popleft() for _ in range(min(BATCH_SIZE, len(self._queue)))]
            if self._send(batch):
                continue
            if self._worth_keeping():
                self._queue.extendleft(reversed(batch))
                break
            self.dropped += len(batch)
            if self._give_up_at is not None:
                break
        for flush in flushes:
            flush.set()

    def _worth_keeping(self) -> bool:
        """Whether the same batch may be taken later, and there is a later."""
        young = time.monotonic() - self._failing_since < KEEP_S
        return young and not self._refused() and self._give_up_at is None

    def _too_late(self) -> bool:
        return self._give_up_at is not None and time.monotonic() >= self._give_up_at

    def _send(self, batch: list[Item]) -> bool:
        try:
            result = self._exporter.export(batch)
            sent = getattr(result, "name", "") == "SUCCESS"
        except Exception:
            _log.exception("telemetry: export failed", extra={"fields": {"signal": self._name}})
            sent = False
        self._report(sent)
        return sent

    def _report(self, sent: bool) -> None:
        """One line when the collector goes and one when it is back, not one a second."""
        if self._failing == sent:
            self._failing, self._failing_since = not sent, time.monotonic()
            text = "telemetry: collector reachable again" if sent else "telemetry: collector unreachable"
            _log.warning(text, extra={"fields": {"signal": self._name}})


class Answers:
    """What the collector answered last: an exporter only says that it failed, not whether trying again helps."""

    def __init__(self) -> None:
        import requests

        self.session = requests.Session()
        self.session.hooks["response"].append(self._note)
        self._status = 0

    def refused(self) -> bool:
        """Whether it does not want this batch: any 4xx but "later" (408, 429)."""
        status, self._status = self._status, 0
        return 400 <= status < 500 and status not in (408, 429)

    def _note(self, response: Any, *_: Any, **__: Any) -> None:
        self._status = response.status_code


class _SpanQueue(SpanProcessor):
    def __init__(self, batch: Batch[ReadableSpan]) -> None:
        self._batch = batch

    def on_end(self, span: ReadableSpan) -> None:
        if span.context.trace_flags.sampled:
            self._batch.put(span)


class Telemetry:
    """What one process uses to tell what it does: tracers by service, `meters`, and an orderly end."""

    def __init__(self, resource: Resource, endpoint: str | None, scraped: bool = False) -> None:
        self._resource = resource
        self._processors = SynchronousMultiSpanProcessor()  # type: ignore[no-untyped-call]  # theirs
        self._stopped = False
        self._providers: dict[str, TracerProvider] = {}
        self._tracers: dict[str, Tracer] = {}
        self._lock = Lock()
        self._spans: Batch[ReadableSpan] | None = None
        self._logs: Batch[ReadableLogRecord] | None = None
        self._log_handler: logging.Handler | None = None
        # What a Prometheus server may ask for; None where METRICS_PORT is not set.
        self.registry: CollectorRegistry | None = None
        readers = self._export_to(endpoint.rstrip("/")) if endpoint else []
        if scraped:
            from services.chassis import scraping

            self.registry, reader = scraping.registry()
            readers.append(reader)
        self.meters = Meters(resource, readers, self.dropped)
        atexit.register(self.shutdown)

    def _export_to(self, endpoint: str) -> list[MetricReader]:
        # Imported here: a process without a collector is spared their 16 MB.
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        # They report every failed batch; Batch tells the change instead, and counts.
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
        answers = {signal: Answers() for signal in ("spans", "logs")}
        spans = OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=EXPORT_TIMEOUT_S, session=answers["spans"].session)
        logs = OTLPLogExporter(f"{endpoint}/v1/logs", timeout=EXPORT_TIMEOUT_S, session=answers["logs"].session)
        metrics = OTLPMetricExporter(f"{endpoint}/v1/metrics", timeout=EXPORT_TIMEOUT_S)
        self._spans = Batch("spans", spans, refused=answers["spans"].refused)
        self._logs = Batch("logs", logs, refused=answers["logs"].refused)
        self._processors.add_span_processor(_SpanQueue(self._spans))
        self._log_handler = OtlpHandler(self._logs.put, self._resource)
        self._log_handler.addFilter(Scrubber())
        logging.getLogger().addHandler(self._log_handler)
        return [PeriodicExportingMetricReader(metrics, METRIC_INTERVAL_S * 1000, EXPORT_TIMEOUT_S * 1000)]

    def provider_for(self, service: str) -> TracerProvider:
        """The tracer provider whose spans carry `service` as service.name; made once, cheap."""
        with self._lock:
            if service not in self._providers:
                self._providers[service] = TracerProvider(
                    sampler=ParentBased(ALWAYS_ON),
                    resource=self._resource.merge(Resource({"service.name": service})),
                    active_span_processor=self._processors,
                    span_limits=LIMITS,
                    shutdown_on_exit=False,
                )
            return self._providers[service]

    def tracer(self, service: str) -> Tracer:
        """A tracer for one service of this process."""
        tracer = self._tracers.get(service)
        if tracer is None:
            tracer = self._tracers[service] = self.provider_for(service).get_tracer("zongzhi")
        return tracer

    def add_span_processor(self, processor: SpanProcessor) -> None:
        """Shows every span of every service to `processor` too, as tests do with an in-memory exporter."""
        self._processors.add_span_processor(processor)

    def dropped(self) -> dict[str, int]:
        """How many spans and logs were lost since the start, by signal."""
        return {name: batch.dropped if batch else 0 for name, batch in (("spans", self._spans), ("logs", self._logs))}

    def flush(self, timeout_s: float = 2) -> bool:
        """Sends what is queued now; False when time ran out."""
        batches = [batch for batch in (self._spans, self._logs) if batch]
        deadline = time.monotonic() + timeout_s
        return all(batch.flush(max(deadline - time.monotonic(), 0)) for batch in batches)

    def shutdown(self, timeout_s: float = 2) -> None:
        """Sends what is left and stops; returns within `timeout_s` even when the collector answers nothing."""
        if self._stopped:
            return
        self._stopped = True
        atexit.unregister(self.shutdown)
        deadline = time.monotonic() + timeout_s
        if self._log_handler:
            logging.getLogger().removeHandler(self._log_handler)
        batches = [batch for batch in (self._spans, self._logs) if batch]
        for batch in batches:
            batch.stop(timeout_s)
        with contextlib.suppress(Exception):
            self.meters.shutdown(timeout_s)
        for batch in batches:
            batch.join(deadline - time.monotonic())


_of_process: Telemetry | None = None


def configure(service_name: str, tier: str, *, endpoint: str | None, version: str, scraped: bool = False) -> Telemetry:
    """Sets up the telemetry of this process. `endpoint` is the collector's base address, http://host:4318;
    with None nothing is sent, yet spans and ids exist, so that logs and outbox rows still carry a trace id.
    `scraped`: its metrics are also kept for a Prometheus server to ask for."""
    global _of_process
    resource = Resource.create({"service.name": service_name, "service.version": version, "zongzhi.tier": tier})
    _of_process = Telemetry(resource, endpoint, scraped)
    return _of_process


def tracer_of(service: str) -> Tracer:
    """A tracer of what this process configured last; before that, one that records nothing but passes parents on."""
    return _of_process.tracer(service) if _of_process else NoOpTracer()


@contextmanager
def timed_event(service: str, event_type: str) -> Iterator[None]:
    """Measures how long a listener takes and whether it fails; a refusal is an answer, no failure."""
    began, error = time.perf_counter(), ""
    try:
        yield
    except Refusal:
        raise
    except Exception as failure:
        error = type_name(failure)
        raise
    finally:
        if _of_process:
            _of_process.meters.process_duration(service, event_type, error, time.perf_counter() - began)
