"""Publishes to RabbitMQ: persistent, confirmed, `mandatory`, hundreds at a time, on one connection and one thread.

pika's connections belong to one thread. Publishers hand a batch over and wait until every message of it is confirmed,
refused or returned, or the connection is gone. A message that no queue takes is *returned and then confirmed*, so a
confirm counts only where no return came first.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pika
from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel
from pika.spec import Basic, BasicProperties

from services.chassis.pauses import pause
from services.chassis.streams import CONTENT_TYPE, DEAD, EVENTS, Mailbox, Parcel

log = logging.getLogger(__name__)

HEARTBEAT_S = 30
CONNECT_TIMEOUT_S = 5
# So long may the broker refuse to read (memory or disk alarm) before the connection is given up.
BLOCKED_TIMEOUT_S = 30
# The net under everything that ends a batch.
CONFIRM_TIMEOUT_S = 60


def parameters(url: str, name: str) -> pika.URLParameters:
    """How we connect: a dead peer is noticed within a minute, and the broker's list of connections says who we are."""
    found = pika.URLParameters(url)
    found.heartbeat = HEARTBEAT_S
    found.blocked_connection_timeout = BLOCKED_TIMEOUT_S
    found.socket_timeout = found.stack_timeout = CONNECT_TIMEOUT_S
    found.connection_attempts = 1
    found.client_properties = {"connection_name": name}
    return found


class _Batch:
    """Parcels on their way together, and which of them arrived."""

    def __init__(self, parcels: Sequence[Parcel]) -> None:
        self.parcels = parcels
        self.open = {parcel.event_id for parcel in parcels}
        self.confirmed: set[str] = set()
        self.done = threading.Event()

    def settle(self, event_id: str, confirmed: bool) -> None:
        self.open.discard(event_id)
        if confirmed:
            self.confirmed.add(event_id)
        if not self.open:
            self.done.set()


class _Link:
    """One connection, from opening to end. Everything but `publish` and `close` runs on the connection's thread."""

    def __init__(self, url: str, name: str, ready: Callable[[_Link], None]) -> None:
        self._ready = ready
        self._is_open = False
        self._boxes: set[Mailbox] = set()
        self._on_way: dict[int, tuple[_Batch, str]] = {}
        self._returned: set[str] = set()
        self._batches: set[_Batch] = set()
        self._next_tag = 1
        self._channel: Any = None
        self._guard = threading.Lock()
        self._connection = SelectConnection(parameters(url, name), self._on_open, self._on_open_failed, self._on_closed)

    def run(self) -> None:
        """Returns when the connection is gone; then nothing waits for it any more."""
        try:
            self._connection.ioloop.start()
        finally:
            with self._guard:
                self._is_open = False
                for batch in self._batches:
                    batch.done.set()

    def publish(self, batch: _Batch) -> None:
        """Sends a batch and waits for its end. Called by any thread but the connection's own."""
        with self._guard:
            if not self._is_open:
                return
            self._batches.add(batch)
            self._connection.ioloop.add_callback_threadsafe(lambda: self._prepare(batch))
        if not batch.done.wait(CONFIRM_TIMEOUT_S):
            log.warning("broker does not confirm", extra={"fields": {"rows": len(batch.open)}})
            self.close()
        with self._guard:
            self._batches.discard(batch)

    def close(self) -> None:
        """Asks the connection to end."""
        with self._guard:
            if self._is_open:
                self._connection.ioloop.add_callback_threadsafe(self._close)

    def _close(self) -> None:
        if self._connection.is_open:
            self._connection.close()
        elif self._connection.is_closed:
            self._connection.ioloop.stop()

    def _on_open(self, _: SelectConnection) -> None:
        self._connection.channel(on_open_callback=self._on_channel)

    def _on_open_failed(self, _: SelectConnection, error: BaseException) -> None:
        log.debug("no connection to the broker", extra={"fields": {"error": type(error).__name__}})
        self._connection.ioloop.stop()

    def _on_closed(self, _: SelectConnection, error: BaseException) -> None:
        log.debug("connection to the broker closed", extra={"fields": {"error": type(error).__name__}})
        self._connection.ioloop.stop()

    def _on_channel(self, channel: Channel) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._on_channel_closed)
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm)
        channel.exchange_declare(DEAD, "direct", durable=True)
        channel.exchange_declare(EVENTS, "topic", durable=True, callback=self._on_ready)

    def _on_channel_closed(self, _: Channel, error: Exception) -> None:
        if self._connection.is_open:
            fields = {"error": type(error).__name__, "code": getattr(error, "reply_code", 0)}
            log.warning("broker closed the channel", extra={"fields": fields})
            self._connection.close()

    def _on_ready(self, _: Any) -> None:
        with self._guard:
            self._is_open = True
        self._ready(self)

    def _prepare(self, batch: _Batch) -> None:
        """Declares queues that are new to this connection, so that mail finds its queue before its worker ever ran."""
        unknown = {parcel.to for parcel in batch.parcels} - self._boxes
        if not unknown:
            self._send(batch)
            return
        declare(self._channel, unknown, lambda _: self._send(batch))
        self._boxes |= unknown

    def _send(self, batch: _Batch) -> None:
        for parcel in batch.parcels:
            properties = BasicProperties(
                content_type=CONTENT_TYPE, delivery_mode=2, message_id=parcel.event_id,
                headers={"traceparent": parcel.traceparent} if parcel.traceparent else None,
            )  # fmt: skip
            self._on_way[self._next_tag] = (batch, parcel.event_id)
            self._next_tag += 1
            self._channel.basic_publish(EVENTS, parcel.routing_key, parcel.body, properties, mandatory=True)

    def _on_return(self, _: Channel, __: Basic.Return, properties: BasicProperties, ___: bytes) -> None:
        self._returned.add(str(properties.message_id))
        self._boxes.clear()  # somebody deleted a queue: declare again at the next try

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        for tag in self._tags(method.delivery_tag, method.multiple):
            batch, event_id = self._on_way.pop(tag)
            batch.settle(event_id, isinstance(method, Basic.Ack) and event_id not in self._returned)
            self._returned.discard(event_id)

    def _tags(self, tag: int, multiple: bool) -> list[int]:
        if not multiple:
            return [tag]
        found = []
        for known in self._on_way:  # in the order of sending
            if known > tag:
                break
            found.append(known)
        return found


