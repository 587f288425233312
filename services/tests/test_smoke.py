"""The smoke test against a gateway of the test's own: it passes, and says which step did not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from services import smoke

TIER = "341702000000"


class Door(BaseHTTPRequestHandler):
    """Answers as a gateway does; `wrong` names a path that answers otherwise."""

    wrong: dict[str, tuple[int, dict[str, Any]]] = {}
    seen: list[str] = []

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer()

    def _answer(self) -> None:
        self.seen.append(f"{self.command} {self.path}")
        petition = {"id": "p1", "case_number": "n1", "subject": smoke.SUBJECT}
        answers: dict[str, Any] = {
            "/readyz": {"ready": True}, "/v1/session": {"access_token": "t"}, "/v1/petitions": {"petition": petition},
            "/v1/petitions/p1": petition, "/v1/petitions/p1:void": {"state": "PETITION_STATE_VOIDED"},
        }  # fmt: skip
        status, body = self.wrong.get(self.path, (200, answers[self.path]))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def door() -> Iterator[str]:
    Door.wrong, Door.seen = {}, []
    server = HTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def login(tmp_path: Path) -> Path:
    (tmp_path / "account").write_text("demo\n")
    (tmp_path / "password").write_text("secret\n")
    return tmp_path


def test_it_files_reads_back_and_voids(door: str, login: Path) -> None:
    assert smoke.run(door, login, TIER) == 0
    assert Door.seen == [
        "GET /readyz", "POST /v1/session", "POST /v1/petitions", "GET /v1/petitions/p1", "POST /v1/petitions/p1:void",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/v1/session", (401, {"detail": "wrong password"})),
        ("/v1/petitions/p1", (200, {"id": "p1", "case_number": "other", "subject": smoke.SUBJECT})),
        ("/v1/petitions/p1:void", (200, {"state": "PETITION_STATE_REGISTERED"})),
    ],
)
def test_a_step_that_goes_wrong_is_named(
    door: str, login: Path, path: str, answer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    Door.wrong = {path: answer}
    assert smoke.run(door, login, TIER) == 1
    assert "smoke test failed" in capsys.readouterr().out


def test_nobody_there_is_a_failure_and_no_stack_trace(login: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "WAIT_S", 0.0)
    assert smoke.run("http://127.0.0.1:1", login, TIER) == 1
