"""Consumes one service's queue with pika, on a native thread: receive, commit, acknowledge. No nameko, no eventlet.

What `WORKER=pika` runs. It may run beside gRPC in `serve` or alone in `work`; applying is the Applier's.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel

from services.chassis.inbox import BATCH, Received, receive
from services.chassis.pauses import pause
from services.chassis.rabbit_publisher import RabbitBus, parameters
from services.chassis.service import Service
from services.chassis.streams import DEAD, EVENTS, Mailbox

log = logging.getLogger(__name__)

PREFETCH = 400
# How long a thread that waits for mail does not look whether it is to stop.
LOOK_S = 0.25

_Mail = deque[tuple[int, bytes]]


class PikaConsumer:
    """Receives for one service from RabbitMQ. Reconnects by itself; a message not committed is not acknowledged."""

    def __init__(self, service: Service, url: str) -> None:
        self._service = service
        self._box = Mailbox(service.settings.tier, service.name)
        self._url = url
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to connect and to consume."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name=f"consume-{self._service.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends after the batch at hand; what is not acknowledged goes back to the queue."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                connection = pika.BlockingConnection(parameters(self._url, f"zongzhi {self._box.queue}"))
                failures = 0
                with connection:
                    self._consume(connection)
            except Exception as error:  # the broker is away, or threw us out
                failures += 1
                fields = {"service": self._service.name, "error": type(error).__name__}
                log.warning("consumer lost the broker", extra={"fields": fields})
                self._stopping.wait(pause(failures))

    def _consume(self, connection: Any) -> None:
        channel = connection.channel()
        declare(channel, self._box)
        channel.basic_qos(prefetch_count=PREFETCH)
        arrived: _Mail = deque()
        channel.basic_consume(self._box.queue, lambda _, how, __, body: arrived.append((how.delivery_tag, body)))
        log.info("consuming", extra={"fields": {"queue": self._box.queue}})
        while not self._stopping.is_set():
            connection.process_data_events(time_limit=LOOK_S)
            while arrived and not self._stopping.is_set():
                gather(connection, arrived)
                self._take(connection, channel, arrived)

    def _take(self, connection: Any, channel: Any, arrived: _Mail) -> None:
        """Stores and acknowledges up to 200. While the database is away they wait here, and heartbeats go on."""
        batch = [arrived.popleft() for _ in range(min(BATCH, len(arrived)))]
        failures = 0
        while not self._stopping.is_set():
            try:
                received = receive(self._service, [body for _, body in batch], system=RabbitBus.system)
            except Exception as error:
                failures += 1
                fields = {"service": self._service.name, "error": type(error).__name__}
                log.warning("cannot receive", extra={"fields": fields})
                connection.sleep(pause(failures))
            else:
                settle(channel, [tag for tag, _ in batch], received)
                return


def gather(connection: Any, arrived: _Mail) -> None:
    """Takes what is there already, as many as one transaction holds, without waiting for more."""
    before = 0
    while before < len(arrived) < BATCH:
        before = len(arrived)
        connection.process_data_events(time_limit=0)


def settle(channel: Any, tags: list[int], received: Received) -> None:
    """Rejects what cannot be taken, to the dead-letter queue; acknowledges the others with one word."""
    for position in received.poisoned:
        channel.basic_reject(tags[position], requeue=False)
    good = [tag for position, tag in enumerate(tags) if position not in received.poisoned]
    if good:
        channel.basic_ack(good[-1], multiple=True)


def declare(channel: BlockingChannel, box: Mailbox) -> None:
    """Declares the queue as the publisher does, dead letters first."""
    channel.exchange_declare(DEAD, "direct", durable=True)
    channel.queue_declare(box.dead_queue, durable=True, arguments=box.dead_arguments)
    channel.queue_bind(box.dead_queue, DEAD, box.address)
    channel.exchange_declare(EVENTS, "topic", durable=True)
    channel.queue_declare(box.queue, durable=True, arguments=box.arguments)
    channel.queue_bind(box.queue, EVENTS, box.binding)
