"""Work on spreadsheets, images and documents in a short-lived process with limits, so that a hostile file ends there.

A task is a function `task(source, out, **arguments)` of any module: `source` is the file's bytes as a binary stream (a
real file: it can be read twice and from anywhere), `out` a binary stream for what comes of it. What a person did
wrong it says by raising Invalid. The memory that libraries take for the work is given back when the process ends.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from services.chassis.refusal import Invalid, Violation

log = logging.getLogger(__name__)

REFUSED = 3
_MEBIBYTE = 1 << 20
# What a person is told stands on stderr behind this line's beginning; all else there is for the log.
_SAID = "zongzhi-refused:"


@dataclass(frozen=True)
class Limits:
    """What a task may use. Seconds of the clock (and of processor time), memory and output in mebibytes."""

    seconds: float = 30.0
    memory_mb: int = 512
    output_mb: int = 64


class TooMuch(Exception):
    """The task used more than its limits allow, or fell over: the file is damaged, hostile or far too large."""

    def __init__(self, task: str, how: str) -> None:
        super().__init__(f"{task}: {how}")
        # `time`, `output` or `crashed`; memory that is refused is a crash.
        self.how = how


def run(task: str, source: bytes | Path, limits: Limits | None = None, **arguments: Any) -> bytes:
    """What the task `module:function` writes. Raises Invalid as the task said it, or TooMuch."""
    allowed, found = limits or Limits(), bytearray()
    with _child(task, source, allowed, arguments) as process:
        while piece := _output(process).read(1 << 16):
            found += piece
            if len(found) > allowed.output_mb * _MEBIBYTE:
                raise TooMuch(task, "output")
    return bytes(found)


def lines(
    task: str, source: bytes | Path, limits: Limits | None = None, **arguments: Any
) -> Generator[Any, None, None]:
    """What the task writes as one JSON value a line, each as soon as it comes. Raises as `run` does."""
    allowed, read = limits or Limits(), 0
    with _child(task, source, allowed, arguments) as process:
        for line in _output(process):
            read += len(line)
            if read > allowed.output_mb * _MEBIBYTE:
                raise TooMuch(task, "output")
            if not line.endswith(b"\n"):
                # The child was ended in the middle of it; how is told behind the block.
                break
            yield json.loads(line)


@contextmanager
def _child(
    task: str, source: bytes | Path, limits: Limits, arguments: Mapping[str, Any]
) -> Iterator[subprocess.Popen[bytes]]:
    """The running child; at the end of the block it is gone, and how it ended is raised."""
    order = json.dumps({"task": task, "arguments": dict(arguments), "limits": vars(limits)})
    command = [sys.executable, "-m", "services.chassis.child", order]
    with _opened(source) as stdin, tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, env=_environment(), start_new_session=True
        )
        late = threading.Event()
        timer = threading.Timer(limits.seconds, _end, (process, late))
        timer.start()
        try:
            yield process
            _output(process).close()
            process.wait()
        finally:
            timer.cancel()
            _kill(process)
            process.wait()
            _output(process).close()
        stderr.seek(0)
        _judge(task, process.returncode, late.is_set(), stderr.read(_MEBIBYTE).decode("utf-8", "replace"))


def _judge(task: str, code: int, late: bool, said: str) -> None:
    if code == 0:
        return
    refused = next((line for line in said.splitlines() if line.startswith(_SAID)), None)
    if code == REFUSED and refused is not None:
        told = json.loads(refused.removeprefix(_SAID))
        raise Invalid.of([Violation(**one) for one in told])
    how = "time" if late or code == -signal.SIGXCPU else "crashed"
    # The last line names the exception; its text may quote the file, so only the type is kept.
    last = (said.strip().splitlines() or [""])[-1].split(":")[0][:80]
    log.warning("child ended badly", extra={"fields": {"task": task, "how": how, "code": code, "error": last}})
    raise TooMuch(task, how)


def _output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    return process.stdout


def _end(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The child and whatever it started; only while it was not waited for, so that the number is still its own."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def _opened(source: bytes | Path) -> Iterator[IO[bytes]]:
    if isinstance(source, Path):
        with source.open("rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as file:
        file.write(source)
        file.seek(0)
        yield file


def _environment() -> dict[str, str]:
    """No address, password or key of ours goes along."""
    root = str(Path(__file__).resolve().parents[2])
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "HOME") if name in os.environ}
    return {**kept, "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1", "MALLOC_ARENA_MAX": "1"}


def _main(order: str) -> int:
    told = json.loads(order)
    limits = Limits(**told["limits"])
    memory, seconds = limits.memory_mb * _MEBIBYTE, int(limits.seconds) + 1
    for which, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, limits.output_mb * _MEBIBYTE),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(which, (most, most))
    module, _, name = told["task"].partition(":")
    task = getattr(importlib.import_module(module), name)
    try:
        # Buffered, so that a line costs no system call; 0 is a file and no terminal.
        with os.fdopen(0, "rb") as source, os.fdopen(os.dup(1), "wb", buffering=1 << 16) as out:
            task(source, out, **told["arguments"])
    except Invalid as wrong:
        said = [{"field": one.field, "zh": one.zh, "en": one.en} for one in wrong.violations]
        sys.stderr.write(f"\n{_SAID}{json.dumps(said)}\n")
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
