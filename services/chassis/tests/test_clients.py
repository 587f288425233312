"""Calls to neighbours."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest

from protos.petition.v1 import petition_pb2 as pb
from services.chassis import access, clients, deadlines_of_calls, statuses
from services.chassis.database import Database, InsideTransaction
from services.chassis.refusal import Unavailable
from services.chassis.tests.calling import a_server


def test_no_call_is_made_while_a_transaction_is_open(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'own.db'}")
    with a_server(tmp_path) as running:
        with db.transaction(), pytest.raises(InsideTransaction):
            running.get()
        assert running.desk.seen == []
        assert running.get("p-2").id == "p-2"
    db.close()


def test_a_call_gets_what_is_left_of_its_callers_time_not_its_own(tmp_path: Path) -> None:
    go_on = threading.Event()
    with a_server(tmp_path, lambda _: go_on.wait(60) and pb.Petition()) as running:
        limit = deadlines_of_calls.begin(0.3)
        try:
            with pytest.raises(grpc.RpcError) as caught:
                running.get(timeout=60)
        finally:
            deadlines_of_calls.end(limit)
            go_on.set()
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_neighbour_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with a_server(tmp_path) as running:
        token = running.token()
    with pytest.raises(grpc.RpcError) as caught:
        clients.call(running.stub.GetPetition, pb.GetPetitionRequest(id="p"), token=token, timeout=5)
    assert isinstance(statuses.from_rpc_error(caught.value), Unavailable)


@pytest.mark.parametrize(
    ("name", "repeated"),
    [
        ("GetPetition", True),
        ("ListPetitions", True),
        ("ListTimeline", True),
        ("RegisterPetition", True),
        ("ReferPetition", True),
        ("AcceptPetition", False),
        ("ConcludePetition", False),
        ("RevealPetition", False),
    ],
)
def test_only_what_does_no_harm_twice_is_repeated_when_nobody_answers(name: Any, repeated: Any) -> None:
    (method,) = [one for one in access.methods() if one.name == name]
    assert clients.may_be_repeated(method) is repeated
    (rule,) = json.loads(clients.service_config())["methodConfig"]
    named = {"service": "zongzhi.petition.v1.PetitionService", "method": name}
    assert (named in rule["name"]) is repeated
    assert rule["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE", "CANCELLED"]


class Flaky:
    """Unavailable twice, then fine."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, request: Any) -> Any:
        self.calls += 1
        if self.calls < 3:
            raise Unavailable("DATABASE_UNAVAILABLE", "数据库暂时无法使用。", "The database does not answer.")
        return pb.Petition(id=request.id)


def test_a_read_that_finds_nobody_is_repeated_until_somebody_answers(tmp_path: Path) -> None:
    flaky = Flaky()
    with a_server(tmp_path, flaky) as running:
        assert running.get("p-1").id == "p-1"
    assert flaky.calls == 3


def test_a_change_that_finds_nobody_is_not_repeated(tmp_path: Path) -> None:
    flaky = Flaky()
    with a_server(tmp_path, flaky) as running, pytest.raises(grpc.RpcError) as caught:
        clients.call(running.stub.AcceptPetition, pb.AcceptPetitionRequest(id="p"), token=running.token())
    assert statuses.parse(caught.value).reason == "DATABASE_UNAVAILABLE"
    assert flaky.calls == 1


def test_a_channel_opens_at_its_first_call_and_again_in_a_forked_child(tmp_path: Path) -> None:
    with a_server(tmp_path) as running:
        assert running.channel._real is None
        running.get()
        before = running.channel.real()
        assert running.channel.real() is before
        running.channel._pid = os.getpid() - 1
        assert running.channel.real() is not before
        assert running.get("after").id == "after"
        before.close()


def test_a_channel_that_was_closed_opens_again(tmp_path: Path) -> None:
    with a_server(tmp_path) as running:
        running.get()
        running.channel.close()
        assert running.get("again").id == "again"


def test_a_proxy_for_the_way_out_is_not_used_for_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    with a_server(tmp_path) as running:
        assert running.get("p-1").id == "p-1"
