"""`zongzhi import` against a gateway that says what the test wants: what people see, and how the command ends."""

from __future__ import annotations

import argparse
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from services import cli_import, http_client

DONE = {
    "id": "j1", "state": "JOB_STATE_DONE", "rows_total": 3, "rows_done": 3, "rows_accepted": 3, "rows_already": 0,
    "rows_bad": 0,
}  # fmt: skip


class FakeGateway:
    """Answers by method and path; keeps what it was asked."""

    def __init__(self):
        self.answers = {("POST", "/v1/session"): [(200, {"access_token": "a", "refresh_token": "r"})]}
        self.asked: list[Any] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fake.asked.append((self.command, self.path, self.headers.get("Authorization"), body))
                queue = fake.answers.get((self.command, self.path), [(404, {"detail": "没有 none"})])
                status, reply = queue.pop(0) if len(queue) > 1 else queue[0]
                data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = answer

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def on(self, method, path, *answers):
        self.answers[method, path] = list(answers)


@pytest.fixture
def gateway(monkeypatch):
    monkeypatch.setenv("ZONGZHI_PASSWORD", "secret-secret")
    monkeypatch.setattr("time.sleep", lambda _: None)
    fake = FakeGateway()
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


@pytest.fixture
def run(gateway, tmp_path, capsys):
    file = tmp_path / "登记.csv"
    file.write_text("来访日期\n")

    def run(*words, name=str(file)):
        parser = argparse.ArgumentParser()
        cli_import.options(parser)
        args = parser.parse_args([*([name] if name else []), "--gateway", gateway.url, "--account", "lead", *words])
        code = cli_import.run(args)
        return code, capsys.readouterr()

    return run


def test_a_register_goes_in_and_the_command_says_so(gateway, run):
    gateway.on("POST", "/v1/petitions:import", (202, DONE | {"state": "JOB_STATE_WAITING", "rows_done": 0}))
    gateway.on("GET", "/v1/jobs/j1", (200, DONE | {"state": "JOB_STATE_RUNNING"}), (200, DONE))
    code, said = run("--sheet", "一月", "--source-system", "老系统", "--dry-run")
    assert code == 0
    assert "共 3 行" in said.err
    sent = next(body for method, path, _, body in gateway.asked if path == "/v1/petitions:import").decode()
    for field in ('name="sheet"\r\n\r\n一月', 'name="source_system"\r\n\r\n老系统', 'name="dry_run"\r\n\r\ntrue'):
        assert field in sent
    assert sent.index('name="request_id"') < sent.index('name="file"; filename="登记.csv"')
    assert all("secret" not in str(entry[1]) for entry in gateway.asked)


def test_rows_that_were_refused_end_with_three_and_are_written_for_their_owner_alone(gateway, run, tmp_path):
    bad = DONE | {"rows_accepted": 2, "rows_bad": 1, "file_ready": True, "bad_rows": [{"row": 3, "reason": "渠道有误"}]}
    gateway.on("POST", "/v1/petitions:import", (202, bad))
    gateway.on("GET", "/v1/jobs/j1/file", (200, b"bad rows"))
    out = tmp_path / "back.csv"
    code, said = run("--bad-rows", str(out))
    assert code == 3
    assert "第 3 行" in said.err
    assert out.read_bytes() == b"bad rows"
    assert out.stat().st_mode & 0o077 == 0


def test_a_refusal_is_said_in_the_gateways_words_and_ends_with_two(gateway, run):
    gateway.on("POST", "/v1/petitions:import", (400, {"violations": [{"field": "file", "message": "缺少表头。 No."}]}))
    code, said = run()
    assert (code, "缺少表头" in said.err) == (2, True)


def test_a_failed_or_cancelled_job_ends_with_one(gateway, run):
    for state in ("JOB_STATE_FAILED", "JOB_STATE_CANCELLED"):
        gateway.on("POST", "/v1/petitions:import", (202, DONE | {"state": state, "failure": "坏了"}))
        assert run()[0] == 1


