import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import chinese_calendar
import pytest

from services.chassis.calendar import SHIPPED, WorkCalendar

ROOT = Path(__file__).parents[3]
HEAD = "# made for a test; years: 2027-2027\ndate,kind,name\n"
PUBLISHED = WorkCalendar.published()


def test_every_date_of_23_years_is_worked_or_free_as_the_source_says() -> None:
    day = date(2004, 1, 1)
    while day <= PUBLISHED.published_until:
        assert PUBLISHED.is_workday(day) == chinese_calendar.is_workday(day), day
        day += timedelta(days=1)


def test_the_shipped_table_is_what_freezing_it_again_gives(tmp_path: Path) -> None:
    again = tmp_path / "holidays.csv"
    subprocess.run([sys.executable, ROOT / "infra/tools/freeze_holidays.py", "--out", again], check=True)  # noqa: S603  # our own script
    assert again.read_bytes() == SHIPPED.read_bytes()


def test_the_first_line_names_source_version_and_years() -> None:
    first = SHIPPED.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# PyPI chinesecalendar 1.11.0 (MIT); years: 2004-2026"
    assert PUBLISHED.published_until == date(2026, 12, 31)


def test_a_holiday_that_falls_on_a_weekend_is_named_too() -> None:
    assert PUBLISHED.special[date(2026, 2, 15)].name == "春节"
    assert not PUBLISHED.special[date(2026, 2, 15)].worked


def test_working_days_skip_the_spring_festival_and_count_the_make_up_days() -> None:
    assert PUBLISHED.add_workdays(date(2026, 2, 13), 1) == date(2026, 2, 14)  # a Saturday that is worked
    assert PUBLISHED.add_workdays(date(2026, 2, 14), 1) == date(2026, 2, 24)


def test_the_next_working_day_is_the_day_itself_when_it_is_worked() -> None:
    assert PUBLISHED.next_workday(date(2026, 2, 14)) == date(2026, 2, 14)
    assert PUBLISHED.next_workday(date(2026, 10, 1)) == date(2026, 10, 8)


def test_no_working_days_lead_nowhere() -> None:
    assert PUBLISHED.add_workdays(date(2026, 10, 1), 0) == date(2026, 10, 1)


def test_beyond_the_published_years_monday_to_friday_holds() -> None:
    assert PUBLISHED.is_workday(date(2027, 10, 1))
    assert PUBLISHED.add_workdays(date(2027, 9, 30), 2) == date(2027, 10, 4)


@pytest.mark.parametrize("n", [1, 30, 5000, 200_000])
def test_counting_back_gives_the_number_that_was_added(n: int) -> None:
    start = date(2003, 12, 31)
    assert PUBLISHED.workdays_between(start, PUBLISHED.add_workdays(start, n)) == n


@pytest.mark.parametrize("n", [-1, 10_000_000])
def test_a_number_of_working_days_that_cannot_be_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match="working days"):
        PUBLISHED.add_workdays(date(2026, 1, 1), n)


def test_a_new_year_is_imported_behind_the_published_ones() -> None:
    newer = WorkCalendar.from_text(HEAD + "2027-01-01,holiday,元旦\n2027-01-03,workday,元旦\n")
    both = PUBLISHED.extended_by(newer)
    assert both.published_until == date(2027, 12, 31)
    assert both.is_workday(date(2027, 1, 3))
    assert not both.is_workday(date(2027, 1, 1))
    assert not both.is_workday(date(2026, 10, 1))


def test_a_year_that_is_imported_again_replaces_the_old_one() -> None:
    corrected = WorkCalendar.from_text("# years: 2026-2026\n2026-01-01,holiday,元旦\n")
    assert PUBLISHED.extended_by(corrected).is_workday(date(2026, 10, 1))


def test_a_gap_of_a_year_is_refused_so_that_no_date_is_firm_by_mistake() -> None:
    later = WorkCalendar.from_text("# years: 2028-2028\n2028-01-01,holiday,元旦\n")
    with pytest.raises(ValueError, match="import 2027 first"):
        PUBLISHED.extended_by(later)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.csv:1: .*first line must name the published years"),
        ("date,kind,name\n", "t.csv:1: "),
        ("# years: 2027-2026\n", "t.csv:1: "),
        (HEAD + "2027-01-01,holiday\n", "t.csv:3: .*Write 'date,holiday or workday,name'"),
        (HEAD + "2027-01-01,free,元旦\n", "t.csv:3: "),
        (HEAD + "01/01/2027,holiday,元旦\n", "t.csv:3: .*Write the date as 2026-10-01"),
        (HEAD + "2027-01-01,holiday,元旦\n2027-01-01,workday,元旦\n", "t.csv:4: .*is there twice"),
        (HEAD + "2028-01-01,holiday,元旦\n", "t.csv:3: .*outside the years"),
        ("# years: 2027-2028\n2027-01-01,holiday,元旦\n", "no line for 2028"),
    ],
)
def test_a_bad_table_is_refused_with_its_line_and_the_cure(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WorkCalendar.from_text(text, origin="t.csv")


def test_a_table_saved_by_a_spreadsheet_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    saved = tmp_path / "h.csv"
    saved.write_text(HEAD + "2027-01-01,holiday,元旦\n", encoding="utf-8-sig", newline="\r\n")
    assert not WorkCalendar.from_file(saved).is_workday(date(2027, 1, 1))


def test_a_table_in_another_encoding_says_how_to_save_it(tmp_path: Path) -> None:
    saved = tmp_path / "h.csv"
    saved.write_text(HEAD + "2027-01-01,holiday,元旦\n", encoding="gbk")
    with pytest.raises(ValueError, match="save the file as UTF-8"):
        WorkCalendar.from_file(saved)
