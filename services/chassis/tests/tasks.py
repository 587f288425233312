"""Tasks for the tests of `child.py`: they run in a process of their own."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import IO

from services.chassis.refusal import Invalid, Violation


def upper(source: IO[bytes], out: IO[bytes], ending: str = "") -> None:
    """Gives the text back in capitals."""
    out.write(source.read().upper() + ending.encode())


def count(source: IO[bytes], out: IO[bytes], to: int) -> None:
    """One number a line."""
    for number in range(to):
        out.write(json.dumps({"number": number}).encode() + b"\n")


def refuse(source: IO[bytes], out: IO[bytes]) -> None:
    """Finds two things wrong."""
    wrong = Violation("file", "文件是空的。", "The file is empty."), Violation("row", "缺表头。", "No headings.")
    raise Invalid.of(list(wrong))


def sleep(source: IO[bytes], out: IO[bytes]) -> None:
    """Never comes to an end."""
    time.sleep(600)


def devour(source: IO[bytes], out: IO[bytes]) -> None:
    """Takes all the memory there is."""
    taken = []
    while True:
        taken.append(bytearray(32 << 20))


def flood(source: IO[bytes], out: IO[bytes]) -> None:
    """Writes without end."""
    while True:
        out.write(b"x" * 65536)


def environment(source: IO[bytes], out: IO[bytes]) -> None:
    """Tells what it was given beside the file."""
    out.write(json.dumps(dict(os.environ)).encode())


def quote(source: IO[bytes], out: IO[bytes]) -> None:
    """Falls over, quoting the file."""
    sys.stderr.write("working\n")
    raise ValueError(source.read().decode())
