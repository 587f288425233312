"""Callers who send a byte now and then: they lose their connection, and the others do not wait for them."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from gateway import slow_callers
from gateway.server import CherootServer
from gateway.slow_callers import BodyPlaces, Patience
from gateway.tests.conftest import Running
from services.chassis.refusal import Unavailable

THREADS = 4
HEAD = b"POST /v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture
def port(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server of four threads that is soon out of patience."""
    monkeypatch.setattr(slow_callers, "PATIENCE_S", 1.0)
    server = CherootServer(gateway.app, "127.0.0.1", 0, threads=THREADS)
    yield server.start()
    server.stop()


def drip(sock: socket.socket, piece: bytes) -> bytes:
    """Sends a piece ten times a second until the server answers or hangs up; what it said."""
    sock.settimeout(0.1)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            sock.sendall(piece)
            return sock.recv(65536)
        except TimeoutError:
            continue
        except OSError:
            return b""
    raise AssertionError("the server waits for ever")


@pytest.mark.parametrize(
    ("begin", "piece"),
    [(HEAD, b"X-A: b\r\n"), (HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
     (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n")],
    ids=["head", "body", "chunks"],
)  # fmt: skip
def test_more_slow_callers_than_threads_keep_nobody_for_long(port: int, begin: bytes, piece: bytes) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(2 * THREADS)]
        for sock in slow:
            sock.sendall(begin)
        heard: list[bytes] = []
        threads = [threading.Thread(target=lambda s=sock: heard.append(drip(s, piece))) for sock in slow]  # type: ignore[misc]
        for thread in threads:
            thread.start()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()
        for thread in threads:
            thread.join(90)
        # Hung up on, or told that it took too long; nobody's request was carried out.
        assert len(heard) == len(slow)
        assert all(not said or said.split()[1] in (b"400", b"408") for said in heard), heard


def test_a_caller_who_is_slow_but_steady_is_answered(port: int) -> None:
    body = b'{"account": "nobody", "password": "x"}' + b" " * 60_000
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode())
        for at in range(0, len(body), 4000):
            sock.sendall(body[at : at + 4000])
            time.sleep(0.15)  # longer in all than the patience that a request begins with
        sock.settimeout(60)
        assert sock.recv(65536).split()[1] == b"401"


def test_a_connection_may_rest_between_requests_and_each_begins_with_full_patience(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.settimeout(60)
        for _ in range(4):
            sock.sendall(b"GET /healthz HTTP/1.1\r\n")
            time.sleep(0.4)  # together more than the patience of one request
            sock.sendall(b"Host: x\r\n\r\n")
            answer = http.client.HTTPResponse(sock)
            answer.begin()
            assert answer.read() == b'{"status": "ok"}'
            time.sleep(0.4)


def test_patience_grows_with_what_arrives() -> None:
    patience = Patience()
    patience.spend(slow_callers.PATIENCE_S - 1, 0)
    assert patience.left() == pytest.approx(1)
    patience.spend(0, 2 * slow_callers.BYTES_PER_S)
    assert patience.left() == pytest.approx(3)
    patience.begin()
    assert patience.left() == slow_callers.PATIENCE_S


def test_bodies_never_take_every_thread() -> None:
    places = BodyPlaces(1, patience_s=0.01)
    with places.taken({"CONTENT_LENGTH": "5"}):
        with places.taken({"CONTENT_LENGTH": "0"}), places.taken({}):
            pass
        for second in ({"CONTENT_LENGTH": "1"}, {"HTTP_TRANSFER_ENCODING": "chunked"}):
            with pytest.raises(Unavailable, match="稍后重试"), places.taken(second):
                pass
    with places.taken({"CONTENT_LENGTH": "5"}):
        pass
