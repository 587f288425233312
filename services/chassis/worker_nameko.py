"""Consumes with nameko: the only module that knows nameko, eventlet and kombu.

eventlet drives AMQP and nothing else: `socket` and `select` are patched, threads and locks are not, so that receiving
and applying run on native threads with the usual database driver. nameko's own consumer is not used: it acknowledges
what it failed to handle, loses acknowledgements of what it handles while it stops, and dies with an unlucky connection.
"""

# ruff: noqa: E402, I001  # sockets must be patched before anything that uses them is imported
# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import os
import warnings

# Names are looked up as every other process does, not by eventlet's own resolver.
os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")

# Said at import, unmasked and not as JSON, to operators who can do nothing about it; the README says why it is used.
warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")

import eventlet

eventlet.monkey_patch(socket=True, select=True)

import logging
import signal
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from eventlet import tpool
from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.mixins import ConsumerMixin
from nameko.exceptions import ContainerBeingKilled
from nameko.extensions import Entrypoint
from nameko.runners import ServiceRunner

from services.chassis import telemetry
from services.chassis.applier import Applier
from services.chassis.inbox import BATCH, Received, receive
from services.chassis.health_port import HealthPort
from services.chassis.pauses import pause
from services.chassis.readiness import Readiness
from services.chassis.scraping import MetricsServer
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.chassis.streams import DEAD, EVENTS, Mailbox
from services.chassis.worker_pika import LOOK_S, PREFETCH

log = logging.getLogger(__name__)

HEARTBEAT_S = 30
CONNECT_TIMEOUT_S = 5


