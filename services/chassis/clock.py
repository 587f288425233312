"""The one clock of the system. Instants are aware UTC; legal dates are dates in Asia/Shanghai."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
SHIFT = "ZONGZHI_CLOCK_SHIFT_S"


def now() -> datetime:
    """This instant in UTC, moved by ZONGZHI_CLOCK_SHIFT_S seconds when a drill sets it."""
    return datetime.now(UTC) + _shift()


def legal_date(instant: datetime) -> date:
    """The date on a wall calendar in China at this instant. A naive time raises ValueError."""
    if instant.tzinfo is None:
        raise ValueError(f"时间 {instant} 没有时区。 The time {instant} has no zone; pass an aware one.")
    return instant.astimezone(SHANGHAI).date()


def day_start(d: date) -> datetime:
    """The instant, in UTC, at which this date begins in Shanghai."""
    return datetime.combine(d, time(), SHANGHAI).astimezone(UTC)


def day_end(d: date) -> datetime:
    """The instant, in UTC, at which this date is over in Shanghai: the start of the next day."""
    return day_start(d + timedelta(days=1))


@cache  # read once: a clock that jumps while the process runs would break the order of ids
def _shift() -> timedelta:
    text = os.environ.get(SHIFT, "").strip() or "0"
    try:
        return timedelta(seconds=float(text))
    except (ValueError, OverflowError) as wrong:
        raise ValueError(
            f"环境变量 {SHIFT} 应为秒数,现为 {text!r}。 {SHIFT} must be a number of seconds, not {text!r}."
        ) from wrong
