"""Power cuts, orderly ends, the launcher, and what an operator types beside a running district."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import func, select

from e2e.people import Typed
from e2e.post import count, crafted, deliver
from e2e.refusals import assert_for_people
from e2e.story import Story
from e2e.system import TIER, System, eventually
from infra.launch import ROOT
from infra.processes import free_port, wait_until
from protos.mediation.v1.events_pb2 import MediationAccepted
from services.chassis import ids
from services.chassis.tables import audit, audit_seals, inbox, outbox
from services.roles_names import database_names

pytestmark = pytest.mark.e2e

CALLERS = 6
# What a server says when it has read the head of a call and waits for the body.
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A district in one process that may be killed."""
    with System(tmp_path_factory.mktemp("alone")) as system:
        yield system


class Callers:
    """Clerks who file petitions without pause, and who remember what they asked and what they were told."""

    def __init__(self, system: System) -> None:
        self.system = system
        system.sign_in()
        self.authorization = {"Authorization": system.http.headers["Authorization"]}
        self.forms: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, dict[str, Any]] = {}
        # When the server said that it has a call in its hands.
        self.taken: dict[str, float] = {}
        self._stop = threading.Event()
        self._stories = [Story(system, Typed()) for _ in range(CALLERS)]
        self._pool = ThreadPoolExecutor(CALLERS)

    def start(self) -> None:
        """All begin."""
        for story in self._stories:
            self._pool.submit(self._work, story)

    def stop(self) -> None:
        """All end with the call at hand."""
        self._stop.set()
        self._pool.shutdown()

    def _work(self, story: Story) -> None:
        while not self._stop.is_set():
            form = story.registration()
            self.forms[form["request_id"]] = form
            with suppress(OSError, http.client.HTTPException):
                self.file(form)

    def file(self, form: dict[str, Any]) -> None:
        """One call on a connection of its own; only a good answer is remembered."""
        body = json.dumps(form).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.system.ports["gateway"], timeout=30)
        with closing(connection):
            connection.putrequest("POST", "/v1/petitions")
            said = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Expect": "100-continue"}
            for name, value in (self.authorization | said).items():
                connection.putheader(name, value)
            connection.endheaders()
            invited = connection.sock.recv(len(GO_ON), socket.MSG_WAITALL)
            if invited != GO_ON:
                return
            self.taken[form["request_id"]] = time.monotonic()
            connection.send(body)
            answer = connection.getresponse()
            if answer.status == 200:
                self.answers[form["request_id"]] = json.loads(answer.read())

    def all_are_found(self) -> None:
        """Every petition that a clerk was told of stands there, once, with the number that the clerk was told."""
        for told in self.answers.values():
            found = self.system.ok("GET", f"/v1/petitions/{told['petition']['id']}")
            assert found["case_number"] == told["petition"]["case_number"]
        numbers = [told["petition"]["case_number"] for told in self.answers.values()]
        assert len(set(numbers)) == len(numbers)


def registered(system: System) -> int:
    """How many registrations the audit knows."""
    return count(system, "petition", select(func.count()).where(audit.c.action == "petition.register"))


def test_a_power_cut_loses_nothing_and_doubles_nothing(alone: System) -> None:
    referred = [Story(alone).accepted() for _ in range(3)]
    before = registered(alone)
    callers = Callers(alone)
    callers.start()
    assert wait_until(lambda: len(callers.answers) >= 15, timeout=60)
    for story in referred:
        story.refer()
    alone.kill("all")
    callers.stop()
    assert len(callers.forms) > len(callers.answers)
    alone.start_all()
    callers.all_are_found()
    for form in callers.forms.values():
        told = callers.answers.get(form["request_id"])
        callers.file(form)
        assert told in (None, callers.answers[form["request_id"]])
    callers.all_are_found()
    assert len(callers.answers) == len(callers.forms)
    assert registered(alone) == before + len(callers.forms)
    for story in referred:
        story.mediation()
        assert len(story.mediations()) == 1
        story.consent_all()
        story.becomes("MEDIATING", owner_epoch=2)
        assert story.kinds().count("petition.referred") == story.kinds().count("mediation.accepted") == 1


