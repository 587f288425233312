"""What this machine can do at most, with nothing of ours in the way."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench import rabbit
from bench.bare import ECHO, INSERT
from bench.figures import Figure
from bench.ground import CALLERS, Ground
from infra.postgres.server import find_binaries
from infra.processes import run

TITLE = "裸极限 · raw limits"
SECONDS = 4.0
BODY = b"x" * 460


def measure(ground: Ground) -> list[Figure]:
    """PostgreSQL, SQLite, gRPC, RabbitMQ, and the shortest way through gRPC into PostgreSQL."""
    deeds: tuple[Callable[[Ground], list[Figure]], ...] = (_postgres, _sqlite, _grpc, _rabbit)
    found = []
    for deed in deeds:
        for figure in deed(ground):
            print(figure.line, flush=True)
            found.append(figure)
    return found


def _postgres(ground: Ground) -> list[Figure]:
    """pgbench: one INSERT, one commit, synchronous_commit=on."""
    url = ground.postgres.create_database("bench_raw").replace("postgresql+psycopg://", "postgresql://")
    with ground.sql("bench_raw") as conn:
        conn.execute("CREATE TABLE IF NOT EXISTS one (id bigserial PRIMARY KEY, body text)")
    script = ground.folder / "insert.sql"
    script.write_text("INSERT INTO one (body) VALUES (repeat('x', 200));\n")
    pgbench = (find_binaries() or Path("/usr/bin")) / "pgbench"
    words: list[str | Path] = [
        pgbench, "-n", "-M", "prepared", "-f", script, "-c", str(CALLERS), "-j", "2", "-T", str(int(SECONDS)), url,
    ]  # fmt: skip
    said = run(words).stdout
    rate = float(re.search(r"tps = ([0-9.]+)", said)[1])  # type: ignore[index]
    zh = "PostgreSQL 单行 INSERT 提交,16 个客户端(pgbench)"
    return [Figure("raw_pg_commits_per_s", round(rate), "per s", zh, int(rate * SECONDS))]


def _sqlite(ground: Ground) -> list[Figure]:
    conn = sqlite3.connect(ground.folder / "raw.db", isolation_level=None)
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute("PRAGMA synchronous=FULL")
    conn.execute("CREATE TABLE one (id INTEGER PRIMARY KEY, body TEXT)")
    began, n = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS / 2:
        conn.execute("INSERT INTO one (body) VALUES (?)", ["x" * 200])
        n += 1
    rate = n / (time.perf_counter() - began)
    conn.close()
    return [Figure("raw_sqlite_full_commits_per_s", round(rate), "per s", "SQLite 单行提交,WAL,synchronous=FULL", n)]


def _grpc(ground: Ground) -> list[Figure]:
    with ground.bare() as target:
        found = []
        for method, name, zh in (
            (ECHO, "raw_grpc_echo_per_s", "gRPC 空调用,16 个并发"),
            (INSERT, "raw_grpc_insert_per_s", "gRPC → 单行 INSERT 提交,16 个并发"),
        ):
            ground.load.grpc(target, method, [BODY] * 200, 0.5)
            done = ground.load.grpc(target, method, [BODY] * 40_000, SECONDS)
            found.append(Figure(name, round(done.rate), "per s", zh, done.done))
    return found


def _rabbit(ground: Ground) -> list[Figure]:
    count = 30_000
    seconds = float(subprocess.run(
        rabbit.publish_words(ground.rabbit.url, "bench.raw", count), capture_output=True, text=True, check=True
    ).stdout)  # fmt: skip
    rabbit.remove(ground.rabbit.url, "bench.raw")
    zh = "RabbitMQ 法定人数队列,持久消息逐条确认,窗口 500"
    return [Figure("raw_rabbit_confirmed_per_s", round(count / seconds), "per s", zh, count)]
