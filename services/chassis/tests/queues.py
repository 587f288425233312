"""Looks into queues, and does to them what operators and networks do."""

from __future__ import annotations

import pika

from services.chassis.streams import Mailbox
from services.chassis.tests.mail import until


def dead_letters(url: str, box: Mailbox) -> list[bytes]:
    """The bodies that lie there; they go back when the connection closes."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        found = []
        while (body := channel.basic_get(box.dead_queue)[2]) is not None:
            found.append(body)
        return found


def depth(url: str, queue: str) -> int:
    """Messages that are ready in a queue."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        return int(connection.channel().queue_declare(queue, passive=True).method.message_count)


def delete_queue(url: str, box: Mailbox) -> None:
    """What a careless operator does."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        connection.channel().queue_delete(box.queue)


def give_back(url: str, box: Mailbox) -> None:
    """Takes a message and loses the connection."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        until(lambda: channel.basic_get(box.queue)[0] is not None)
