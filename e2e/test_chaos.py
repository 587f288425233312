"""Cases filed while everything is killed, cut and restarted: each effect once, in order per case, nothing lost."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from e2e import chaos
from e2e.system import System
from infra.servers import PostgresServer, RabbitServer

pytestmark = pytest.mark.chaos

CASES = int(os.environ.get("CHAOS_CASES", "2000"))
SEED = int(os.environ.get("CHAOS_SEED", "20261124"))


@pytest.mark.parametrize("worker", os.environ.get("WORKER", "nameko,pika").split(","))
def test_every_effect_comes_once_and_in_order_while_everything_is_killed(worker: str, tmp_path: Path) -> None:
    broker, postgres = RabbitServer(tmp_path / "rabbit"), PostgresServer(tmp_path / "postgres")
    broker.start()
    postgres.start()
    try:
        with System(tmp_path, bus_url=broker.url, database_url=postgres.url(), worker=worker) as system:
            load = chaos.Load(system, CASES, SEED)
            nemesis = chaos.Nemesis(system, broker, load, SEED)
            striking = threading.Thread(target=nemesis.run)
            began = time.monotonic()
            striking.start()
            load.run()
            striking.join()
            filed_s = time.monotonic() - began
            chaos.wait_until_settled(system)
            wrong = chaos.check(system, CASES)
            dead = {name: depth for name, (depth, _) in broker.queues().items() if name.endswith(".dead") and depth}
            print(
                f"\nWORKER={worker} seed={SEED} cases={CASES} filed in {filed_s:.0f} s, "
                f"settled {time.monotonic() - began - filed_s:.0f} s later"
            )
            for counts in (load.counts, nemesis.counts, wrong):
                print("  " + "; ".join(f"{what}: {count}" for what, count in sorted(counts.items())))
            assert len(set(load.ids) - {None}) == CASES
            assert {what: by for what, by in wrong.items() if by} == {}
            assert dead == {}
            assert sum(nemesis.counts.values()) >= 5, "too little happened for this to say anything"
    finally:
        broker.stop()
        postgres.stop()
