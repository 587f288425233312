"""What people typed into a cell is taken for what they mean."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis import sheet_out, sheet_values

MARCH = date(2021, 3, 5)


@pytest.mark.parametrize(
    "cell",
    [
        "2021-3-5", "2021/3/5", "2021.3.5", "2021.03.05", "2021年3月5日", "2021年03月05日", "2021 年 3 月 5 日",
        "2021-03-05", " 2021-03-05 ", "20210305", 20210305, 44260, "44260", 44260.0, 44260.5, "2021-03-05 14:30",
        "2021-03-05 14:30:00", "2021/3/5 8:05", "2021-03-05T08:05:00", "2021年3月5日 8时30分",
        "\uff12\uff10\uff12\uff11-\uff13-\uff15",
        "2021-03-05 00:00:00.000", "2021年3月5号",
    ],
)  # fmt: skip
def test_a_day_in_every_usual_form(cell):
    assert sheet_values.day(cell) == MARCH


@pytest.mark.parametrize("cell", ["", "2021", "3月5日", "2021-13-01", "2021-02-30", "昨天", 5, 123456, True, "21-3-5"])
def test_what_is_no_day_is_none(cell):
    assert sheet_values.day(cell) is None


def test_days_may_be_counted_from_1904():
    assert sheet_values.day(42798, date1904=True) == MARCH


@pytest.mark.parametrize(("cell", "number"), [(3, 3), ("3", 3), ("\uff13", 3), ("3人", 3), ("3 人次", 3), ("3.0", 3), ("1,200", 1200), ("三", None), ("3.5", None), ("-1", None), ("", None), (2.0, 2)])  # fmt: skip  # noqa: E501
def test_whole_numbers(cell, number):
    assert sheet_values.whole(cell) == number


@pytest.mark.parametrize(("cell", "answer"), [("是", True), ("√", True), (True, True), (1, True), ("否", False), ("", False), (False, False), (0, False), ("也许", None)])  # fmt: skip  # noqa: E501
def test_yes_and_no(cell, answer):
    assert sheet_values.yes(cell) is answer


def test_a_phone_kept_as_a_number_is_whole_and_one_written_with_a_power_is_not():
    assert sheet_values.text(13800001234) == "13800001234"
    assert sheet_values.text(13800001234.0) == "13800001234"
    assert not sheet_values.has_lost_digits(13800001234.0)
    assert sheet_values.has_lost_digits("1.38E+10")
    assert sheet_values.has_lost_digits(341702199001011234)
    assert not sheet_values.has_lost_digits("341702199001011234")


def test_full_width_and_blanks():
    assert sheet_values.plain("\u3000\uff11\uff13\uff18 0000\u3000") == "138 0000"


@given(st.text())
def test_whatever_goes_out_is_no_formula_and_comes_back_as_it_was(text):
    out = sheet_out.harmless(text.strip())
    assert not out.startswith(("=", "+", "-", "@"))
    assert sheet_values.text(out) == text.strip() or len(text) > 32_000
