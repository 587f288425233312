"""Whatever anybody sends to any operation of our own API document: no answer but one that the document declares.

FUZZ_SEED=… repeats a run; without it the seed of the day is printed. Event streams are left to their own tests.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, strategies
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from e2e.books import at_rest, held_or_dead
from e2e.story import Story
from e2e.system import System, eventually

pytestmark = pytest.mark.e2e

SEED = int(os.environ.get("FUZZ_SEED") or date.today().strftime("%Y%m%d"))
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES") or 20)
# The whole run, starting and stopping apart.
SECONDS = 180.0
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
STREAM = "text/event-stream"
ELSEWHERE = "192.0.2.1"
MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]


@dataclass
class Fuzzed:
    """A district of its own, its document, and somebody who may call each operation."""

    system: System
    document: dict[str, Any]
    known: dict[str, list[str]]
    logins: list[dict[str, str]]
    permissions: dict[str, set[str]] = field(default_factory=dict)
    bearers: dict[str, str] = field(default_factory=dict)
    heard: Counter[str] = field(default_factory=Counter)

    def bearer(self, login: dict[str, str]) -> str:
        """Their access token, got at the first need; it outlives the run."""
        if login["account"] not in self.bearers:
            answer = requests.post(f"{self.system.gateway}/v1/session", json=login, timeout=30)
            assert answer.ok, answer.text
            self.bearers[login["account"]] = f"Bearer {answer.json()['access_token']}"
        return self.bearers[login["account"]]

    def who_may(self, described: dict[str, Any]) -> dict[str, str]:
        """The demo account whose roles grant what an operation asks for."""
        wanted = described.get("x-permission", "")
        able = [one for one in self.logins if not wanted or wanted in self.permissions[one["account"]]]
        # What asks for no permission is about the caller's own session and password: theirs whom nobody needs again.
        return able[0] if wanted else able[-1]

    def existing(self, path: str, name: str) -> list[str]:
        """What exists and may stand in this variable."""
        owner = path.split("/")[2].partition(":")[0] if path.count("/") > 1 else ""
        return self.known.get(f"{owner}.{name}", [])


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    """The district, with a case in each of a few states."""
    # So that the guesses at passwords come from another place than those who sign in afterwards.
    with System(tmp_path_factory.mktemp("fuzzed"), TRUSTED_PROXIES="127.0.0.1") as system:
        document = requests.get(f"{system.gateway}/openapi.json", timeout=30).json()
        stories = [Story(system) for _ in range(4)]
        stories[0].filed()
        stories[1].accepted()
        stories[2].referred()
        stories[3].accepted().conclude()
        cases = [story.id for story in stories]
        known = {"petitions.id": cases, "cases.id": cases, "mediations.id": [stories[2].mediation()["id"]]}
        logins = json.loads((system.folder / "data" / "demo-logins.json").read_text())["logins"]
        found = Fuzzed(system, document, known, logins)
        for login in logins:
            headers = {"Authorization": found.bearer(login)}
            told = requests.get(f"{system.gateway}/v1/session", headers=headers, timeout=30).json()
            found.permissions[login["account"]] = set(told["permissions"])
        yield found


def test_every_answer_is_one_that_the_document_declares(fuzzed: Fuzzed) -> None:
    print(f"\nFUZZ_SEED={SEED} FUZZ_EXAMPLES={EXAMPLES}")
    end, wrong, walked, left = time.monotonic() + SECONDS, [], 0, []
    described_by: Any = schemathesis.openapi.from_dict(fuzzed.document)
    every = [one.ok() for one in described_by.get_all_operations()]
    # Sign-ins come last: they end sessions and lock accounts.
    for operation in sorted(every, key=lambda one: one.path.startswith(("/v1/session", "/v1/token"))):
        described = fuzzed.document["paths"][operation.path][operation.method]
        label = f"{operation.method.upper()} {operation.path}"
        if STREAM in json.dumps(described["responses"]):
            continue
        if time.monotonic() > end:
            left.append(label)
            continue
        walked += 1
        try:
            fuzz(fuzzed, operation, described, end)
        except BaseException as error:  # what checks raise is a group of failures
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            wrong.append(f"{label}:\n{said(error)}")
    print(
        f"{walked} operations, {fuzzed.heard.total()} calls: {dict(sorted(fuzzed.heard.items()))}; not reached: {left}"
    )
    assert not wrong, "\n\n".join([f"FUZZ_SEED={SEED}, {len(wrong)} operations", *wrong])
    assert walked > 40
    assert fuzzed.heard["200"] > 50


def test_afterwards_the_district_is_well(fuzzed: Fuzzed) -> None:
    eventually(fuzzed.system.ready, "the district is ready")
    at_rest(fuzzed.system)
    assert held_or_dead(fuzzed.system) == 0
    assert Story(fuzzed.system).referred().one_refuses()["state"] == "MEDIATION_STATE_REFUSED"
    assert "Traceback" not in fuzzed.system.logs()
    assert '"request failed"' not in fuzzed.system.logs()


def fuzz(fuzzed: Fuzzed, operation: Any, described: dict[str, Any], end: float) -> None:
    """Up to EXAMPLES calls of one operation, right and wrong ones; raises what a check found."""
    headers = {"Authorization": fuzzed.bearer(fuzzed.who_may(described)), "X-Forwarded-For": ELSEWHERE}

    @hypothesis.seed(SEED)
    @hypothesis.settings(
        max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
    )  # fmt: skip
    @hypothesis.given(data=strategies.data())
    def calls(data: Any) -> None:
        mode = data.draw(strategies.sampled_from(MODES))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        for name in case.path_parameters or {}:
            if (there := fuzzed.existing(operation.path, name)) and data.draw(strategies.booleans()):
                case.path_parameters[name] = data.draw(strategies.sampled_from(there))
        if time.monotonic() > end:
            return
        answer = case.call(base_url=fuzzed.system.gateway, headers=headers, timeout=30)
        fuzzed.heard[str(answer.status_code)] += 1
        case.validate_response(answer, checks=CHECKS)

    calls()


def said(error: BaseException) -> str:
    """What went wrong, in a few lines."""
    parts = error.exceptions if isinstance(error, BaseExceptionGroup) else [error]
    return "\n".join(f"  {type(part).__name__}: {str(part)[:900]}" for part in parts)
