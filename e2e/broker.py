"""The broker as a test touches it: queues are removed between districts, bodies are put in by hand."""

from __future__ import annotations

from collections.abc import Iterable

import pika

from e2e.system import SERVICES, TIER
from services.chassis.streams import EVENTS, Mailbox


def remove_queues(url: str) -> None:
    """The next district finds the broker as if it were new."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        for name in SERVICES:
            box = Mailbox(TIER, name)
            for queue in (box.queue, box.dead_queue):
                connection.channel().queue_delete(queue)


def publish(url: str, service: str, bodies: Iterable[bytes]) -> None:
    """Puts bodies on the real bus as the relay would; returns when the broker has confirmed them."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for body in bodies:
            channel.basic_publish(EVENTS, f"{TIER}.{TIER}.{service}", body, mandatory=True)
