"""The statutory limits of a petition, as the 信访工作条例 states them."""

from __future__ import annotations

from services.chassis.deadline import Limit, Unit

ACCEPT = Limit("accept", 15, Unit.DAY, "信访工作条例 art. 22, 23", "受理告知期限", "limit to accept or decline")
CONCLUDE = Limit("conclude", 60, Unit.DAY, "信访工作条例 art. 34", "办结期限", "limit to conclude")
LIMITS = {limit.kind: limit for limit in (ACCEPT, CONCLUDE)}
