"""The callers, in a process of their own: an order per line on stdin (JSON), its outcome per line on stdout (JSON).

The cheapest that Python offers for each protocol, so that it takes little from those who are measured: gRPC as raw
bytes on one asyncio channel, HTTP as raw bytes on persistent sockets in one selector loop. What to send is prepared in
a file.
"""

from __future__ import annotations

import asyncio
import json
import selectors
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import grpc

Order = dict[str, Any]
TIMEOUT_S = 30.0


def write_frames(path: Path, frames: list[bytes]) -> None:
    """Keeps what is to be sent, one after the other."""
    path.write_bytes(b"".join(struct.pack(">I", len(frame)) + frame for frame in frames))


def read_frames(path: Path) -> list[bytes]:
    """What `write_frames` kept."""
    data, place, frames = path.read_bytes(), 0, []
    while place < len(data):
        (size,) = struct.unpack_from(">I", data, place)
        frames.append(data[place + 4 : place + 4 + size])
        place += 4 + size
    return frames


class Tally:
    """Counts what is answered until the time is up."""

    def __init__(self, order: Order) -> None:
        self.frames = iter(read_frames(Path(order["frames"])))
        self.latencies: list[float] = []
        self.failed = 0
        self.failure = ""
        self.began = time.perf_counter()
        self.until = self.began + order["seconds"]

    def next(self) -> bytes | None:
        """What to send next; None when the time or the supply is up."""
        return next(self.frames, None) if time.perf_counter() < self.until else None

    def answered(self, sent_at: float) -> None:
        """A call went well."""
        self.latencies.append(round((time.perf_counter() - sent_at) * 1000, 3))

    def refused(self, failure: str) -> None:
        """A call went wrong."""
        self.failed += 1
        self.failure = self.failure or failure

    def outcome(self) -> dict[str, Any]:
        """What the order came to."""
        return {
            "done": len(self.latencies), "seconds": time.perf_counter() - self.began, "latencies": self.latencies,
            "failed": self.failed, "failure": self.failure,
        }  # fmt: skip


class GrpcCalls:
    """Closed loop of so many callers, or with `rate` one call after the other at that many a second."""

    def __init__(self) -> None:
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def run(self, order: Order) -> dict[str, Any]:
        channel = self._channels.get(order["target"]) or grpc.aio.insecure_channel(order["target"])
        self._channels[order["target"]] = channel
        call: Any = channel.unary_unary(order["method"])
        tally, metadata = Tally(order), tuple((k, v) for k, v in order["metadata"].items())

        async def one(frame: bytes) -> None:
            sent_at = time.perf_counter()
            try:
                await call(frame, metadata=metadata, timeout=TIMEOUT_S)
                tally.answered(sent_at)
            except grpc.aio.AioRpcError as error:
                tally.refused(f"{error.code().name} {error.details()}")

        async def caller() -> None:
            while (frame := tally.next()) is not None:
                await one(frame)

        if order.get("rate"):
            await _paced(tally, one, order["rate"])
        else:
            await asyncio.gather(*(caller() for _ in range(order["callers"])))
        return tally.outcome()


async def _paced(tally: Tally, one: Any, rate: float) -> None:
    tasks, turn = [], tally.began
    while (frame := tally.next()) is not None:
        tasks.append(asyncio.create_task(one(frame)))
        turn += 1 / rate
        await asyncio.sleep(max(0.0, turn - time.perf_counter()))
    await asyncio.gather(*tasks)


class HttpCalls:
    """Closed loop of so many persistent connections; a frame is a whole request."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def run(self, order: Order) -> dict[str, Any]:
        tally = Tally(order)
        host, _, port = order["target"].rpartition(":")
        for _ in range(order["callers"]):
            line = _Line(socket.create_connection((host, int(port)), timeout=TIMEOUT_S), tally)
            if line.send():
                self._selector.register(line.socket, selectors.EVENT_READ, line)
        while self._selector.get_map():
            ready = self._selector.select(TIMEOUT_S)
            if not ready:
                tally.refused("no answer")
                break
            for key, _events in ready:
                line = key.data
                if line.receive() and not line.send():
                    self._selector.unregister(line.socket)
                    line.socket.close()
        return tally.outcome()


class _Line:
    """One connection and the answer that is arriving on it."""

    def __init__(self, connection: socket.socket, tally: Tally) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self._tally = tally
        self._got = b""

    def send(self) -> bool:
        frame = self._tally.next()
        if frame is None:
            return False
        self._sent_at = time.perf_counter()
        self.socket.sendall(frame)
        return True

    def receive(self) -> bool:
        """Whether the answer is whole."""
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError("the gateway closed a persistent connection")
        self._got += piece
        head, gap, body = self._got.partition(b"\r\n\r\n")
        if not gap or len(body) < _length(head):
            return False
        self._got = b""
        if head[9:10] == b"2":
            self._tally.answered(self._sent_at)
        else:
            self._tally.refused(f"{head[:12]!r} {body.decode(errors='replace')[:200]}")
        return True


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError("an answer without Content-Length")


def pairs(order: Order) -> dict[str, Any]:
    """POST, then GET what was made at once, until the frames are used up; a GET that does not find it is a miss."""
    frames = iter(read_frames(Path(order["frames"])))
    guard, tally = threading.Lock(), {"done": 0, "misses": 0, "failed": 0, "failure": ""}
    threads = [threading.Thread(target=_pairs, args=(order, frames, guard, tally)) for _ in range(order["callers"])]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {**tally, "seconds": time.perf_counter() - began}


def _pairs(order: Order, frames: Iterator[bytes], guard: threading.Lock, tally: dict[str, Any]) -> None:
    host, _, port = order["target"].rpartition(":")
    line = HTTPConnection(host, int(port), timeout=TIMEOUT_S)
    headers = {"Content-Type": "application/json", **order["headers"]}
    while True:
        with guard:
            body = next(frames, None)
        if body is None:
            return
        line.request("POST", "/v1/petitions", body, headers)
        answer = line.getresponse()
        text = answer.read()
        if answer.status != 200:
            with guard:
                tally["failed"] += 1
                tally["failure"] = tally["failure"] or f"{answer.status} {text[:300]!r}"
            continue
        made = json.loads(text)["petition"]["id"]
        line.request("GET", f"/v1/petitions/{made}", headers=headers)
        answer = line.getresponse()
        text = answer.read()
        found = answer.status == 200 and json.loads(text)["id"] == made
        with guard:
            tally["done"] += 1
            tally["misses"] += not found


async def main() -> None:
    """Takes orders until stdin ends."""
    loop = asyncio.get_running_loop()
    grpc_calls, http_calls = GrpcCalls(), HttpCalls()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        if order["kind"] == "grpc":
            outcome = await grpc_calls.run(order)
        else:
            outcome = http_calls.run(order) if order["kind"] == "http" else pairs(order)
        sys.stdout.write(json.dumps(outcome) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
