"""Whether a caller who was answered finds at once what was written, at whichever replica the next call arrives."""

from __future__ import annotations

import json

from bench import cases
from bench.figures import Figure
from bench.ground import Ground
from infra.processes import answers, free_port, wait_until

TITLE = "写后即读 · read your write, two replicas behind the gateway"
PAIRS = 10_000


def measure(ground: Ground) -> list[Figure]:
    """10,000 times POST, then GET through the gateway; two replicas of petition on one database, taken in turn."""
    first, second = free_port(), free_port()
    both = f"ipv4:127.0.0.1:{first},127.0.0.1:{second}"
    with ground.district(PETITION_ADDRESS=both) as district:
        for port in (first, second):
            district.replica(f"petition-{port}", ["serve", "petition"], GRPC_PORT=str(port))
        wait_until(lambda: answers(first) and answers(second), timeout=40)
        district.run("gateway")
        said, headers = {"done": 0, "misses": 0, "failed": 0, "seconds": 0.0}, district.headers()
        for _ in range(PAIRS // 1000):
            bodies = [json.dumps(cases.registration(ground.random)).encode() for _ in range(1000)]
            part = ground.load.pairs(f"127.0.0.1:{district.ports['gateway']}", bodies, headers)
            if part["failed"]:
                raise AssertionError(f"{part['failed']} registrations failed: {part['failure']}")
            said = {name: said[name] + part[name] for name in said}
            headers = district.headers()
        with ground.sql("zongzhi_petition") as conn:
            made = conn.execute("SELECT count(*) FROM petitions").fetchone()
    print(f"    {said['done'] / said['seconds']:.0f} pairs/s, {made[0] if made else 0} petitions", flush=True)
    zh = "POST 之后立即 GET 没有找到的次数(网关后两个副本)"
    figure = Figure("read_your_write_misses", said["misses"], "misses", zh, int(said["done"]), aim="= 0")
    print(figure.line, flush=True)
    return [figure]
