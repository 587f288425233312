"""What the gateway adds: the same registration over HTTP and over gRPC, and beside a bare INSERT over gRPC."""

from __future__ import annotations

from bench import cases
from bench.bare import INSERT
from bench.figures import Figure
from bench.ground import Ground
from bench.rounds import Round, alternate

TITLE = "经网关与直接 gRPC 之比 · through the gateway against direct gRPC"
SECONDS, PAIRS = 4.0, 5
PER_ROUND = 6000
BODY = b"x" * 460


def measure(ground: Ground) -> list[Figure]:
    """RegisterPetition, 16 callers; gateway, service, database and callers share the cores on every side."""
    with ground.district("serve-petition", "gateway") as district, ground.bare() as bare:
        metadata, gateway = district.metadata(), f"127.0.0.1:{district.ports['gateway']}"

        def over_http() -> Round:
            bodies = [cases.registration(ground.random) for _ in range(PER_ROUND)]
            frames = cases.http_posts("/v1/petitions", bodies, district.headers())
            return ground.load.http(gateway, frames, SECONDS)

        def over_grpc() -> Round:
            frames = cases.registrations(ground.random, PER_ROUND)
            return ground.load.grpc(district.address(), cases.REGISTER, frames, SECONDS, metadata)

        def bare_insert() -> Round:
            return ground.load.grpc(bare, INSERT, [BODY] * 4 * PER_ROUND, SECONDS)

        over_http()
        over_grpc()
        calls = alternate(over_http, over_grpc, PAIRS)
        inserts = alternate(over_http, bare_insert, PAIRS - 2)
    zh = "登记一件:经网关(HTTP)与直接 gRPC 之比,16 个并发"
    found = [
        Figure("gateway_ratio", round(calls.ratio, 3), "ratio", zh, calls.n, 1.0, "≥ 0.55"),
        Figure("gateway_per_s", round(calls.ours, 1), "per s", "经网关每秒登记", calls.n, round(calls.raw, 1)),
        Figure("bare_ratio", round(inserts.ratio, 3), "ratio", "经网关登记与“gRPC → 单行 INSERT”之比", inserts.n, 1.0),
    ]
    for figure in found:
        print(figure.line, flush=True)
    return found
