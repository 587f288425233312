"""What every refusal at the HTTP door must look like."""

from __future__ import annotations

import re
from typing import Any

import requests

HAN = re.compile(r"[\u4e00-\u9fff]")
LATIN = re.compile(r"[A-Za-z]{3,}")
# What no caller may be shown of our inside.
INSIDE = ("Traceback", "sqlalchemy", "psycopg", "sqlite3", "grpc.", ".py", "SELECT ", "INSERT ")


def assert_refused(answer: requests.Response, status: int, reason: str = "", field: str = "") -> dict[str, Any]:
    """A problem document (RFC 9457) in both languages, with the reason and the field to blame, and nothing else."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    assert answer.headers["Content-Type"].startswith("application/problem+json"), answer.headers
    problem = dict(answer.json())
    assert_for_people(problem["detail"])
    assert_nothing_of_the_inside(answer.text)
    assert not reason or problem["reason"] == reason, problem
    if field:
        wrong = {one["field"]: one["message"] for one in problem["violations"]}
        assert field in wrong, wrong
        assert_for_people(wrong[field])
    return problem


def assert_for_people(sentence: str) -> None:
    """Chinese first, English second."""
    han, latin = HAN.search(sentence), LATIN.search(sentence)
    assert han, f"no Chinese in {sentence!r}"
    assert latin, f"no English in {sentence!r}"


def assert_nothing_of_the_inside(text: str) -> None:
    """No stack trace, no statement, no module."""
    shown = [mark for mark in INSIDE if mark in text]
    assert not shown, f"{shown} in {text}"