def declare(channel: Any, boxes: Iterable[Mailbox], done: Callable[[Any], None]) -> None:
    """Declares queues, dead-letter queues first, and calls `done` after the last one."""
    left = sorted(boxes, key=lambda box: box.queue)
    for box in left:
        last = done if box is left[-1] else None
        channel.queue_declare(box.dead_queue, durable=True, arguments=box.dead_arguments)
        channel.queue_bind(box.dead_queue, DEAD, box.address)
        channel.queue_declare(box.queue, durable=True, arguments=box.arguments)
        channel.queue_bind(box.queue, EVENTS, box.binding, callback=last)


class RabbitBus:
    """The bus of a tier with RabbitMQ. Connects by itself, again and again; nobody waits for it."""

    system = "rabbitmq"

    def __init__(self, url: str, tier: str) -> None:
        self._url = url
        self._name = f"zongzhi relay {tier}"
        self._link: _Link | None = None
        self._to_tell: list[Callable[[], None]] = []
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to connect. Whether the broker is there makes no difference to the caller."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="rabbit-publisher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Closes the connection. What is not confirmed stays in the outbox."""
        self._stopping.set()
        if (link := self._link) is not None:
            link.close()
        if self._thread is not None:
            self._thread.join(CONNECT_TIMEOUT_S * 2)

    def publish(self, parcels: Sequence[Parcel]) -> set[str]:
        """Sends and waits for the broker's word; at once empty-handed when there is no connection."""
        link = self._link
        if link is None:
            return set()
        batch = _Batch(parcels)
        link.publish(batch)
        return batch.confirmed

    def when_ready(self, tell: Callable[[], None]) -> None:
        """Calls `tell` at each new connection."""
        self._to_tell.append(tell)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            failures = 0 if self._connected_once() else failures + 1
            self._stopping.wait(pause(failures))

    def _connected_once(self) -> bool:
        """Whether there was a connection for a while."""
        try:
            _Link(self._url, self._name, self._ready).run()
        except Exception as error:
            log.warning("connection to the broker failed", extra={"fields": {"error": type(error).__name__}})
        was_connected = self._link is not None
        self._link = None
        if was_connected and not self._stopping.is_set():
            log.warning("connection to the broker lost")
        return was_connected

    def _ready(self, link: _Link) -> None:
        self._link = link
        log.info("connected to the broker")
        if self._stopping.is_set():
            link.close()
        for tell in self._to_tell:
            tell()
