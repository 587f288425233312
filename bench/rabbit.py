"""The broker with nothing of ours in the way: publishes with a window of 500 confirms, and takes bodies into a table.

python -m bench.rabbit publish URL QUEUE COUNT [FRAMES]
python -m bench.rabbit take URL QUEUE COUNT DATABASE
Each prints the seconds that it took.
"""

from __future__ import annotations

import sys
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pika
import psycopg

from bench.load import read_frames

WINDOW, BATCH = 500, 200
BODY = b"x" * 460
PERSISTENT = pika.BasicProperties(delivery_mode=2)


def publish_words(url: str, queue: str, count: int, frames: Path | None = None) -> list[str]:
    """The command of a publisher process."""
    return [sys.executable, "-m", "bench.rabbit", "publish", url, queue, str(count), *([str(frames)] if frames else [])]


def take_words(url: str, queue: str, count: int, database: str) -> list[str]:
    """The command of a consumer process."""
    return [sys.executable, "-m", "bench.rabbit", "take", url, queue, str(count), database]


def remove(url: str, queue: str) -> None:
    """Deletes a queue with all that lies in it."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        connection.channel().queue_delete(queue)


def depth(url: str, queue: str) -> int:
    """How many messages are ready in it."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        return int(connection.channel().queue_declare(queue, passive=True).method.message_count)


class Publisher:
    """Keeps up to 500 bodies on their way until all are confirmed; into a quorum queue by the default exchange."""

    def __init__(self, url: str, queue: str, count: int, bodies: list[bytes]) -> None:
        self._queue = queue
        self._left = islice(cycle(bodies), count)
        self._count = count
        self._sent = 0
        self._open: set[int] = set()
        self._connection = pika.SelectConnection(pika.URLParameters(url), on_open_callback=self._opened)

    def run(self) -> float:
        """Returns the seconds from the first publish to the last confirm."""
        self._connection.ioloop.start()
        return self._ended - self._began

    def _opened(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._declare)

    def _declare(self, channel: Any) -> None:
        self._channel = channel
        # A queue that is there already, with arguments of its own, is left alone.
        passive = self._queue.startswith("q.")
        arguments = None if passive else {"x-queue-type": "quorum"}
        channel.queue_declare(self._queue, passive=passive, durable=True, arguments=arguments, callback=self._confirm)

    def _confirm(self, _: Any) -> None:
        self._channel.confirm_delivery(self._acked, callback=self._begin)

    def _begin(self, _: Any) -> None:
        self._began = time.perf_counter()
        self._fill()

    def _fill(self) -> None:
        while len(self._open) < WINDOW and (body := next(self._left, None)) is not None:
            self._channel.basic_publish("", self._queue, body, PERSISTENT)
            self._sent += 1
            self._open.add(self._sent)

    def _acked(self, frame: Any) -> None:
        tag = frame.method.delivery_tag
        self._open -= {one for one in self._open if one <= tag} if frame.method.multiple else {tag}
        if self._sent < self._count:
            self._fill()
        elif not self._open:
            self._ended = time.perf_counter()
            self._connection.ioloop.stop()


def take(url: str, queue: str, count: int, database: str) -> float:
    """Takes bodies into a table, up to 200 in a transaction, acknowledged after its commit."""
    with psycopg.connect(database) as conn, pika.BlockingConnection(pika.URLParameters(url)) as connection:
        conn.execute("CREATE TABLE IF NOT EXISTS taken (id bigserial PRIMARY KEY, body bytea)")
        conn.commit()
        channel = connection.channel()
        channel.basic_qos(prefetch_count=2 * BATCH)
        began, got, batch = time.perf_counter(), 0, []
        for method, _, body in channel.consume(queue, inactivity_timeout=0.01):
            if method is not None:
                batch.append((method.delivery_tag, body))
            if len(batch) >= BATCH or (method is None and batch):
                with conn.cursor() as cursor:
                    cursor.executemany("INSERT INTO taken (body) VALUES (%s)", [(body,) for _, body in batch])
                conn.commit()
                channel.basic_ack(batch[-1][0], multiple=True)
                got, batch = got + len(batch), []
            if got >= count:
                break
        return time.perf_counter() - began


def main() -> None:
    """One command."""
    deed, url, queue, count, *more = sys.argv[1:]
    if deed == "publish":
        bodies = read_frames(Path(more[0])) if more else [BODY]
        print(Publisher(url, queue, int(count), bodies).run())
    else:
        print(take(url, queue, int(count), more[0]))


if __name__ == "__main__":
    main()
