"""PostgreSQL and RabbitMQ of one's own, in a folder, on free ports, with no system service and no administrator.

python -m infra.servers ensure [--install]
python -m infra.servers start --folder .run/servers --print-env
python -m infra.servers status --folder .run/servers
python -m infra.servers stop --folder .run/servers
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.postgres.server import PostgresServer, create_database, drop_database, find_binaries
from infra.processes import ProcessFailed, free_port, run
from infra.rabbitmq.server import RabbitServer, find_scripts
from infra.s3.server import S3Missing, S3Server, ensure_built

__all__ = [
    "PostgresServer", "ProcessFailed", "RabbitServer", "S3Missing", "S3Server", "ServerMissing", "create_database",
    "drop_database", "ensure_installed", "free_port", "missing_packages", "wants_install",
]  # fmt: skip

POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_SAYS_NO = "#!/bin/sh\nexit 101\n"


class ServerMissing(Exception):
    """PostgreSQL or RabbitMQ is not installed; the message is one sentence with the command to type."""

    def __init__(self, packages: Sequence[str]) -> None:
        command = f"apt-get update && apt-get install -y {' '.join(packages)}"
        names = "、".join(packages)
        super().__init__(f"本机缺少 {names},请以 root 运行:{command} Missing here: {names}; as root type: {command}")
        self.packages = list(packages)


def missing_packages() -> list[str]:
    """The Debian packages that are not installed yet."""
    found = {"postgresql": find_binaries(), "rabbitmq-server": find_scripts()}
    return [package for package, where in found.items() if where is None]


def wants_install() -> bool:
    """Whether the person said INSTALL=1."""
    return os.environ.get("INSTALL", "") not in ("", "0")


def ensure_installed(install: bool = False, policy: Path = POLICY, run: Callable[..., Any] = run) -> None:
    """Raises ServerMissing when a server is not installed; with `install`, and as root, installs it first."""
    missing = missing_packages()
    if missing and install and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        with _services_stay_off(policy):
            run(["apt-get", "update"], timeout=300, env=quiet)
            run(["apt-get", "install", "-y", "--no-install-recommends", *missing], timeout=900, env=quiet)
        missing = missing_packages()
    if missing:
        raise ServerMissing(missing)


@contextmanager
def _services_stay_off(policy: Path) -> Iterator[None]:
    """Debian starts a server when it installs it; we want the programs, not another running server."""
    if policy.exists():
        yield
        return
    policy.write_text(POLICY_SAYS_NO)
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


class Servers:
    """Both servers in one folder."""

    def __init__(self, folder: Path) -> None:
        self.postgres = PostgresServer(folder / "postgres")
        self.rabbit = RabbitServer(folder / "rabbitmq")

    def start(self) -> None:
        """Starts or adopts both."""
        self.postgres.start()
        self.rabbit.start()

    def stop(self) -> None:
        """Stops both; what does not run is fine."""
        self.rabbit.stop()
        self.postgres.stop()

    def environment(self) -> dict[str, str]:
        """What a service needs to know to reach them."""
        return {"RABBITMQ_URL": self.rabbit.url, "DATABASE_URL": self.postgres.url()}

    def status(self) -> str:
        """One line for each: its pid and port, or that it does not run."""
        lines = []
        for name, server in (("postgresql", self.postgres), ("rabbitmq", self.rabbit)):
            pid = server.pid
            state = f"运行中 running, pid {pid}, port {server.port}" if pid else "未运行 not running"
            lines.append(f"{name}: {state}")
        return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Starts, stops or shows the servers of a folder; `ensure` only sees that they are installed.

    Exit 2 with one sentence when that is not possible.
    """
    parser = argparse.ArgumentParser(prog="python -m infra.servers", description=main.__doc__)
    parser.add_argument("command", choices=["ensure", "start", "stop", "status"])
    parser.add_argument("--folder", type=Path, default=Path(".run/servers"))
    parser.add_argument("--print-env", action="store_true", help="print RABBITMQ_URL= and DATABASE_URL=")
    install = "as root: apt-get install what is missing (INSTALL=1)"
    parser.add_argument("--install", action="store_true", default=wants_install(), help=install)
    chosen = parser.parse_args(words)
    try:
        return _do(chosen)
    except (ServerMissing, S3Missing, ProcessFailed, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _do(chosen: argparse.Namespace) -> int:
    if chosen.command == "ensure":
        if not {"TEST_DATABASE_URL", "TEST_RABBITMQ_URL"} <= os.environ.keys():
            ensure_installed(chosen.install)
        if "TEST_BLOB_URL" not in os.environ:
            ensure_built()
        return 0
    servers = Servers(chosen.folder)
    if chosen.command == "start":
        ensure_installed(chosen.install)
        servers.start()
    if chosen.command == "stop":
        servers.stop()
    if chosen.print_env:
        sys.stdout.write("".join(f"{name}={value}\n" for name, value in servers.environment().items()))
    sys.stderr.write(servers.status() + "\n")
    return int(chosen.command == "status" and None in (servers.postgres.pid, servers.rabbit.pid))


if __name__ == "__main__":
    sys.exit(main())