class MailEntrypoint(Entrypoint, ConsumerMixin):
    """A nameko entrypoint that gives a method up to 200 messages at once, and acknowledges when it says what became of
    them. One connection of its own; a method that fails (returns None) gets the same messages again after a pause."""

    def __init__(self, box: Mailbox, url: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._box = box
        self._url = url
        self._arrived: deque[Any] = deque()
        self._channel: Any = None
        self._consumers: list[Any] = []
        self._busy = False
        self._stopping = False
        self._failures = 0
        self._thread: Any = None

    @property
    def connection(self) -> Connection:
        """kombu's description of how to connect."""
        return Connection(self._url, heartbeat=HEARTBEAT_S, connect_timeout=CONNECT_TIMEOUT_S)

    def start(self) -> None:
        """Begins to connect; a broker that is away keeps nobody waiting."""
        self._thread = self.container.spawn_managed_thread(self.run)

    def stop(self) -> None:
        """Takes no more messages, lets the batch at hand end, and gets its acknowledgement out before it leaves."""
        self._stopping = True
        if self._thread is not None:
            self._thread.wait()

    def kill(self) -> None:
        """Leaves at once; what is not acknowledged goes back to the queue."""
        self._stopping = self.should_stop = True

    def run(self, *_: Any, **__: Any) -> None:
        """Connects again and again. kombu's own loop sleeps without letting other green threads run."""
        failures = 0
        while not (self._stopping or self.should_stop):
            try:
                for _ in self.consume(safety_interval=LOOK_S):
                    failures = 0
            except Exception as error:
                failures += 1
                fields = {"service": self._box.service, "error": type(error).__name__}
                log.warning("consumer lost the broker", extra={"fields": fields})
                self._rest(pause(failures))

    @contextmanager
    def establish_connection(self) -> Iterator[Connection]:
        """Tries once, as `run` does the waiting."""
        with self.create_connection() as connection:
            connection.ensure_connection(max_retries=0, reraise_as_library_errors=False)
            yield connection

    def get_consumers(self, consumer_cls: Any, channel: Any) -> list[Any]:
        """After each connect: declares the queues and consumes raw messages. What came before will come again."""
        self._arrived.clear()
        self._channel = channel
        dead = Exchange(DEAD, "direct")
        Queue(
            self._box.dead_queue, dead, self._box.address, queue_arguments=self._box.dead_arguments, channel=channel
        ).declare()
        queue = Queue(
            self._box.queue, Exchange(EVENTS, "topic"), self._box.binding, queue_arguments=self._box.arguments
        )
        consumer = consumer_cls(queues=[queue], on_message=self._on_message)
        consumer.qos(prefetch_count=PREFETCH)
        self._consumers = [consumer]
        log.info("consuming", extra={"fields": {"queue": self._box.queue}})
        return self._consumers

    def on_iteration(self) -> None:
        """Between two looks at the socket: whether to stop taking messages, and whether to leave."""
        if not self._stopping:
            return
        while self._consumers:
            self._consumers.pop().cancel()
        if not self._busy:
            self.should_stop = True

    def _on_message(self, message: Any) -> None:
        self._arrived.append(message)
        if not self._busy:
            self._busy = True
            self.container.spawn_managed_thread(self._next)

    def _next(self) -> None:
        """Gives what is there to a worker. The messages of one batch are of one channel: `get_consumers` sees to it."""
        if self._stopping or not self._arrived:
            self._busy = False
            return
        batch = [self._arrived.popleft() for _ in range(min(BATCH, len(self._arrived)))]
        bodies = [message.body.encode() if isinstance(message.body, str) else message.body for message in batch]
        try:
            self.container.spawn_worker(self, (bodies,), {}, handle_result=partial(self._on_result, batch))
        except ContainerBeingKilled:
            self._busy = False

    def _on_result(self, batch: list[Any], _: Any, result: Received | None = None, exc_info: Any = None) -> Any:
        if batch[0].channel is self._channel:
            if result is None:
                self._failures += 1
                self._arrived.extendleft(reversed(batch))
                self._rest(pause(self._failures))
            else:
                self._failures = 0
                settle(batch, result)
        self._next()
        return result, exc_info

    def _rest(self, seconds: float) -> None:
        """Sleeps, but not into the end."""
        while seconds > 0 and not self._stopping:
            eventlet.sleep(min(LOOK_S, seconds))
            seconds -= LOOK_S


def settle(batch: list[Any], received: Received) -> None:
    """Rejects what cannot be taken, to the dead-letter queue; acknowledges the others with one word. On a dead link
    neither gets out: the broker delivers again, the inbox knows them."""
    good = [message for position, message in enumerate(batch) if position not in received.poisoned]
    try:
        for position in received.poisoned:
            batch[position].reject()
        if good:
            good[-1].ack(multiple=True)
    except Exception as error:
        log.warning("cannot acknowledge", extra={"fields": {"error": type(error).__name__}})


def nameko_service(service: Service, url: str) -> type:
    """The class that nameko runs for one service: a name and one entrypoint."""

    def take(_: Any, bodies: list[bytes]) -> Received | None:
        try:
            received: Received = tpool.execute(receive, service, bodies, system="rabbitmq")
        except Exception as error:  # told here without its text, which nameko would log
            log.warning("cannot receive", extra={"fields": {"service": service.name, "error": type(error).__name__}})
            return None
        return received

    entrypoint = MailEntrypoint.decorator(Mailbox(service.settings.tier, service.name), url)
    return type(service.name, (), {"name": service.name, "take": entrypoint(take)})


def health_of(services: list[Service], settings: Settings) -> HealthPort | None:
    """What answers probes on HEALTH_PORT, when there is one: ready while each service's own database answers."""
    if not settings.health_port:
        return None
    probes = HealthPort(settings.health_host, settings.health_port)
    for service in services:
        Readiness(service, probes.expect(service.name)).start()
    return probes


def run(services: list[Service], settings: Settings, version: str = "") -> None:
    """Consumes for these services until SIGTERM or SIGINT; returns when what was begun is acknowledged."""
    watching = telemetry.configure(
        "zongzhi-work",
        settings.tier,
        endpoint=settings.otlp_endpoint,
        version=version,
        scraped=bool(settings.metrics_port),
    )
    appliers = [Applier(service) for service in services]
    runner = ServiceRunner({})
    for service in services:
        runner.add_service(nameko_service(service, settings.bus_url))
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: eventlet.spawn_n(runner.stop))
    for applier in appliers:
        applier.start()
    metrics = watching.registry and MetricsServer(watching.registry, settings.metrics_host, settings.metrics_port)
    probes = health_of(services, settings)
    try:
        if metrics:
            metrics.start()
        if probes:
            probes.start()
        runner.start()
        log.info("ready", extra={"fields": {"role": "work"}})
        runner.wait()
    finally:
        for applier in appliers:
            applier.stop()
        if probes:
            probes.stop()
        if metrics:
            metrics.stop()
        watching.shutdown()
