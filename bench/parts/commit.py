"""What a use case costs beside a bare handler that writes the same rows: domain, token, rules, masking, spans."""

from __future__ import annotations

from bench import cases
from bench.figures import Figure
from bench.ground import BARE_DATABASE, Ground
from bench.rounds import Compared, Round, alternate

TITLE = "用例提交速度与裸写同样行之比 · use cases against bare handlers writing the same rows"
SECONDS, PAIRS = 3.0, 9
# More than a round can use up.
PER_ROUND = 4000


def measure(ground: Ground) -> list[Figure]:
    """Refer, which touches every ledger, and register; served by the real `serve petition`, its relay sending."""
    with ground.district("serve-petition") as district, ground.bare() as bare:
        metadata, ours = district.metadata(), district.address()
        with ground.sql("zongzhi_petition") as mine, ground.sql(BARE_DATABASE) as theirs:

            def refer(target: str) -> Round:
                conn = mine if target == ours else theirs
                petitions = cases.accepted_petitions(conn, ground.random, PER_ROUND)
                return ground.load.grpc(
                    target, cases.REFER, cases.referrals(ground.random, petitions), SECONDS, metadata
                )

            def register(target: str) -> Round:
                frames = cases.registrations(ground.random, PER_ROUND)
                return ground.load.grpc(target, cases.REGISTER, frames, SECONDS, metadata)

            referring = alternate(lambda: refer(ours), lambda: refer(bare), PAIRS)
            registering = alternate(lambda: register(ours), lambda: register(bare), PAIRS)
    zh = "提交一个用例(转办)的速度与裸处理器写同样行之比,16 个并发"
    return [
        *_figures("service_commit", zh, referring, "≥ 0.7"),
        *_figures("register_commit", "同上,登记", registering, None),
    ]


def _figures(name: str, zh: str, compared: Compared, aim: str | None) -> list[Figure]:
    found = [
        Figure(f"{name}_ratio", round(compared.ratio, 3), "ratio", zh, compared.n, 1.0, aim),
        Figure(f"{name}_per_s", round(compared.ours, 1), "per s", "每秒提交", compared.n, round(compared.raw, 1)),
    ]
    for figure in found:
        print(figure.line, flush=True)
    return found
