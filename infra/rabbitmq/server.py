"""A RabbitMQ broker in a folder: for tests, for a developer, for measurements and for breaking on purpose."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pika

from infra.processes import (
    LOOPBACK,
    Notes,
    ProcessFailed,
    answers,
    free_port,
    is_running,
    last_lines,
    locked,
    new_password,
    run,
    send,
    spawn,
    wait_until,
)

# Debian, the official image, Homebrew.
PLACES = ("usr/lib/rabbitmq/lib/*/sbin", "opt/rabbitmq/sbin", "opt/homebrew/opt/rabbitmq/sbin")
SETTINGS = Path(__file__).with_name("rabbitmq.conf")
USER = "zongzhi"
# Quorum queues count themselves every 5 s; tests and people who watch want to see it sooner (milliseconds).
ADVANCED_SETTINGS = "[{rabbit, [{quorum_tick_interval, 500}]}].\n"
# Erlang's distribution, too, listens on loopback only.
ERLANG_ON_LOOPBACK = "-kernel inet_dist_use_interface {127,0,0,1}"


def find_scripts() -> Path | None:
    """The folder with the plain rabbitmq-server and rabbitmqctl; the wrappers in PATH insist on a system user."""
    for place in PLACES:
        for folder in sorted(Path("/").glob(place), reverse=True):
            if (folder / "rabbitmq-server").exists() and shutil.which("erl"):
                return folder
    return None


class RabbitServer:
    """One broker on loopback with its own node name, data, log, cookie, epmd and password in `folder`."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder.resolve()
        self.log = self.folder / "rabbitmq.log"
        self.node = f"zongzhi-{sha256(str(self.folder).encode()).hexdigest()[:12]}@localhost"
        self.start_seconds = 0.0
        self._wanted_port = port
        self._notes = Notes(self.folder / "server.json")
        self._children: list[subprocess.Popen[bytes]] = []

    @property
    def pid(self) -> int | None:
        """The broker's process; None when it does not run."""
        pid = self._notes.read().get("pid")
        return pid if is_running(pid, self._mark()) else None

    @property
    def port(self) -> int:
        """Fixed at the first start, so that clients find a restarted broker again."""
        return int(self._notes.read()["port"])

    @property
    def url(self) -> str:
        """The AMQP URL of the default virtual host."""
        notes = self._notes.read()
        return f"amqp://{USER}:{notes['password']}@{LOOPBACK}:{notes['port']}/%2F"

    def start(self) -> RabbitServer:
        """Starts the broker, or adopts the one that runs in this folder. Returns when it accepts a client."""
        began = time.monotonic()
        with locked(self.folder / ".lock"):
            if self.pid is None:
                self._prepare()
                self._spawn_epmd()
                self._spawn_broker()
            self._wait_until_ready()
        self.start_seconds = time.monotonic() - began
        return self

    def stop(self) -> None:
        """Ends the broker in order, then the epmd that was started with it."""
        self._end(self.pid, self._mark(), signal.SIGTERM)
        notes = self._notes.read()
        self._end(notes.get("epmd_pid"), self._epmd_mark(), signal.SIGTERM)

    def kill(self) -> None:
        """Ends the broker as a power cut would."""
        self._end(self.pid, self._mark(), signal.SIGKILL)

    def restart(self) -> None:
        """Stops and starts on the same port; durable queues and persistent messages are there again."""
        self.stop()
        self.start()

    def ctl(self, *words: str, timeout: float = 60) -> str:
        """Runs rabbitmqctl against this broker and returns what it wrote. Takes half a second and more."""
        command = [str(self._scripts() / "rabbitmqctl"), "--quiet", *words]
        return run(command, timeout=timeout, env=self._environment()).stdout

    def stop_app(self) -> None:
        """Closes the broker to clients while its process lives on."""
        self.ctl("stop_app")

    def start_app(self) -> None:
        """Opens the broker to clients again, and waits until one is accepted."""
        self.ctl("start_app")
        self._wait_until_ready()

    def close_all_connections(self, reason: str) -> None:
        """Throws every client out, as a failing network or an operator would."""
        self.ctl("close_all_connections", reason)

    def queues(self) -> dict[str, tuple[int, int]]:
        """Every queue with (messages, consumers). A quorum queue's count may be half a second old."""
        rows = json.loads(self.ctl("list_queues", "name", "messages", "consumers", "--formatter", "json"))
        return {row["name"]: (row["messages"], row["consumers"]) for row in rows}

    def _prepare(self) -> None:
        known = self._notes.read()
        notes: dict[str, Any] = {
            "port": self._wanted_port or free_port(), "epmd_port": free_port(), "dist_port": free_port(),
            "password": new_password(),
        } | known  # fmt: skip
        self._notes.write(notes)
        for name in ("home", "mnesia", "logs"):
            (self.folder / name).mkdir(exist_ok=True)
        (self.folder / "enabled_plugins").write_text("[].\n")
        (self.folder / "advanced.config").write_text(ADVANCED_SETTINGS)
        settings = self.folder / "rabbitmq.conf"
        settings.touch(mode=0o600)
        settings.write_text(SETTINGS.read_text() + _listener_and_user(notes["port"], notes["password"]))

    def _spawn_epmd(self) -> None:
        notes = self._notes.read()
        if is_running(notes.get("epmd_pid"), self._epmd_mark()):
            return
        with self.log.open("ab") as log:
            words = ["epmd", "-address", LOOPBACK, *self._epmd_mark().split()]
            child = spawn(words, log, cwd="/")
        self._children.append(child)
        self._notes.remember(epmd_pid=child.pid)
        if not wait_until(lambda: answers(notes["epmd_port"]), timeout=5):
            raise ProcessFailed(f"epmd 未能启动。epmd did not start:\n{last_lines(self.log)}")

    def _spawn_broker(self) -> None:
        with self.log.open("ab") as log:
            child = spawn([self._scripts() / "rabbitmq-server"], log, cwd=self.folder, env=self._environment())
        self._children.append(child)
        self._notes.remember(pid=child.pid)
        # The script becomes Erlang by exec; only then does its command line show its home.
        wait_until(lambda: self.pid is not None or child.poll() is not None, timeout=10)

    def _wait_until_ready(self) -> None:
        if not wait_until(lambda: self.pid is None or answers(self.port), timeout=60) or self.pid is None:
            raise ProcessFailed(f"RabbitMQ 未能启动。RabbitMQ did not start:\n{last_lines(self.log)}")
        with pika.BlockingConnection(pika.URLParameters(self.url)):
            pass

    def _end(self, pid: int | None, mark: str, number: signal.Signals) -> None:
        if pid is None or not is_running(pid, mark):
            return
        send(pid, number)
        if not wait_until(lambda: not is_running(pid, mark), timeout=20):
            send(pid, signal.SIGKILL)
        for child in self._children:
            if child.pid == pid:
                child.wait(timeout=5)

    def _mark(self) -> str:
        return f"-home {self.folder / 'home'} "

    def _epmd_mark(self) -> str:
        return f"-port {self._notes.read().get('epmd_port')}"

    def _environment(self) -> dict[str, str]:
        notes = self._notes.read()
        files = {
            "HOME": "home", "RABBITMQ_MNESIA_BASE": "mnesia", "RABBITMQ_LOG_BASE": "logs",
            "RABBITMQ_CONFIG_FILE": "rabbitmq.conf", "RABBITMQ_ADVANCED_CONFIG_FILE": "advanced.config",
            "RABBITMQ_CONF_ENV_FILE": "rabbitmq-env.conf", "RABBITMQ_ENABLED_PLUGINS_FILE": "enabled_plugins",
        }  # fmt: skip
        return {name: str(self.folder / file) for name, file in files.items()} | {
            "PATH": os.environ["PATH"], "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(notes["epmd_port"]), "ERL_EPMD_ADDRESS": LOOPBACK,
            "RABBITMQ_NODENAME": self.node, "RABBITMQ_DIST_PORT": str(notes["dist_port"]),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG_ON_LOOPBACK, "RABBITMQ_CTL_ERL_ARGS": ERLANG_ON_LOOPBACK,
            # rabbitmqctl is a node too; port 0 lets many run at once.
            "RABBITMQ_CTL_DIST_PORT_MIN": "0", "RABBITMQ_CTL_DIST_PORT_MAX": "0",
            # Makes the script exec Erlang, so that the process we know is the broker itself.
            "RUNNING_UNDER_SYSTEMD": "true",
        }  # fmt: skip

    @staticmethod
    def _scripts() -> Path:
        scripts = find_scripts()
        if scripts is None:
            raise ProcessFailed("未找到 RabbitMQ。RabbitMQ is not installed.")
        return scripts


def _listener_and_user(port: int, password: str) -> str:
    return f"""
listeners.tcp.1 = {LOOPBACK}:{port}
default_user = {USER}
default_pass = {password}
log.console = false
"""
