"""What a village needs: everything in one process, after 389 petitions."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from bench import cases
from bench.figures import Figure
from bench.ground import Ground
from e2e.system import System, eventually

TITLE = "单进程(SQLite、本地总线)内存 · memory of everything in one process"
PETITIONS = 389


def measure(ground: Ground) -> list[Figure]:
    """Files 389 petitions and walks each to its end: most concluded by the hall, every fourth through mediation."""
    folder = ground.folder / "village"
    with System(folder) as system:
        system.sign_in()
        chance = random.Random(ground.seed)
        for number in range(PETITIONS):
            _walk(system, chance, number)
        now, peak = _memory(system.processes["all"].pid)
    zh = f"一个进程、SQLite,办完 {PETITIONS} 件之后的常驻内存"
    found = [
        Figure("all_in_one_rss_mb", now, "MB", zh, PETITIONS, aim="≤ 150"),
        Figure("all_in_one_peak_rss_mb", peak, "MB", "同上,峰值", PETITIONS),
    ]
    for figure in found:
        print(figure.line, flush=True)
    return found


def _walk(system: System, chance: random.Random, number: int) -> None:
    if number % 50 == 0:
        system.sign_in()
    made = system.ok("POST", "/v1/petitions", cases.registration(chance))["petition"]
    path = f"/v1/petitions/{made['id']}"
    system.ok("POST", f"{path}:accept", {})
    if number % 4 == 0:
        settled = _mediate(system, chance, path, refuse=number % 8 == 0)
        if settled:
            return
    opinion = {"outcome": "OUTCOME_SUPPORTED", "opinion": "已督促修缮完毕", "legal_basis": "《物业管理条例》第五十五条"}
    system.ok("POST", f"{path}:conclude", opinion)
    system.ok("POST", f"{path}:evaluate", {"satisfaction": "SATISFACTION_SATISFIED", "comment": "处理及时"})


def _mediate(system: System, chance: random.Random, path: str, refuse: bool) -> bool:
    """Whether the parties settled; else the case is the hall's again."""
    body = {"request_id": cases.new_id(chance), "reason": "邻里纠纷宜调解", "respondents": [cases.person(chance)]}
    system.ok("POST", f"{path}:refer", {**body, "dispute_type": "邻里"})
    petition = path.rpartition("/")[2]

    def arrived() -> dict[str, Any] | None:
        found = system.ok("GET", "/v1/mediations", params={"petition_id": petition}).get("mediations", [])
        return found[0] if found else None

    mediation = eventually(arrived, "the referral arrives")
    for party in mediation["parties"]:
        answer = {"party_id": party["id"], "consent": "CONSENT_REFUSED" if refuse else "CONSENT_GIVEN"}
        system.ok(
            "POST", f"/v1/mediations/{mediation['id']}:consent", {**answer, "reason": "不愿调解"} if refuse else answer
        )
        if refuse:
            break
    if not refuse:
        system.ok(
            "POST",
            f"/v1/mediations/{mediation['id']}:settle",
            {"form": "AGREEMENT_FORM_WRITTEN", "terms": "十日内修好漏水"},
        )
    state = "PETITION_STATE_ACCEPTED" if refuse else "PETITION_STATE_CONCLUDED"
    eventually(lambda: system.ok("GET", path)["state"] == state, f"the petition becomes {state}")
    if not refuse:
        system.ok("POST", f"{path}:evaluate", {"satisfaction": "SATISFACTION_SATISFIED", "comment": "满意"})
    return not refuse


def _memory(pid: int) -> tuple[float, float]:
    """Resident memory in MiB, now and at most."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    now, peak = (int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return round(now, 1), round(peak, 1)
