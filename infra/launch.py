"""What `make run` and `make up` share: start processes, wait until they answer, say where, end them in order."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any
from uuid import uuid4

from infra.data_dir import CannotStart
from infra.processes import LOOPBACK, ProcessFailed, answers, last_lines, port_is_free, run, send, spawn

ROOT = Path(__file__).resolve().parent.parent
# 贵池区, the district whose divisions and offices are shipped.
TIER = "341702000000"
READY_WITHIN = 90.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# The demo petition of the copyable curl line; an invented person. `request_id` is added, so that a repeat is safe.
PETITION: Mapping[str, Any] = {
    "channel": "CHANNEL_VISIT",
    "division_code": "341702001008",
    "representatives": [{"name": "张三", "phone": "13800000000"}],
    "subject": "小区路灯不亮",
    "content": "小区东门两盏路灯已一个月不亮,夜间出行不便,请求修复。",
}


class Stopped(BaseException):
    """Ctrl-C or a signal: a person wants it to end, which is no failure."""


class Died(Exception):
    """One of our processes ended by itself, or never became ready. The message is for a person."""


def say(zh: str, en: str) -> None:
    """Tells on stderr what is being done; stdout belongs to the result."""
    sys.stderr.write(f"{zh} {en}\n")
    sys.stderr.flush()


def check_port(port: int, command: str = "make run") -> None:
    """Raises CannotStart when somebody else listens on the gateway's port."""
    if port_is_free(port):
        return
    other = port + 10 if port < 65_000 else 8090
    raise CannotStart(
        f"端口 {port} 已被占用;请换一个端口:PORT={other} {command} "
        f"Port {port} is taken; choose another one: PORT={other} {command}"
    )


@contextmanager
def signals_stop() -> Iterator[None]:
    """Turns Ctrl-C, SIGTERM and a closed terminal into Stopped, wherever we are."""

    def stop(_: int, __: FrameType | None) -> None:
        # Only the first is heard: a second Ctrl-C must not interrupt the ending of our processes.
        ignore_signals()
        raise Stopped

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Child:
    """One of our processes and its log, .run/logs/<name>.log; the log of the run before is kept as <name>.log.1."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], logs: Path, lock: IO[str]) -> None:
        self.name = name
        logs.mkdir(parents=True, exist_ok=True)
        self.log = logs / f"{name}.log"
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("wb") as log:
            self.process = spawn(command, log, env=dict(env), cwd=ROOT, pass_fds=[lock.fileno()])

    @property
    def pid(self) -> int:
        """The process itself."""
        return self.process.pid

    def check(self) -> None:
        """Raises Died with the last lines of the log when the process is gone."""
        code = self.process.poll()
        if code is not None:
            raise Died(self.complaint(f"已退出(代码 {code})", f"has ended (code {code})"))

    def complaint(self, zh: str, en: str) -> str:
        """The last lines of the log and one sentence."""
        sentence = f"{self.name} {zh},完整日志见 {self.log}。{self.name} {en}; all of its log: {self.log}"
        return f"{last_lines(self.log)}\n{sentence}"

    def stop(self, deadline: float) -> None:
        """Asks the process to end; kills it when it has not by then (a monotonic time)."""
        send(self.pid, signal.SIGTERM)
        try:
            self.process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            send(self.pid, signal.SIGKILL)
            self.process.wait()


def ignore_signals() -> None:
    """From here on everything is being ended; whoever asks again need not."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def stop_all(children: Sequence[Child], within: float) -> None:
    """Ends them one after the other in the given order, all within so many seconds. A second Ctrl-C changes nothing."""
    ignore_signals()
    began = time.monotonic()
    for number_done, child in enumerate(children, start=1):
        child.stop(began + within * number_done / len(children))


def wait_until_ready(children: Sequence[Child], gateway_port: int, other_ports: Sequence[int] = ()) -> None:
    """Waits until the gateway says it is ready and every other port answers. Raises Died when that will not happen."""
    end = time.monotonic() + READY_WITHIN
    while not (is_ready(gateway_port) and all(answers(port) for port in other_ports)):
        for child in children:
            child.check()
        if time.monotonic() > end:
            last = children[-1]
            raise Died(last.complaint(f"{READY_WITHIN:.0f} 秒内未就绪", f"was not ready in {READY_WITHIN:.0f} s"))
        time.sleep(0.1)


