"""`make up`: a district with a real RabbitMQ and PostgreSQL, one process per service and role."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from infra import launch
from infra.backing import Backing, find_backing
from infra.data_dir import check_folder, only_user, write_pids
from infra.launch import Child, District, say
from infra.run import arguments, gateway_port, grpc_addresses, launched, preparations
from infra.servers import wants_install

END_WITHIN = 10.0


class Processes:
    """The district's processes: started services first, stopped gateway first, so that nobody calls what is gone."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], logs: Path, lock: IO[str]) -> None:
        self._command, self._env, self._logs, self._lock = command, env, logs, lock
        self.children: list[Child] = []

    def start(self, name: str, *words: str, **more: str) -> None:
        """Starts one."""
        say(f"启动 {name} …", f"starting {name}")
        self.children.append(Child(name, [*self._command, *words], {**self._env, **more}, self._logs, self._lock))

    def start_all(self, addresses: Mapping[str, str]) -> None:
        """`serve` and `work` of every service, then the gateway."""
        for service, address in addresses.items():
            self.start(f"serve-{service}", "serve", service, GRPC_PORT=address.rpartition(":")[2])
        for service in addresses:
            self.start(f"work-{service}", "work", service)
        self.start("gateway", "gateway")
        write_pids(self._lock, os.getpid(), *self.pids().values())

    def stop(self) -> None:
        """Ends all of them."""
        if self.children:
            launch.stop_all(self.children[::-1], END_WITHIN)

    def pids(self) -> dict[str, int]:
        """Who is who."""
        return {child.name: child.pid for child in self.children}


def up(chosen: argparse.Namespace) -> None:
    """Sets up, starts and watches; returns never. Raises CannotStart, Died or Stopped."""
    folder, port = chosen.dir.resolve(), gateway_port(chosen.port)
    say(f"检查 {chosen.dir}/ …", f"checking {chosen.dir}/")
    check_folder(folder)
    with only_user(folder) as lock:
        launch.check_port(port, "make up")
        backing = find_backing(folder, os.environ, chosen.install)
        try:
            serve_district(chosen, folder, port, backing, lock)
        finally:
            launch.ignore_signals()
            backing.stop()


def serve_district(chosen: argparse.Namespace, folder: Path, port: int, backing: Backing, lock: IO[str]) -> None:
    """Runs every process on servers that answer; returns never."""
    addresses, command = grpc_addresses(), shlex.split(chosen.command)
    owner = backing.database_owner_url
    env = launch.environment(
        folder, port, addresses, BUS_URL=backing.rabbitmq_url, DATABASE_URL=backing.database_url,
        **({"DATABASE_OWNER_URL": owner} if owner else {}),
    )  # fmt: skip
    launch.prepare(command, env, preparations("--create"))
    # Who serves need not know how to alter tables.
    env.pop("DATABASE_OWNER_URL", None)
    processes = Processes(command, env, folder / "logs", lock)
    try:
        processes.start_all(addresses)
        grpc_ports = [int(address.rpartition(":")[2]) for address in addresses.values()]
        launch.wait_until_ready(processes.children, port, grpc_ports)
        district = District(port, addresses, launch.read_login(folder), processes.pids(), folder / "logs")
        launch.show(district, chosen.json)
        launch.watch(processes.children)
    finally:
        processes.stop()


def main(words: Sequence[str] | None = None) -> int:
    """A district with a real RabbitMQ and PostgreSQL, one process per service and role."""
    parser = arguments(main.__doc__)
    install = "as root: apt-get install the servers (INSTALL=1)"
    parser.add_argument("--install", action="store_true", default=wants_install(), help=install)
    return launched(up, parser.parse_args(words))


if __name__ == "__main__":
    sys.exit(main())
