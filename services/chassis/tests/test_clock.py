from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from services.chassis import clock


@pytest.fixture
def _fresh_shift() -> Iterator[None]:
    clock._shift.cache_clear()
    yield
    clock._shift.cache_clear()


def test_now_is_an_aware_instant_in_utc() -> None:
    assert clock.now().tzinfo is UTC


@pytest.mark.usefixtures("_fresh_shift")
def test_a_drill_moves_the_clock_by_the_seconds_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(clock.SHIFT, "86400")
    assert timedelta(hours=23) < clock.now() - datetime.now(UTC) <= timedelta(days=1)


@pytest.mark.usefixtures("_fresh_shift")
def test_the_shift_is_read_once_so_that_time_does_not_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    clock.now()
    monkeypatch.setenv(clock.SHIFT, "86400")
    assert clock.now() - datetime.now(UTC) < timedelta(minutes=1)


@pytest.mark.usefixtures("_fresh_shift")
@pytest.mark.parametrize("text", ["soon", "1e30", "nan"])
def test_a_shift_that_is_no_number_names_the_variable(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(clock.SHIFT, text)
    with pytest.raises(ValueError, match="ZONGZHI_CLOCK_SHIFT_S must be a number of seconds"):
        clock.now()


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        (datetime(2026, 3, 1, 15, 59, 59, tzinfo=UTC), date(2026, 3, 1)),
        (datetime(2026, 3, 1, 16, 0, tzinfo=UTC), date(2026, 3, 2)),
    ],
)
def test_the_legal_date_changes_at_midnight_in_shanghai(instant: datetime, expected: date) -> None:
    assert clock.legal_date(instant) == expected


def test_a_time_without_a_zone_has_no_legal_date() -> None:
    with pytest.raises(ValueError, match="has no zone"):
        clock.legal_date(datetime(2026, 3, 1))


def test_a_day_runs_from_midnight_to_midnight_in_shanghai() -> None:
    assert clock.day_start(date(2026, 3, 2)) == datetime(2026, 3, 1, 16, tzinfo=UTC)
    assert clock.day_end(date(2026, 3, 2)) == clock.day_start(date(2026, 3, 3))


def test_a_day_with_summer_time_long_ago_ends_where_the_next_begins() -> None:
    assert clock.day_end(date(1990, 4, 15)) - clock.day_start(date(1990, 4, 15)) == timedelta(hours=23)
