"""Probes on a port of their own: alive while the process answers, ready when every part says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.chassis.health_port import LIVE, NOT_SERVING, READY, SERVING, HealthPort, HealthPortTaken


@pytest.fixture
def probes() -> Iterator[HealthPort]:
    probes = HealthPort("127.0.0.1", 0)
    probes.start()
    yield probes
    probes.stop()


def ask(probes: HealthPort, service: str) -> Any:
    with grpc.insecure_channel(f"127.0.0.1:{probes.port}") as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        return health_pb2_grpc.HealthStub(channel).Check(request, timeout=5).status


def test_it_is_alive_whatever_its_parts_say(probes: HealthPort) -> None:
    tell = probes.expect("petition")
    assert ask(probes, LIVE) == SERVING
    tell(False)
    assert ask(probes, LIVE) == SERVING


def test_it_is_ready_when_every_part_is(probes: HealthPort) -> None:
    petition, mediation = probes.expect("petition"), probes.expect("mediation")
    assert ask(probes, READY) == NOT_SERVING
    petition(True)
    assert ask(probes, READY) == NOT_SERVING
    mediation(True)
    assert ask(probes, READY) == SERVING
    petition(False)
    assert ask(probes, READY) == NOT_SERVING


def test_a_port_that_is_taken_is_said_in_one_sentence(probes: HealthPort) -> None:
    with pytest.raises(HealthPortTaken, match=f"127.0.0.1:{probes.port}.*HEALTH_PORT"):
        HealthPort("127.0.0.1", probes.port).start()
