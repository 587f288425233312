"""Hostile files end in the child: with a sentence for a person, in bounded time and memory, and nothing left behind."""

from __future__ import annotations

import json
import os
import time

import pytest

from services.chassis import child
from services.chassis.child import Limits, TooMuch
from services.chassis.refusal import Invalid

TASKS = "services.chassis.tests.tasks"


def test_a_task_reads_the_file_and_its_arguments_and_gives_what_it_wrote(tmp_path):
    file = tmp_path / "letter.txt"
    file.write_bytes(b"dear hall")
    assert child.run(f"{TASKS}:upper", b"dear hall", ending="!") == b"DEAR HALL!"
    assert child.run(f"{TASKS}:upper", file) == b"DEAR HALL"


def test_lines_come_one_by_one_and_whoever_stops_reading_leaves_no_process_behind():
    found = child.lines(f"{TASKS}:count", b"", to=100_000)
    assert [next(found)["number"] for _ in range(3)] == [0, 1, 2]
    found.close()
    assert sum(1 for _ in child.lines(f"{TASKS}:count", b"", to=1000)) == 1000


def test_what_a_person_did_wrong_is_said_as_the_task_said_it():
    with pytest.raises(Invalid) as refused:
        child.run(f"{TASKS}:refuse", b"")
    assert [(v.field, v.zh) for v in refused.value.violations] == [("file", "文件是空的。"), ("row", "缺表头。")]


@pytest.mark.parametrize(
    ("task", "limits", "how"),
    [
        ("sleep", Limits(seconds=1.0), "time"),
        ("devour", Limits(memory_mb=200), "crashed"),
        ("flood", Limits(output_mb=1), "output"),
    ],
)
def test_a_task_that_takes_too_much_is_ended(task, limits, how):
    began = time.monotonic()
    with pytest.raises(TooMuch) as refused:
        child.run(f"{TASKS}:{task}", b"", limits)
    assert refused.value.how == how
    assert time.monotonic() - began < limits.seconds + 20


def test_no_secret_of_ours_goes_along(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:secret@h/d")
    given = json.loads(child.run(f"{TASKS}:environment", b""))
    assert "DATABASE_URL" not in given
    assert "secret" not in str(given)


def test_a_crash_tells_the_log_where_and_never_what_the_file_held(caplog):
    with pytest.raises(TooMuch):
        child.run(f"{TASKS}:quote", "张三丰 13800000000".encode())
    assert "ValueError" in str([record.__dict__ for record in caplog.records])
    assert "13800000000" not in str([record.__dict__ for record in caplog.records])


def test_nothing_stays_open_behind_a_task():
    before = len(os.listdir("/proc/self/fd"))
    child.run(f"{TASKS}:upper", b"x")
    assert len(os.listdir("/proc/self/fd")) == before
