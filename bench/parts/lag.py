"""How long an event takes from the commit of its cause to the commit of its effect in the other service.

Both times are PostgreSQL's own: pg_xact_commit_timestamp of the transaction that wrote the timeline's line
`petition.referred`, and of the one that wrote `mediation.applied`. Those rows are never changed afterwards.
"""

from __future__ import annotations

import time
from typing import Any

from bench import cases
from bench.figures import Figure
from bench.ground import Ground
from bench.rounds import percentile
from infra.processes import ProcessFailed, wait_until

TITLE = "事件从提交到对方提交的时间 · from commit to the other service's commit"
RATE, SECONDS = 50, 20.0
_CAUSES = """
    SELECT subject_id, extract(epoch FROM pg_xact_commit_timestamp(xmin)) FROM timeline WHERE kind = 'petition.referred'
"""
_EFFECTS = """
    SELECT petition_id, extract(epoch FROM pg_xact_commit_timestamp(t.xmin))
    FROM timeline t JOIN mediations m ON m.id = t.subject_id WHERE t.kind = 'mediation.applied'
"""


def measure(ground: Ground) -> list[Figure]:
    """Referrals at 50 a second through real serve and work processes, PostgreSQL and RabbitMQ."""
    with (
        ground.district("serve-petition", "work-mediation", "serve-mediation") as district,
        ground.sql("zongzhi_petition") as petition,
        ground.sql("zongzhi_mediation") as mediation,
    ):
        _refer(ground, district, petition, 3.0)
        _arrived(petition, mediation)
        warm = set(_times(petition, _CAUSES))
        _refer(ground, district, petition, SECONDS)
        _arrived(petition, mediation)
        began, ended = _times(petition, _CAUSES), _times(mediation, _EFFECTS)
    lags = [(ended[key] - at) * 1000 for key, at in began.items() if key not in warm]
    zh = f"每秒 {RATE} 件:从转办提交到调解服务提交"
    found = [
        Figure("event_lag_p99_ms", round(percentile(lags, 0.99), 1), "ms", zh + ",p99", len(lags), aim="≤ 25"),
        Figure("event_lag_p50_ms", round(percentile(lags, 0.5), 1), "ms", zh + ",p50", len(lags)),
    ]
    for figure in found:
        print(figure.line, flush=True)
    return found


def _refer(ground: Ground, district: Any, conn: Any, seconds: float) -> None:
    petitions = cases.accepted_petitions(conn, ground.random, int(RATE * seconds))
    time.sleep(0.5)  # what was just written is flushed before the clock runs
    frames = cases.referrals(ground.random, petitions)
    ground.load.grpc(district.address(), cases.REFER, frames, seconds + 5, district.metadata(), rate=RATE)


def _times(conn: Any, query: str) -> dict[str, float]:
    return {key: float(at) for key, at in conn.execute(query)}


def _arrived(petition: Any, mediation: Any) -> None:
    if not wait_until(lambda: _times(petition, _CAUSES).keys() <= _times(mediation, _EFFECTS).keys(), 20, 0.5):
        raise ProcessFailed("events did not arrive")