def test_a_token_that_ran_out_is_renewed_and_the_command_goes_on(gateway, run):
    gateway.on("POST", "/v1/petitions:import", (202, DONE | {"state": "JOB_STATE_WAITING"}))
    gateway.on("GET", "/v1/jobs/j1", (401, {"detail": "过期"}), (200, DONE))
    gateway.on("POST", "/v1/session:refresh", (200, {"access_token": "b", "refresh_token": "r2"}))
    assert run()[0] == 0
    assert [asked[2] for asked in gateway.asked if asked[1] == "/v1/jobs/j1"] == ["Bearer a", "Bearer b"]


def test_a_session_that_ended_is_opened_anew(gateway, run):
    gateway.on("POST", "/v1/petitions:import", (202, DONE | {"state": "JOB_STATE_WAITING"}))
    gateway.on("GET", "/v1/jobs/j1", (401, {}), (401, {}), (200, DONE))
    gateway.on("POST", "/v1/session:refresh", (401, {"detail": "已结束"}))
    gateway.on("GET", "/v1/jobs/j1", (401, {}), (200, DONE))
    assert run()[0] == 0


def test_a_gateway_that_is_away_for_a_moment_is_asked_again(gateway, run):
    gateway.on("POST", "/v1/petitions:import", (503, {"detail": "稍后"}), (429, {"detail": "稍后"}), (202, DONE))
    assert run()[0] == 0
    sent = [body for _, path, _, body in gateway.asked if path.endswith(":import")]
    assert len(sent) == 3
    assert len({body.split(b'name="request_id"\r\n\r\n')[1][:36] for body in sent}) == 1


def test_nobody_answers(gateway, run):
    gateway.server.shutdown()
    gateway.server.server_close()
    code, said = run()
    assert code == 1
    assert "连不上网关" in said.err


def test_ctrl_c_leaves_the_job_running_and_says_how_to_look(gateway, run, monkeypatch):
    gateway.on("POST", "/v1/petitions:import", (202, DONE | {"state": "JOB_STATE_WAITING"}))
    monkeypatch.setattr(cli_import, "_watch", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    code, said = run()
    assert code == 130
    assert "--job j1" in said.err


def test_a_job_is_looked_at_without_a_file_and_not_waited_for(gateway, run):
    gateway.on("GET", "/v1/jobs/j1", (200, DONE | {"state": "JOB_STATE_RUNNING"}))
    code, said = run("--job", "j1", "--no-wait", "--json", name="")
    assert code == 0
    assert json.loads(said.out)["state"] == "JOB_STATE_RUNNING"


def test_what_is_missing_is_said(gateway, run, tmp_path, monkeypatch):
    assert "无法读取" in run(name=str(tmp_path / "none.csv"))[1].err
    assert run(name="")[0] == 2
    monkeypatch.delenv("ZONGZHI_PASSWORD")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert "ZONGZHI_PASSWORD" in run()[1].err


def test_a_redirect_is_not_followed_with_the_token(gateway, run):
    gateway.on("POST", "/v1/petitions:import", (302, {"detail": "elsewhere"}))
    assert run()[0] == 2


@pytest.mark.parametrize("url", ["ftp://x", "http://", "127.0.0.1:8080", "http://user:pw@host"])
def test_an_address_that_is_none(url):
    with pytest.raises(http_client.GatewaySaid):
        http_client.Gateway(url)


def test_the_progress_of_a_terminal_is_a_bar_and_elsewhere_lines(capsys):
    class Terminal(io.StringIO):
        tty = True

        def isatty(self):
            return self.tty

    half = DONE | {"state": "JOB_STATE_RUNNING", "rows_total": 10, "rows_done": 5}
    for tty in (True, False):
        out = Terminal()
        out.tty = tty
        progress = cli_import._Progress(out)
        progress.show(half)
        progress.end(half)
        assert ("[############" in out.getvalue()) == tty
        assert "5/10" in out.getvalue()