def is_ready(port: int) -> bool:
    """Whether GET /readyz answers 200."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def watch(children: Sequence[Child]) -> None:
    """Returns never: ends by Stopped when a person wants it, by Died when a process is gone."""
    while True:
        for child in children:
            child.check()
        time.sleep(0.2)


def prepare(command: Sequence[str], env: Mapping[str, str], steps: Sequence[tuple[str, str, Sequence[str]]]) -> None:
    """Runs the commands that must be done before anything serves. Raises CannotStart with the command's last words."""
    for zh, en, words in steps:
        say(zh, en)
        try:
            run([*command, *words], timeout=300, env=dict(env), cwd=ROOT)
        except ProcessFailed as failed:
            text = f"{zh} 失败。{en} failed."
            raise CannotStart(f"{failed}\n{text}") from failed


def environment(folder: Path, port: int, addresses: Mapping[str, str], **more: str) -> dict[str, str]:
    """What every process of the district is told, on top of our own environment."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "BUS_URL", "GRPC_PORT")}
    named = {f"{service.upper()}_ADDRESS": address for service, address in addresses.items()}
    ours = {"ZONGZHI_TIER": TIER, "DATA_DIR": str(folder), "GATEWAY_PORT": str(port), "PYTHONUNBUFFERED": "1", "DEMO": "1"}
    return inherited | ours | named | more


@dataclass(frozen=True)
class District:
    """A running district, as a person or a program wants to know it."""

    port: int
    addresses: Mapping[str, str]
    login: Mapping[str, str]
    processes: Mapping[str, int]
    logs: Path

    @property
    def gateway(self) -> str:
        """The base of every HTTP address."""
        return f"http://{LOOPBACK}:{self.port}"

    def curl(self) -> list[str]:
        """Two lines to copy: take a token, file a petition."""
        token = f"""TOKEN=$(curl -sS {self.gateway}/v1/session {_json_body(self.login)} | """
        token += """sed -n 's/.*"access_token": *"\\([^"]*\\)".*/\\1/p')"""
        body = {"request_id": str(uuid4())} | dict(PETITION)
        auth = '-H "Authorization: Bearer $TOKEN"'
        return [token, f"curl -sS {self.gateway}/v1/petitions {auth} {_json_body(body)}"]

    def as_json(self) -> str:
        """One JSON object. `pid` is the launcher: SIGTERM to it ends everything; `processes` are the district's own."""
        facts = {
            "gateway": self.gateway, "docs": f"{self.gateway}/docs", "openapi": f"{self.gateway}/openapi.json",
            "grpc": dict(self.addresses), "login": dict(self.login), "curl": self.curl(), "pid": os.getpid(),
            "processes": dict(self.processes), "logs": str(self.logs),
        }  # fmt: skip
        return json.dumps(facts, ensure_ascii=False)

    def as_text(self) -> str:
        """The same for a person."""
        token, petition = self.curl()
        grpc = "  ".join(f"{name} {address}" for name, address in self.addresses.items())
        return "\n".join([
            "", "综治中心已就绪。The governance centre is ready.", "",
            f"  网关 gateway   {self.gateway}", f"  文档 docs      {self.gateway}/docs",
            f"  OpenAPI 3.1    {self.gateway}/openapi.json", f"  gRPC           {grpc}",
            f"  账号 account   {self.login['account']}", f"  密码 password  {self.login['password']}",
            f"  日志 logs      {self.logs}", "", "登记一件信访 · file a petition:", "", token, petition, "",
            "按 Ctrl-C 停止。Ctrl-C stops it.", "",
        ])  # fmt: skip


def _json_body(body: Mapping[str, Any]) -> str:
    return f"-H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body, ensure_ascii=False))}"


def read_login(folder: Path) -> dict[str, str]:
    """The demo account that set-up made. Raises CannotStart when the file is not what it wrote."""
    file = folder / "demo-login.json"
    try:
        content = json.loads(file.read_text())
        return {name: str(content[name]) for name in ("account", "password")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CannotStart(
            f"{file} 无法读取;请把整个文件夹改名留存后重试。"
            f"{file} cannot be read; move the whole folder aside and try again."
        ) from error


def show(district: District, as_json: bool) -> None:
    """Prints where everything is: alone on stdout, so that a program can read it."""
    sys.stdout.write((district.as_json() if as_json else district.as_text()) + "\n")
    sys.stdout.flush()
