"""How fast a worker takes mail from the broker: stored in the inbox, committed, acknowledged."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from bench import cases, rabbit
from bench.figures import Figure
from bench.ground import Ground
from bench.load import write_frames
from e2e.post import crafted
from e2e.system import TIER
from infra.processes import ProcessFailed, wait_until
from protos.petition.v1 import events_pb2 as events
from services.chassis.streams import Mailbox

TITLE = "从消息代理接收、入库、确认 · from the broker into the inbox, acknowledged"
COUNT = 20_000
QUEUE = Mailbox(TIER, "mediation").queue


def measure(ground: Ground) -> list[Figure]:
    """20,000 envelopes wait in the queue when the worker starts; the raw side takes the same bodies into a table."""
    with ground.district("serve-mediation") as district, ground.sql("zongzhi_mediation") as conn:
        district.replica("declare", ["work", "mediation"])
        if not wait_until(lambda: _declared(ground), timeout=30, step=0.5):
            raise ProcessFailed(f"the worker declared no queue:\n{district.tails()}")
        district.end("declare")
        frames = _envelopes(ground)
        _publish(ground, frames)
        raw = _raw(ground)
        _publish(ground, frames)
        district.start("work-mediation")
        began, ended = _watch(conn)
    rate = COUNT / (ended - began)
    zh = "每秒从队列收入收件箱并确认的事件(PostgreSQL,nameko)"
    figure = Figure("receive_per_s", round(rate), "per s", zh, COUNT, round(raw), "≥ 2,000")
    print(figure.line, flush=True)
    return [figure]


def _envelopes(ground: Ground) -> Path:
    """The least that can be told: a clock turned amber. The worker applies while it receives, as it always does."""
    bodies = []
    for _ in range(COUNT):
        petition = cases.new_id(ground.random)
        clock = cases.new_id(ground.random)
        event = events.PetitionClockCrossed(petition_id=petition, deadline_id=clock, kind="conclude", colour="amber")
        event.due_on = "2027-01-23"
        bodies.append(crafted(event, "petition", TIER, petition, 1))
    path = ground.folder / "envelopes.bin"
    write_frames(path, bodies)
    return path


def _publish(ground: Ground, frames: Path) -> None:
    subprocess.run(rabbit.publish_words(ground.rabbit.url, QUEUE, COUNT, frames), check=True, stdout=subprocess.DEVNULL)


def _raw(ground: Ground) -> float:
    database = ground.postgres.create_database("bench_taken").replace("postgresql+psycopg://", "postgresql://")
    words = rabbit.take_words(ground.rabbit.url, QUEUE, COUNT, database)
    return COUNT / float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def _declared(ground: Ground) -> bool:
    try:
        return rabbit.depth(ground.rabbit.url, QUEUE) == 0
    except Exception:
        return False


def _watch(conn: object) -> tuple[float, float]:
    """When the transactions began that stored the first and the last of them."""
    query = "SELECT count(*) FROM inbox"
    end = time.monotonic() + 180
    while conn.execute(query).fetchone()[0] < COUNT:  # type: ignore[attr-defined]
        if time.monotonic() > end:
            raise ProcessFailed("the worker did not take everything within 180 s")
        time.sleep(0.2)
    span = "SELECT extract(epoch FROM min(received_at)), extract(epoch FROM max(received_at)) FROM inbox"
    first, last = conn.execute(span).fetchone()  # type: ignore[attr-defined]
    return float(first), float(last)
