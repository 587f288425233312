"""Processes that we start in a folder of their own, find again by pid, and stop: nothing is ever stopped by name."""

from __future__ import annotations

import fcntl
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

LOOPBACK = "127.0.0.1"
FIRST_PORT, LAST_PORT = 10_000, 32_000


class ProcessFailed(Exception):
    """A program ended, or did not become ready in time. The message holds the last lines it wrote."""


def free_port() -> int:
    """A port on loopback that nothing uses now.

    Below the range from which the kernel takes ports for outgoing connections (32768 and up): a client that keeps
    calling a stopped server could otherwise be given the server's own port, and take it, or connect to itself.
    """
    for _ in range(200):
        port = random.randint(FIRST_PORT, LAST_PORT)  # noqa: S311 - spreads users of one machine, guards nothing
        if port_is_free(port):
            return port
    raise ProcessFailed(f"本机没有空闲端口。No port from {FIRST_PORT} to {LAST_PORT} is free on this machine.")


def port_is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def answers(port: int, host: str = LOOPBACK) -> bool:
    """Whether something accepts connections on this port."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], timeout: float, step: float = 0.05) -> bool:
    """Looks every `step` seconds until the condition holds (True) or `timeout` seconds have passed (False)."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(step)
    return True


def run(args: Sequence[str | Path], timeout: float = 120, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end. Raises ProcessFailed with what it wrote when it fails or takes too long."""
    words = [str(a) for a in args]
    try:
        done = subprocess.run(  # noqa: S603 - a list, no shell; the words are ours
            words, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, **options
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProcessFailed(f"{Path(words[0]).name}: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise ProcessFailed(f"{Path(words[0]).name} exit {done.returncode}: {said}")
    return done


def spawn(args: Sequence[str | Path], log: IO[bytes], **options: Any) -> subprocess.Popen[bytes]:
    """Starts a program in a session of its own, so that Ctrl-C in the terminal reaches it only through us."""
    return subprocess.Popen(  # noqa: S603 - a list, no shell; the words are ours
        [str(a) for a in args], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **options
    )


def is_running(pid: int | None, mark: str) -> bool:
    """Whether the process exists and its command line holds `mark`: a pid alone may meanwhile be somebody else's."""
    line = _command_line(pid) if pid is not None else ""
    return bool(line) and mark in line


def _command_line(pid: int) -> str:
    if Path("/proc/self/cmdline").exists():
        with suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return ""
    with suppress(ProcessFailed):
        return run(["ps", "-o", "args=", "-p", str(pid)]).stdout
    return ""


def send(pid: int, number: signal.Signals) -> None:
    """Sends a signal; a process that is gone already is fine."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log file, for a person who asks what went wrong."""
    with suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
    return ""


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Waits until nobody else holds this lock file, and holds it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


class Notes:
    """What a server in a folder must remember (ports, password, pids), in a file only its owner can read."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def read(self) -> dict[str, Any]:
        """What is known; nothing before the first start."""
        try:
            notes = json.loads(self.file.read_text())
        except FileNotFoundError:
            return {}
        return notes if isinstance(notes, dict) else {}

    def write(self, notes: Mapping[str, Any]) -> None:
        """Replaces the file as a whole, so that a reader never sees half of it."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        new = self.file.with_suffix(".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
            json.dump(dict(notes), handle)
        new.replace(self.file)

    def remember(self, **values: Any) -> dict[str, Any]:
        """Adds to what is known and returns all of it."""
        notes = self.read() | values
        self.write(notes)
        return notes


def new_password() -> str:
    """A password that needs no quoting in a URL."""
    return secrets.token_urlsafe(18)
