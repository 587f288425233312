"""`make run`: one district in one process, SQLite files under .run/, no server, no root."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from infra import launch
from infra.data_dir import CannotStart, check_folder, only_user, write_pids
from infra.launch import Child, Died, District, Stopped, say
from infra.processes import LOOPBACK, free_port, port_is_free
from infra.servers import ProcessFailed, ServerMissing
from services.chassis.settings import DEFAULT_PORTS
from services.roles_names import service_names

END_WITHIN = 5.0


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """The options that `make run` and `make up` share."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--port", default=os.environ.get("PORT") or "8080", help="port of the gateway")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout and nothing else")
    parser.add_argument("--dir", type=Path, default=Path(".run"), help="folder of databases, keys and logs")
    parser.add_argument("--command", default=f"{shlex.quote(sys.executable)} -m services", help=argparse.SUPPRESS)
    return parser


def gateway_port(text: str) -> int:
    """The port as a number. Raises CannotStart."""
    if text.isdigit() and 1 <= int(text) <= 65_535:
        return int(text)
    raise CannotStart(
        f"端口须是 1 至 65535 的整数,收到的是 {text}:PORT=8090 make run "
        f"The port must be a number from 1 to 65535, not {text}: PORT=8090 make run"
    )


def grpc_addresses() -> dict[str, str]:
    """Where each service answers gRPC: its usual port, or a free one while that is taken."""
    usual = {name: DEFAULT_PORTS.get(name, 0) for name in service_names() or DEFAULT_PORTS}
    return {n: f"{LOOPBACK}:{port if port and port_is_free(port) else free_port()}" for n, port in usual.items()}


def run_district(chosen: argparse.Namespace) -> None:
    """Sets up, starts and watches; returns never. Raises CannotStart, Died or Stopped."""
    if chosen.tiers != "1":
        raise CannotStart(
            "本版本尚不含联级运行,请用 TIERS=1。Linked tiers are not part of this release; say TIERS=1 make run"
        )
    folder, port, command = chosen.dir.resolve(), gateway_port(chosen.port), shlex.split(chosen.command)
    say(f"检查 {chosen.dir}/ …", f"checking {chosen.dir}/")
    check_folder(folder)
    with only_user(folder) as lock:
        launch.check_port(port)
        addresses = grpc_addresses()
        # Gateway and services drain one after another, and a person who pressed Ctrl-C waits 5 s at most.
        env = launch.environment(folder, port, addresses, BUS_URL="local:", DRAIN_S="1")
        launch.prepare(command, env, preparations())
        say("启动 …", "starting")
        children: list[Child] = []
        try:
            children.append(Child("zongzhi", [*command, "all"], env, folder / "logs", lock))
            write_pids(lock, os.getpid(), children[0].pid)
            launch.wait_until_ready(children, port)
            processes = {"zongzhi": children[0].pid}
            launch.show(District(port, addresses, launch.read_login(folder), processes, folder / "logs"), chosen.json)
            launch.watch(children)
        finally:
            launch.stop_all(children, END_WITHIN)


def preparations(*create: str) -> list[tuple[str, str, Sequence[str]]]:
    """Keys, schema, shipped data: each may be repeated at every start."""
    names = "、".join(service_names())
    return [
        ("生成或核对密钥 …", "making or checking keys", ["setup"]),
        (f"迁移数据库 {names} …", "migrating databases", ["migrate", *create]),
        ("载入区划和单位 …", "loading divisions and offices", ["seed"]),
    ]


def launched(run: Callable[[argparse.Namespace], None], chosen: argparse.Namespace) -> int:
    """Runs a launcher to its end. 0: a person stopped it; 1: a process died; 2: something has to be put right first."""
    try:
        with launch.signals_stop():
            run(chosen)
    except Stopped:
        say("已停止。", "Stopped.")
        return 0
    except Died as died:
        sys.stderr.write(f"{died}\n")
        return 1
    except (CannotStart, ServerMissing, ProcessFailed) as reason:
        sys.stderr.write(f"{reason}\n")
        return 2
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """One district in one process."""
    parser = arguments(main.__doc__)
    parser.add_argument("--tiers", default=os.environ.get("TIERS") or "1", help="how many linked tiers; only 1 for now")
    return launched(run_district, parser.parse_args(words))


if __name__ == "__main__":
    sys.exit(main())
