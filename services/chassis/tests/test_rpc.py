"""The server around the handlers: limits, start, health, reflection and end, over real gRPC."""

import socket
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from protos.petition.v1 import petition_pb2 as pb
from services.chassis import readiness, rpc
from services.chassis.tests.calling import FakeDatabase, a_server, refused, until


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def health_of(running: Any, service: Any = "") -> Any:
    with grpc.insecure_channel(running.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=20).status


# Limits


def test_a_request_above_four_mebibytes_is_refused(tmp_path: Path) -> None:
    with a_server(tmp_path) as running:
        assert refused(running.get, "x" * (4 * 1024 * 1024 + 1)).code == "RESOURCE_EXHAUSTED"


def test_more_calls_at_once_than_the_limit_are_refused_at_once(tmp_path: Path) -> None:
    entered, go_on = threading.Semaphore(0), threading.Event()

    def deed(request: Any) -> Any:
        entered.release()
        go_on.wait(60)
        return pb.Petition()

    with a_server(tmp_path, deed, grpc_threads=2, grpc_max_concurrent=2) as running:
        calls = [threading.Thread(target=running.get) for _ in range(2)]
        for one in calls:
            one.start()
        assert all(entered.acquire(timeout=60) for _ in calls)
        error = refused(running.get)
        go_on.set()
        for one in calls:
            one.join(60)
        assert error.code == "RESOURCE_EXHAUSTED"
        assert "稍后重试" in error.message
        assert running.get().id == ""


# Start, health and end


def test_a_port_that_is_taken_is_said_in_one_sentence(tmp_path: Path) -> None:
    with a_server(tmp_path) as running:
        second = a_server(tmp_path, grpc_port=running.server.port)
        with pytest.raises(rpc.PortTaken, match=f"127.0.0.1:{running.server.port}.*GRPC_PORT"):
            second.__enter__()


def test_reflection_lists_the_services_without_a_token(tmp_path: Path) -> None:
    with a_server(tmp_path) as running, grpc.insecure_channel(running.address) as channel:
        names = set(ProtoReflectionDescriptorDatabase(channel).get_services())
    assert names == {
        "zongzhi.petition.v1.PetitionService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


@pytest.mark.parametrize("service", ["", "zongzhi.petition.v1.PetitionService"])
def test_health_follows_the_services_own_database(
    tmp_path: Path, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "PROBE_EVERY_S", 0.02)
    with a_server(tmp_path) as running:
        assert health_of(running, service) == health_pb2.HealthCheckResponse.SERVING
        running.db.alive = False
        until(lambda: health_of(running, service) == health_pb2.HealthCheckResponse.NOT_SERVING)
        running.db.alive = True
        until(lambda: health_of(running, service) == health_pb2.HealthCheckResponse.SERVING)


def test_a_database_that_never_answers_makes_the_service_unhealthy_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "PROBE_EVERY_S", 0.02)
    monkeypatch.setattr(readiness, "PROBE_PATIENCE_S", 0.1)
    frozen, thawed = threading.Event(), threading.Event()

    def answer() -> Any:
        if frozen.is_set():
            thawed.wait(60)
        return True

    with a_server(tmp_path, db=FakeDatabase(answer=answer)) as running:
        until(lambda: health_of(running) == health_pb2.HealthCheckResponse.SERVING)
        frozen.set()
        until(lambda: health_of(running) == health_pb2.HealthCheckResponse.NOT_SERVING)
        thawed.set()
        until(lambda: health_of(running) == health_pb2.HealthCheckResponse.SERVING)


def test_a_probe_that_raises_counts_as_no_answer_and_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "PROBE_EVERY_S", 0.02)
    broken = threading.Event()

    def answer() -> Any:
        if broken.is_set():
            raise OSError
        return True

    with a_server(tmp_path, db=FakeDatabase(answer=answer)) as running:
        broken.set()
        until(lambda: health_of(running) == health_pb2.HealthCheckResponse.NOT_SERVING)
        broken.clear()
        until(lambda: health_of(running) == health_pb2.HealthCheckResponse.SERVING)


def test_a_service_starts_unhealthy_while_its_database_is_away(tmp_path: Path) -> None:
    with a_server(tmp_path, db=FakeDatabase(alive=False)) as running:
        assert health_of(running) == health_pb2.HealthCheckResponse.NOT_SERVING


def test_at_the_end_calls_in_flight_are_finished_and_new_ones_refused(tmp_path: Path) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def deed(request: Any) -> Any:
        entered.set()
        go_on.wait(60)
        return pb.Petition(id=request.id)

    answers = []
    with a_server(tmp_path, deed) as running, grpc.insecure_channel(running.address) as watching:
        watch = health_pb2_grpc.HealthStub(watching).Watch(health_pb2.HealthCheckRequest(), timeout=60)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        in_flight = threading.Thread(target=lambda: answers.append(running.get("p-1").id))
        in_flight.start()
        entered.wait(60)
        stopping = threading.Thread(target=running.server.stop, args=(60,))
        stopping.start()
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()
        until(lambda: not listens(running.server.port))
        assert refused(running.get, "p-2").code == "UNAVAILABLE"
        go_on.set()
        in_flight.join(60)
        stopping.join(60)
        assert answers == ["p-1"]


def test_the_end_does_not_wait_longer_than_its_grace(tmp_path: Path) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def deed(request: Any) -> Any:
        entered.set()
        go_on.wait(60)
        return pb.Petition()

    with a_server(tmp_path, deed) as running:
        caller = threading.Thread(target=lambda: refused(running.get))
        caller.start()
        entered.wait(60)
        began = time.monotonic()
        running.server.stop(0.2)
        assert time.monotonic() - began < 30
        go_on.set()
        caller.join(60)
