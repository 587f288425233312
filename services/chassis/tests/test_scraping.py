"""A Prometheus server asks a process for its metrics."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Iterator

import pytest

from services.chassis import telemetry
from services.chassis.refusal import IllegalMove
from services.chassis.scraping import MetricsPortTaken, MetricsServer
from services.chassis.telemetry import Telemetry


@pytest.fixture
def scraped() -> Iterator[Telemetry]:
    watching = telemetry.configure("zongzhi-serve", "341702000000", endpoint=None, version="1.2.3", scraped=True)
    yield watching
    watching.shutdown()


def ask(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


@pytest.fixture
def port(scraped: Telemetry) -> Iterator[int]:
    assert scraped.registry is not None
    server = MetricsServer(scraped.registry, "127.0.0.1", 0)
    yield server.start()
    server.stop()


def test_calls_are_told_by_service_method_and_outcome(scraped: Telemetry, port: int) -> None:
    scraped.meters.rpc_duration("/pkg.Svc/Do", "OK", 0.02, "petition")
    scraped.meters.rpc_duration("/pkg.Svc/Do", "INTERNAL", 0.02, "petition")
    told = [line for line in ask(port).splitlines() if line.startswith("rpc_server_call_duration_seconds_count")]
    assert len(told) == 2
    assert all('service="petition"' in line and 'zongzhi_tier="341702000000"' in line for line in told)
    assert ['error_type="INTERNAL"' in line for line in told].count(True) == 1


def test_a_database_that_is_away_hides_its_own_numbers_only(scraped: Telemetry, port: int) -> None:
    scraped.meters.observe("outbox_depth", lambda: 1 // 0, service="grid")
    scraped.meters.observe("outbox_depth", lambda: {"local": 7}, service="petition")
    text = ask(port)
    assert 'zongzhi_outbox_depth{destination="local",service="petition"' in text
    assert "grid" not in text
    assert "process_memory_usage_bytes" in text
    assert 'zongzhi_build{service_name="zongzhi-serve",version="1.2.3"' in text


def test_a_refusal_by_a_listener_is_an_answer_and_a_failure_is_not(scraped: Telemetry, port: int) -> None:
    for failure in (IllegalMove("CLOSED", "已办结。", "Closed."), KeyError("x")):
        with pytest.raises(type(failure)), telemetry.timed_event("petition", "pkg.Event"):
            raise failure
    told = [line for line in ask(port).splitlines() if line.startswith("messaging_process_duration_seconds_count")]
    assert sorted('error_type="KeyError"' in line for line in told) == [False, True]


def test_two_processes_cannot_share_the_port_and_are_told_so(scraped: Telemetry, port: int) -> None:
    assert scraped.registry is not None
    with pytest.raises(MetricsPortTaken, match="METRICS_PORT"):
        MetricsServer(scraped.registry, "127.0.0.1", port).start()


def test_without_the_setting_nothing_is_kept_for_anybody() -> None:
    watching = telemetry.configure("zongzhi-serve", "341702000000", endpoint=None, version="1")
    assert watching.registry is None
    watching.shutdown()


UNDER_EVENTLET = """
    import eventlet
    eventlet.monkey_patch(all=False, socket=True, select=True)
    import sys, threading, time
    from services.chassis import telemetry
    from services.chassis.scraping import MetricsServer
    watching = telemetry.configure("zongzhi-work", "341702000000", endpoint=None, version="1", scraped=True)
    server = MetricsServer(watching.registry, "127.0.0.1", 0)
    print(server.start(), flush=True)
    sys.stdin.readline()
    server.stop()
    print("stopped", flush=True)
"""


def test_a_process_patched_like_the_nameko_worker_answers_too() -> None:
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(UNDER_EVENTLET)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdin is not None
        port = int(process.stdout.readline())
        for _ in range(3):
            assert "process_cpu_time_seconds_total" in ask(port)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "stopped\n"
