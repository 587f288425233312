"""What measurements stand on: servers, districts started as an operator would, the bare server, the callers."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg

from bench.load import write_frames
from bench.rounds import Round
from e2e import broker
from e2e.system import SERVICES, TIER, System
from infra.processes import ProcessFailed, answers, free_port, wait_until
from infra.servers import PostgresServer, RabbitServer, ensure_installed, wants_install
from services.chassis import access, migrations, tokens
from services.chassis.identity import Identity

ROOT = Path(__file__).parent.parent
CALLERS = 16
BARE_DATABASE = "bench_bare"


class Ground:
    """Servers are started when a part first asks for them, and stopped at the end."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.random = random.Random(seed)
        self._stack = ExitStack()
        self._count = 0

    def __enter__(self) -> Ground:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @cached_property
    def postgres(self) -> PostgresServer:
        """PostgreSQL with the shipped settings; it also notes when each transaction was committed."""
        ensure_installed(wants_install())
        server = PostgresServer(self.folder / "postgres")
        self._stack.callback(server.stop)
        server.start()
        with self.sql("postgres", server) as conn:
            conn.execute("ALTER SYSTEM SET track_commit_timestamp = on")
        server.restart()
        return server

    @cached_property
    def rabbit(self) -> RabbitServer:
        """A broker with the shipped settings."""
        ensure_installed(wants_install())
        server = RabbitServer(self.folder / "rabbitmq")
        self._stack.callback(server.stop)
        return server.start()

    @cached_property
    def load(self) -> Load:
        """The callers' process."""
        return self._stack.enter_context(Load(self.folder))

    @contextmanager
    def sql(self, database: str, server: PostgresServer | None = None) -> Iterator[psycopg.Connection[Any]]:
        """A session on one of our databases; each statement is its own transaction."""
        url = (server or self.postgres).url(database).replace("postgresql+psycopg://", "postgresql://")
        with psycopg.connect(url, autocommit=True) as conn:
            yield conn

    @contextmanager
    def district(self, *roles: str, **more: str) -> Iterator[District]:
        """A fresh district on PostgreSQL and RabbitMQ of which these processes run, such as `serve-petition`."""
        for name in SERVICES:
            self.postgres.drop_database(f"zongzhi_{name}")
        broker.remove_queues(self.rabbit.url)
        district = District(self, self._folder(), **more)
        district.prepare()
        try:
            for role in roles:
                district.run(role)
            yield district
        finally:
            district.stop_all()

    @contextmanager
    def bare(self) -> Iterator[str]:
        """The bare gRPC server on a database with the same tables; gives its address."""
        self.postgres.drop_database(BARE_DATABASE)
        url = self.postgres.create_database(BARE_DATABASE)
        migrations.migrate("petition", url)
        port = free_port()
        words = [sys.executable, "-m", "bench.bare", "--database", url, "--port", str(port)]
        with _ended(subprocess.Popen(words, cwd=ROOT)):
            if not wait_until(lambda: answers(port), timeout=20):
                raise ProcessFailed("bench.bare does not listen")
            yield f"127.0.0.1:{port}"

    def _folder(self) -> Path:
        self._count += 1
        folder = self.folder / f"district-{self._count}"
        folder.mkdir()
        return folder


class District(System):
    """A district whose processes are started one by one."""

    def __init__(self, ground: Ground, folder: Path, **more: str) -> None:
        # As shipped; tests have the clocks looked at more often.
        settings = {"SWEEP_INTERVAL_S": "5", **more}
        super().__init__(folder, bus_url=ground.rabbit.url, database_url=ground.postgres.url(), **settings)
        self.ground = ground

    def run(self, name: str) -> None:
        """Starts a process and waits until it answers; workers have no port and are not waited for."""
        self.start(name)
        role, _, service = name.partition("-")
        port = self.ports["gateway" if role == "gateway" else service]
        if role != "work" and not wait_until(lambda: answers(port), timeout=40):
            raise ProcessFailed(f"{name} is not ready:\n{self.tails()}")

    def replica(self, name: str, words: Sequence[str], **env: str) -> None:
        """One more process beside those of the usual shape."""
        with (self.folder / "logs" / f"{name}.log").open("ab") as output:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "services", *words],
                env={**self.env, **env},
                cwd=ROOT,
                stdout=output,
                stderr=output,
            )

    def address(self, service: str = "petition") -> str:
        """host:port of a service."""
        return f"127.0.0.1:{self.ports[service]}"

    def end(self, name: str) -> None:
        """Ends one process in order."""
        process = self.processes.pop(name)
        process.terminate()
        process.wait(timeout=15)

    def metadata(self) -> dict[str, str]:
        """What a gRPC caller sends: a token of the demo officer that outlives the measurement."""
        key = tokens.load_private(self.settings.token_private_key_file)
        units = frozenset({"341702-XFJ", "341702-SFJ"})
        permissions = frozenset(rule.permission for m in access.methods() if (rule := access.rule_of(_path(m))))
        who = Identity("demo", TIER, "341702", units, frozenset(), permissions, unit="341702-XFJ")
        return {"authorization": f"Bearer {tokens.sign(key, who, list(SERVICES), ttl_s=3600)}"}

    def headers(self) -> dict[str, str]:
        """What an HTTP caller sends: a token of the gateway's own."""
        self.sign_in()
        return {"Authorization": str(self.http.headers["Authorization"])}


def _path(method: Any) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


class Load:
    """The callers' process (`bench/load.py`), one round per order."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.load"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait(timeout=10)

    def grpc(
        self, target: str, method: str, frames: list[bytes], seconds: float, metadata: dict[str, str] | None = None,
        rate: float | None = None,
    ) -> Round:  # fmt: skip
        """One round of gRPC calls."""
        more = {"target": target, "method": method, "seconds": seconds, "metadata": metadata or {}, "rate": rate}
        return self._round({"kind": "grpc", **more}, frames)

    def http(self, target: str, frames: list[bytes], seconds: float) -> Round:
        """One round of HTTP calls; a frame is a whole request."""
        return self._round({"kind": "http", "target": target, "seconds": seconds}, frames)

    def pairs(self, target: str, bodies: list[bytes], headers: dict[str, str]) -> dict[str, Any]:
        """POST-then-GET pairs, one for each body."""
        return self._order({"kind": "pairs", "target": target, "headers": headers}, bodies)

    def _round(self, order: dict[str, Any], frames: list[bytes]) -> Round:
        said = self._order(order, frames)
        if said["failed"] or not said["done"]:
            raise AssertionError(f"{said['failed']} of {said['done'] + said['failed']} calls failed: {said['failure']}")
        return Round(said["done"], said["seconds"], said["latencies"])

    def _order(self, order: dict[str, Any], frames: list[bytes]) -> dict[str, Any]:
        path = self._folder / "frames.bin"
        write_frames(path, frames)
        self._process.stdin.write(json.dumps({"callers": CALLERS, "frames": str(path), **order}) + "\n")  # type: ignore[union-attr]
        self._process.stdin.flush()  # type: ignore[union-attr]
        answer = self._process.stdout.readline()  # type: ignore[union-attr]
        if not answer:
            raise ProcessFailed("the callers' process ended")
        return dict(json.loads(answer))


@contextmanager
def _ended(process: subprocess.Popen[Any]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)