def test_sigterm_ends_within_five_seconds_and_answers_what_is_in_flight(alone: System) -> None:
    callers = Callers(alone)
    callers.start()
    assert wait_until(lambda: len(callers.answers) >= 10, timeout=60)
    asked_at = time.monotonic()
    alone.processes["all"].send_signal(signal.SIGTERM)
    alone.processes["all"].wait(timeout=10)
    took = time.monotonic() - asked_at
    callers.stop()
    # A call that the server had not yet taken may have found the door closed already.
    taken = [key for key, at in callers.taken.items() if at < asked_at]
    assert len(taken) >= 10
    assert [key for key in taken if key not in callers.answers] == []
    assert took < 5, f"{took:.1f} s"
    assert alone.processes["all"].returncode == 0
    assert "Traceback" not in alone.logs()
    alone.start_all()
    alone.sign_in()
    callers.all_are_found()


def test_status_tells_a_person_and_a_program_the_same(alone: System) -> None:
    story = Story(alone).referred()
    story.one_refuses()
    story.becomes("ACCEPTED")

    def settled() -> dict[str, Any] | None:
        found = json.loads(alone.command("status", "--json"))
        services = list(found["services"].values())
        boxes = [service[box]["depth"] for service in services for box in ("outbox", "inbox")]
        # A busy machine may let the probe wait for longer than it does, and the sealer follows the audit.
        known = all(s["serve"] == "serving" and s["audit"]["rows"] == s["audit"]["sealed_to"] for s in services)
        return dict(found) if known and not any(boxes) else None

    found = eventually(settled, "all mail is delivered, all audit rows are sealed")
    assert (found["tier"], found["bus"]) == (TIER, "local")
    petition = found["services"]["petition"]
    assert (petition["serve"], petition["database"]["kind"]) == ("serving", "sqlite")
    assert petition["clocks"]["green"] >= 1
    assert petition["outbox"]["kept"] >= 1
    assert petition["audit"]["sealed_to"] == petition["audit"]["rows"] > 0
    text = eventually(lambda: "serving" in (said := alone.command("status")) and said, "the text says serving")
    assert f"green {petition['clocks']['green']}" in text


def test_an_event_that_contradicts_the_case_is_held_retried_and_discarded(alone: System) -> None:
    story = Story(alone).referred()
    mediation, fake = story.mediation(), ids.uuid7()
    about = {"referral_id": mediation["referral_id"], "mediation_id": fake, "petition_id": story.id}
    stale = MediationAccepted(**about, owner_epoch=9)
    deliver(alone, "petition", [crafted(stale, "mediation", TIER, fake, 1)])

    def held() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in alone.command("held", "list").splitlines()]
        return [line for line in lines if line["aggregate_id"] == fake]

    (line,) = eventually(held, "the event is held")
    assert (line["service"], line["kind"], line["reason"]) == ("petition", "stale_epoch", "STALE_EPOCH")
    alone.command("held", "retry", "petition", line["id"], "--by", "demo")
    eventually(lambda: held()[0]["tries"] == 2, "it was tried again, and is held again")
    assert story.petition()["owner_epoch"] == 1
    alone.command("held", "discard", "petition", line["id"], "--by", "demo", "--reason", "调解中心误发的一件")
    assert held() == []
    again = alone.attempt("held", "discard", "petition", line["id"], "--by", "demo", "--reason", "调解中心误发的一件")
    assert again.returncode == 2
    assert_for_people(again.stderr)
    story.consent_all()
    story.becomes("MEDIATING", owner_epoch=2)
    kept = select(func.count()).where(audit.c.action == "held.discard", audit.c.details.contains("误发"))
    assert count(alone, "petition", kept) == 1


def test_a_resend_sends_all_of_a_day_and_changes_nothing(alone: System) -> None:
    story = Story(alone).referred()
    story.one_refuses()
    story.becomes("ACCEPTED")
    before = story.petition(), story.timeline(), story.mediations()
    sent, unsent = (
        select(func.count()).where(which) for which in (outbox.c.sent_at.is_not(None), outbox.c.sent_at.is_(None))
    )
    eventually(lambda: not count(alone, "petition", unsent), "everything is sent")
    had = count(alone, "petition", sent)
    received = count(alone, "mediation", select(func.count()).select_from(inbox))
    assert f"{had} 条" in alone.command("outbox", "resend", "petition", "--since", "2020-01-01")
    eventually(lambda: count(alone, "petition", sent) == had, "everything is sent again")
    assert count(alone, "mediation", select(func.count()).select_from(inbox)) == received
    assert (story.petition(), story.timeline(), story.mediations()) == before


