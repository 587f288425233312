"""The gateway on real sockets: cheroot in this process, Granian in its own."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.server import CherootServer, PortTaken
from gateway.tests.conftest import Running
from protos.files.v1 import files_pb2
from protos.petition.v1 import attachments_pb2, petition_pb2

GRANIAN = """
import sys
from pathlib import Path
from gateway.server import serve_granian
from services.chassis.settings import Settings
folder, port, address, workers, metrics = sys.argv[1:]
serve_granian(Settings(tier="341702000000", data_dir=Path(folder), gateway_port=int(port), metrics_port=int(metrics),
                       petition_address=address, mediation_address=address, grid_address=address),
              workers=int(workers), threads=4)
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


@pytest.fixture
def cheroot(gateway: Running) -> Iterator[int]:
    server = CherootServer(gateway.app, "127.0.0.1", 0, threads=4)
    yield server.start()
    server.stop()


def start_granian(gateway: Running, workers: int = 1, metrics_port: int = 0) -> tuple[subprocess.Popen[str], int]:
    """Granian in a process of its own, ready; and its port."""
    port = free_port()
    words = [str(gateway.settings.data_dir), str(port), gateway.services.address, str(workers), str(metrics_port)]
    process = subprocess.Popen([sys.executable, "-c", GRANIAN, *words], stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            if ask(port, "GET", "/readyz")[0] == 200:
                break
        except OSError:
            time.sleep(0.05)
    return process, port


def stop_granian(process: subprocess.Popen[str]) -> str:
    """Ends it in order; what it wrote."""
    process.send_signal(signal.SIGTERM)
    try:
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    return errors


@pytest.fixture
def granian(gateway: Running) -> Iterator[int]:
    process, port = start_granian(gateway)
    try:
        yield port
    finally:
        errors = stop_granian(process)
    lines = [json.loads(line) for line in errors.splitlines()]
    assert any(line["message"] == "request" and line["route"] == "/v1/petitions" for line in lines)


@pytest.fixture(params=["cheroot", "granian"])
def port(request: pytest.FixtureRequest) -> int:
    return int(request.getfixturevalue(request.param))


def test_it_answers_refuses_large_bodies_and_finishes_what_it_began(gateway: Running, port: int) -> None:
    bearer = f"Bearer {gateway.token()}"
    status, headers, body = ask(port, "GET", "/v1/petitions", Authorization=bearer)
    assert (status, json.loads(body)["petitions"]) == (200, [])
    assert "python" not in headers.get("server", "").lower()
    assert ask(port, "HEAD", "/v1/petitions", Authorization=bearer)[2] == b""
    assert ask(port, "GET", "/nowhere")[0] == 404
    assert ask(port, "BREW", "/healthz")[0] == 405
    kind = {"Authorization": bearer, "Content_Type": "application/json"}
    assert ask(port, "POST", "/v1/petitions", b"{}", **kind)[0] == 200
    assert ask(port, "POST", "/v1/petitions", b" " * (2 * 1024 * 1024), **kind)[0] == 413
    chunks = (b" " * 65536 for _ in range(32))
    assert ask(port, "POST", "/v1/petitions", chunks, **kind)[0] == 413
    assert ask(port, "POST", "/v1/petitions", iter([b'{"subject"', b": 1}"]), **kind)[0] == 400
    status, _, body = ask(port, "GET", "/v1/petitions/%ff", Authorization=bearer)
    assert (status, json.loads(body)["reason"]) == (404, "PATH_UNKNOWN")
    status, _, body = ask(port, "GET", "/v1/petitions/%E5%BC%A0", Authorization=bearer)
    assert (status, gateway.services.last.request.id) == (200, "张")


def test_files_pass_in_pieces_and_a_broken_upload_is_never_whole(gateway: Running, port: int) -> None:
    taken: list[tuple[int, bool]] = []
    content = bytes(range(256)) * 8000

    def keep(messages: Any) -> Any:
        size, ended = 0, False
        try:
            for message in messages:
                size, ended = size + len(message.data), ended or message.HasField("end")
        finally:
            taken.append((size, ended))
        return attachments_pb2.Attachment(size=size)

    def read(request: Any) -> Any:
        data = content[request.offset : request.offset + (request.length or 1 << 18)]
        return files_pb2.Piece(data=data, total=len(content), content_type="application/pdf", sha256="a" * 64)

    gateway.services.answers.update(UploadAttachment=keep, ReadAttachment=read)
    bearer, path = f"Bearer {gateway.token()}", "/v1/petitions/7/attachments"
    # The server's own check at its end looks for a line of this route.
    assert ask(port, "GET", "/v1/petitions", Authorization=bearer)[0] == 200
    head = b'--e\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n'
    kind = {"Authorization": bearer, "Content_Type": "multipart/form-data; boundary=e"}
    status, _, body = ask(port, "POST", path, head + content + b"\r\n--e--\r\n", **kind)
    assert (status, json.loads(body)["size"]) == (200, str(len(content)))
    status, headers, body = ask(port, "GET", f"{path}/8/content", Authorization=bearer, Range="bytes=100-")
    assert (status, body == content[100:], headers.get("content-range") or headers["Content-Range"]) == (
        206, True, f"bytes 100-{len(content) - 1}/{len(content)}",
    )  # fmt: skip
    with socket.create_connection(("127.0.0.1", port), timeout=60) as caller:
        lines = [f"POST {path} HTTP/1.1", "Host: x", f"Authorization: {bearer}", f"Content-Length: {len(content) * 2}"]
        said = "\r\n".join([*lines, "Content-Type: multipart/form-data; boundary=e", "", ""])
        caller.sendall(said.encode() + head + content)
    end = time.monotonic() + 60
    while len(taken) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    assert [ended for _, ended in taken] == [True, False]


def test_stopping_finishes_the_request_in_flight(gateway: Running) -> None:
    entered, go = threading.Event(), threading.Event()

    def slow(_: Any) -> Any:
        entered.set()
        go.wait(60)
        return petition_pb2.ListPetitionsResponse(next_page_token="done")

    gateway.services.answers["ListPetitions"] = slow
    server = CherootServer(gateway.app, "127.0.0.1", 0, threads=4)
    port, answers = server.start(), []
    asking = threading.Thread(
        target=lambda: answers.append(ask(port, "GET", "/v1/petitions", Authorization=f"Bearer {gateway.token()}"))
    )
    asking.start()
    assert entered.wait(60)
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    until = time.monotonic() + 60
    while listens(port) and time.monotonic() < until:
        time.sleep(0.01)
    go.set()
    asking.join(60)
    stopping.join(60)
    assert json.loads(answers[0][2])["next_page_token"] == "done"
    assert not listens(port)


def test_a_taken_port_is_said_in_one_sentence(gateway: Running) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(PortTaken, match="GATEWAY_PORT"):
            CherootServer(gateway.app, "127.0.0.1", other.getsockname()[1]).start()
