"""Several worker processes of the gateway, one metrics address."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter

from gateway.metrics import MetricsOfWorkers, WorkerMetrics
from gateway.tests.conftest import Running
from gateway.tests.test_server import ask as http
from gateway.tests.test_server import start_granian, stop_granian
from infra.processes import free_port, wait_until
from services.chassis.scraping import MetricsPortTaken
from services.chassis.settings import Settings
from services.chassis.tests.test_scraping import ask


def worker(folder: Path, requests: int) -> int:
    """A forked worker that has answered so many requests; lives until it is killed."""
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        registry = CollectorRegistry()
        Counter("requests", "answered", ["route"], registry=registry).labels("/v1/petitions").inc(requests)
        WorkerMetrics(registry, folder).start()
        os.write(told, b"1")
        time.sleep(60)
        os._exit(0)
    os.read(ready, 1)
    return child


@pytest.fixture
def workers() -> Iterator[Callable[[Path, int], int]]:
    living: list[int] = []

    def start(folder: Path, requests: int) -> int:
        living.append(worker(folder, requests))
        return living[-1]

    yield start
    for child in living:
        kill(child)


def kill(child: int) -> None:
    try:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    except (ProcessLookupError, ChildProcessError):
        return


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[MetricsOfWorkers]:
    settings = Settings(tier="341702000000", data_dir=tmp_path, metrics_port=free_port())
    metrics = MetricsOfWorkers(settings)
    metrics.start()
    yield metrics
    metrics.stop()


def counts(metrics: MetricsOfWorkers) -> dict[str, float]:
    lines = [line for line in ask(metrics.port).splitlines() if line.startswith("requests_total")]
    return {line.split('worker="')[1][0]: float(line.split()[-1]) for line in lines}


def test_each_worker_is_told_apart(metrics: MetricsOfWorkers, workers: Any) -> None:
    workers(metrics.folder, 3)
    workers(metrics.folder, 4)
    assert counts(metrics) == {"0": 3, "1": 4}


def test_a_killed_worker_gives_its_number_to_the_next(metrics: MetricsOfWorkers, workers: Any) -> None:
    first = workers(metrics.folder, 3)
    workers(metrics.folder, 4)
    kill(first)
    assert counts(metrics) == {"1": 4}
    workers(metrics.folder, 1)
    assert counts(metrics) == {"0": 1, "1": 4}


def test_a_frozen_worker_is_left_out_and_the_others_answer(metrics: MetricsOfWorkers, workers: Any) -> None:
    frozen = workers(metrics.folder, 3)
    workers(metrics.folder, 4)
    os.kill(frozen, signal.SIGSTOP)
    began = time.monotonic()
    assert counts(metrics) == {"1": 4}
    assert time.monotonic() - began < 4


def test_a_worker_does_not_hold_the_port_of_the_first_process(metrics: MetricsOfWorkers, workers: Any) -> None:
    workers(metrics.folder, 1)
    metrics.stop()
    again = MetricsOfWorkers(Settings(tier="341702000000", metrics_port=metrics.port))
    again.start()
    again.stop()


def test_a_taken_port_leaves_no_folder_behind(metrics: MetricsOfWorkers) -> None:
    second = MetricsOfWorkers(Settings(tier="341702000000", metrics_port=metrics.port))
    with pytest.raises(MetricsPortTaken):
        second.start()
    assert not second.folder.exists()


def test_granian_serves_its_workers_on_one_port(gateway: Running) -> None:
    port = free_port()
    process, address = start_granian(gateway, workers=2, metrics_port=port)
    try:
        assert wait_until(lambda: 'worker="1"' in ask(port), 20)
        for _ in range(20):
            http(address, "GET", "/openapi.json")
        told = [li for li in ask(port).splitlines() if li.startswith("http_server_request_duration_seconds_count{")]
        assert sum(float(li.split()[-1]) for li in told if 'http_route="/openapi.json"' in li) == 20
        assert all('service_name="gateway"' in li and 'worker="' in li for li in told)
    finally:
        stop_granian(process)