def test_a_changed_audit_row_is_named(alone: System) -> None:
    Story(alone).accepted()
    eventually(lambda: all_sealed(alone), "the sealer has sealed every row")
    sound = alone.command("audit", "verify")
    assert sound.count("完整") == len(database_names())
    file = Path(alone.settings.database_url_of("petition").removeprefix("sqlite:///"))
    with forged(file) as change:
        change("UPDATE audit SET actor = 'somebody' WHERE id = 3")
        found = alone.attempt("audit", "verify", "petition")
        assert (found.returncode, "审计行 3 被改动" in found.stdout) == (1, True), found.stdout
        assert_for_people(found.stdout)
        assert alone.attempt("audit", "verify", "mediation").returncode == 0


def all_sealed(system: System) -> bool:
    """Whether the chain reaches to the last audit row of petition."""
    open_rows = select(func.count()).where(audit.c.id.not_in(select(audit_seals.c.audit_id)))
    return not count(system, "petition", open_rows)


@contextmanager
def forged(file: Path) -> Iterator[Callable[[str], object]]:
    """The database in the hands of somebody who can switch triggers off; everything is put back afterwards."""
    with sqlite3.connect(file, timeout=10) as db:
        with pytest.raises(sqlite3.DatabaseError):
            db.execute("UPDATE audit SET actor = 'somebody' WHERE id = 3")
        db.rollback()
        ((actor,),) = db.execute("SELECT actor FROM audit WHERE id = 3").fetchall()
        of_audit = "FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'"
        guards = db.execute(f"SELECT name, sql {of_audit}").fetchall()

        def change(statement: str) -> None:
            for name, _ in guards:
                db.execute(f"DROP TRIGGER IF EXISTS {name}")
            db.execute(statement)
            db.commit()

        yield change
        db.execute("UPDATE audit SET actor = ? WHERE id = 3", [actor])
        for _, sql in guards:
            db.execute(sql)


class Launcher:
    """`make run` as a program starts it."""

    def __init__(self, folder: Path, port: int) -> None:
        words = [sys.executable, "-m", "infra.run", "--json", "--dir", str(folder), "--port", str(port)]
        self.process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def facts(self) -> dict[str, Any]:
        """The one JSON object that it prints when everything answers."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return dict(json.loads(line))

    def refused(self) -> str:
        """Its last words, when it will not start."""
        _, said = self.process.communicate(timeout=60)
        assert self.process.returncode == 2, said
        assert "Traceback" not in said
        return said.strip().splitlines()[-1]

    def stop(self) -> float:
        """SIGTERM; returns the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=20)
        return time.monotonic() - began


def test_the_launcher_prints_lines_that_work(tmp_path: Path) -> None:
    folder, port = tmp_path / "run", free_port()
    launcher = Launcher(folder, port)
    try:
        facts = launcher.facts()
        script = "\n".join(facts["curl"])
        shell = ["bash", "-euo", "pipefail", "-c", script]
        done = subprocess.run(shell, capture_output=True, text=True, timeout=60, check=True)
        answer = json.loads(done.stdout)
        assert answer["petition"]["state"] == "PETITION_STATE_REGISTERED"
        assert answer["public_code"]
        assert "张三" not in done.stdout
        assert requests.get(facts["docs"], timeout=10).status_code == 200
        assert requests.get(facts["openapi"], timeout=10).json()["openapi"].startswith("3.1")
        sentence = Launcher(folder, free_port()).refused()
        assert_for_people(sentence)
        assert str(launcher.process.pid) in sentence
    finally:
        took = launcher.stop()
    assert launcher.process.returncode == 0
    assert took < 6, f"{took:.1f} s"
    assert not any(alive(pid) for pid in facts["processes"].values())


def alive(pid: int) -> bool:
    """Whether a process still runs."""
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        sentence = Launcher(tmp_path / "run", port).refused()
    assert_for_people(sentence)
    assert f"PORT={port + 10 if port < 65000 else 8090}" in sentence


@pytest.mark.parametrize("broken", ["petition.db", "keys/data.key", "keys/tokens.jwks"])
def test_a_broken_folder_is_one_sentence_and_stays_as_it_is(tmp_path: Path, broken: str) -> None:
    file = tmp_path / "run" / broken
    file.parent.mkdir(parents=True)
    file.write_text("half a file")
    sentence = Launcher(tmp_path / "run", free_port()).refused()
    assert_for_people(sentence)
    assert file.name in sentence
    assert file.read_text() == "half a file"
