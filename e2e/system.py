"""Starts a district as an operator would: the same commands, in a folder of its own, on free ports.

local bus    one process: `zongzhi all`
RabbitMQ     one process per service and role: serve and work of petition and mediation, and the gateway
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from infra.launch import ROOT
from infra.processes import free_port, wait_until
from services.chassis.settings import Settings

TIER = "341702000000"
SERVICES = ("petition", "mediation", "grid")
RATES = ("ACCOUNT", "SOURCE", "SIGN_IN", "TOKEN", "TRACK", "FILING")
# Five processes load their libraries at once on two cores; on a busy machine that takes its time.
READY_WITHIN = 120.0


class System:
    """A running district. `with System(folder) as system:` starts and stops it."""

    def __init__(
        self,
        folder: Path,
        *,
        bus_url: str = "local:",
        database_url: str | None = None,
        worker: str = "nameko",
        collector: str | None = None,
        **more: str,
    ) -> None:
        self.folder = folder
        self.bus_url = bus_url
        self.ports = {name: free_port() for name in (*SERVICES, "gateway")}
        self.gateway = f"http://127.0.0.1:{self.ports['gateway']}"
        self.env = {
            **os.environ,
            "ZONGZHI_TIER": TIER,
            "DATA_DIR": str(folder / "data"),
            "BUS_URL": bus_url,
            "WORKER": worker,
            "DEMO": "1",
            "GATEWAY_PORT": str(self.ports["gateway"]),
            "SWEEP_INTERVAL_S": "0.5",
            "PYTHONUNBUFFERED": "1",
            # One account at one address plays a whole office here.
            **{f"RATE_{name}": "100000/100000" for name in RATES},
            **{f"{name.upper()}_ADDRESS": f"127.0.0.1:{self.ports[name]}" for name in SERVICES},
            **more,
        }
        if database_url:
            self.env["DATABASE_URL"] = database_url
        if collector:
            self.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.metrics_ports = {name: free_port() for name in self.roles()}
        self.http = requests.Session()
        self.sign_in_again_at = float("inf")

    def __enter__(self) -> System:
        self.prepare()
        try:
            self.start_all()
        except BaseException:
            self.stop_all()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all()

    def prepare(self) -> None:
        """Keys, databases, seeds: what `make run` and `make up` do before the first start."""
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        for command in (["setup"], ["migrate", "--create"], ["seed"]):
            self.command(*command)

    def command(self, *words: str) -> str:
        """Runs `zongzhi WORDS…` to its good end and returns what it printed."""
        done = self.attempt(*words)
        if done.returncode:
            raise AssertionError(
                f"zongzhi {' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
        return done.stdout

    def attempt(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs `zongzhi WORDS…` to whatever end."""
        return subprocess.run(
            [sys.executable, "-m", "services", *words],
            env=self.env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @property
    def settings(self) -> Settings:
        """What its processes were told."""
        return Settings.from_env(self.env)

    def roles(self) -> dict[str, list[str]]:
        """The processes of this shape, and the command of each."""
        if self.bus_url == "local:":
            return {"all": ["all"]}
        both = {f"{role}-{name}": [role, name] for name in SERVICES for role in ("serve", "work")}
        return {**both, "gateway": ["gateway"]}

    def start_all(self) -> None:
        """Starts every process and waits until the gateway finds its neighbours ready."""
        for name in self.roles():
            self.start(name)
        wait_until(lambda: self.ready() or self.ended(), timeout=READY_WITHIN)
        if self.ended() or not self.ready():
            raise AssertionError(f"not ready:\n{self.tails()}")

    def start(self, name: str) -> None:
        """Starts one process; its log goes to logs/<name>.log."""
        env = self.env | {"METRICS_PORT": str(self.metrics_ports[name])}
        role, *service = self.roles()[name]
        if role == "serve":
            env["GRPC_PORT"] = str(self.ports[service[0]])
        with (self.folder / "logs" / f"{name}.log").open("ab") as output:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "services", role, *service],
                env=env,
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def stop_all(self) -> None:
        """SIGTERM to all, and the time that each may take."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def kill(self, name: str) -> None:
        """kill -9: nothing gets to say goodbye."""
        self.processes[name].kill()
        self.processes[name].wait()

    def ended(self) -> bool:
        """Whether one of its processes has ended by itself."""
        return any(process.poll() is not None for process in self.processes.values())

    def ready(self) -> bool:
        """Whether the gateway and every service behind it answer."""
        try:
            return requests.get(f"{self.gateway}/readyz", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def logs(self) -> str:
        """Everything that every process wrote."""
        return "".join(p.read_text(errors="replace") for p in sorted((self.folder / "logs").glob("*.log")))

    def tails(self, lines: int = 15) -> str:
        """The last lines of every log."""
        return "\n".join(
            f"--- {p.name}\n" + "\n".join(p.read_text(errors="replace").splitlines()[-lines:])
            for p in sorted((self.folder / "logs").glob("*.log"))
        )

    def login(self) -> dict[str, str]:
        """The demo login as `zongzhi setup` made it."""
        return dict(json.loads((self.folder / "data" / "demo-login.json").read_text()))

    def sign_in(self) -> None:
        """Signs in; every later call carries the token."""
        answer = self.http.post(f"{self.gateway}/v1/session", json=self.login(), timeout=10)
        answer.raise_for_status()
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        self.sign_in_again_at = time.monotonic() + answer.json()["expires_in"] * 0.8

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, **options: Any) -> requests.Response:
        """One HTTP call, whatever the answer. A story that takes long signs in again before its token ends."""
        if time.monotonic() > self.sign_in_again_at:
            self.sign_in()
        return self.http.request(method, f"{self.gateway}{path}", json=body, timeout=30, **options)

    def ok(self, method: str, path: str, body: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        """One HTTP call that must succeed."""
        answer = self.call(method, path, body, **options)
        if not answer.ok:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
        return dict(answer.json())


def eventually(look: Callable[[], Any], what: str, timeout: float = 60) -> Any:
    """Looks until it finds something; says what was waited for when it does not come."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"did not happen within {timeout} s: {what}")


def new_request_id() -> str:
    """What a caller chooses to make a call repeatable."""
    return str(uuid.uuid4())
