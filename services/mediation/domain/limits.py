"""The time limits that bind the mediation centre."""

from __future__ import annotations

from services.chassis.deadline import Limit, Unit

# "Normally within one month": counted as 30 calendar days, so that an office cannot gain a day in a long month.
MEDIATE = Limit("mediate", 30, Unit.DAY, "人民调解工作若干规定 art. 33", "调解期限", "limit to mediate")
LIMITS = {limit.kind: limit for limit in (MEDIATE,)}
