"""Whether a collector that is connected but never answers slows the calls down."""

from __future__ import annotations

from functools import partial

from bench import cases
from bench.figures import Figure
from bench.ground import Ground
from bench.rounds import Round, alternate, percentile
from e2e.otlp_receiver import OtlpReceiver
from infra.processes import answers, free_port, wait_until

TITLE = "遥测收集器不应答时的 p99 · p99 with a collector that never answers"
SECONDS, PAIRS = 6.0, 9
PER_ROUND = 6000
# Few enough that the cores are not the limit: what is looked for is a delay, not a lack of throughput.
RATE = 120


def measure(ground: Ground) -> list[Figure]:
    """Two replicas of petition, alike but for the collector; a third, idle one does what only one may do."""
    ports = {"spare": free_port(), "mute": free_port(), "without": free_port()}
    with OtlpReceiver(black_hole=True) as collector, ground.district() as district:
        for name, port in ports.items():
            more = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url} if name == "mute" else {}
            district.replica(f"petition-{name}", ["serve", "petition"], GRPC_PORT=str(port), **more)
            wait_until(partial(answers, port), timeout=40)
        metadata = district.metadata()

        def register(name: str) -> Round:
            frames = cases.registrations(ground.random, PER_ROUND)
            target = f"127.0.0.1:{ports[name]}"
            return ground.load.grpc(target, cases.REGISTER, frames, SECONDS, metadata, rate=RATE)

        register("mute")
        register("without")
        compared = alternate(lambda: register("mute"), lambda: register("without"), PAIRS, _p99)
    zh = f"收集器黑洞时登记的 p99 与没有收集器时之比,每秒 {RATE} 件"
    figure = Figure("collector_down_p99_ratio", round(compared.ratio, 3), "ratio", zh, compared.n, 1.0, "≤ 1.1")
    print(figure.line, flush=True)
    return [figure]


def _p99(done: Round) -> float:
    return percentile(done.latencies, 0.99)
