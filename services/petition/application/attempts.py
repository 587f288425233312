"""Limits on what a source may try, counted in a table that all replicas share.

A source is a client address or an account, a case is counted for itself; only keyed hashes of them are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from services.chassis.refusal import Exhausted
from services.petition.application.following_ports import Following

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Ceiling:
    """So many tries within a time, and what is said beyond them."""

    purpose: str
    most: int
    within: timedelta
    reason: str
    zh: str
    en: str

    def check(self, following: Following, of_whom: str, now: datetime) -> None:
        """Raises Exhausted, with the time to wait, once the ceiling is reached."""
        tries = following.tries(self.purpose, of_whom, self.within)
        if len(tries) >= self.most:
            raise self._reached(tries[-self.most] + self.within - now)

    def _reached(self, left: timedelta) -> Exhausted:
        seconds = max(1, ceil(left.total_seconds()))
        minutes = ceil(seconds / 60)
        return Exhausted(
            self.reason,
            f"{self.zh},请 {minutes} 分钟后再试。",
            f"{self.en}; try again in {minutes} minutes.",
            retry_after_s=str(seconds),
        )


FAILURES = Ceiling(
    "track", 10, HOUR, "TRACK_CLOSED",
    "查询失败次数过多,为保护信访人信息,此处暂停查询", "Too many failed look-ups; they are closed to this source",
)  # fmt: skip
# Whoever finds a slip could guess four digits from many addresses.
PROOFS = Ceiling(
    "proof", 30, DAY, "PROOF_CLOSED",
    "该件的手机号后四位或密码输错次数过多,已暂停网上办理,可持身份证件到窗口办理",
    "Phone digits or PIN of this case were wrong too often; come to the hall with your identity card",
)  # fmt: skip
PRINTS = Ceiling("slip", 10, HOUR, "SLIPS_EXHAUSTED", "打印回执次数过多", "Too many slips were printed")
MATERIALS = Ceiling(
    "material", 10, DAY, "MATERIALS_EXHAUSTED",
    "今天补充的次数已满,可一次写全,或到窗口提交", "This case took all further material it may take in a day",
)  # fmt: skip


def filings(per_hour: int, per_day: int) -> tuple[Ceiling, Ceiling]:
    """How often one source may file online."""
    zh, en = "网上提交次数过多,也可到窗口或来电反映", "Too many filings from here; you may also come or call"
    return (
        Ceiling("file", per_hour, HOUR, "FILINGS_EXHAUSTED", zh, en),
        Ceiling("file", per_day, DAY, "FILINGS_EXHAUSTED", zh, en),
    )
