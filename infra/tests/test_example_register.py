"""The example register: invented throughout, except for the totals, which are those that the district published."""

from __future__ import annotations

import pytest

from infra.tools import example_register as example
from services.chassis import sheets

AT = {heading: place for place, heading in enumerate(example.HEADINGS)}


@pytest.mark.parametrize("seed", [1, 7, 2021, 99])
def test_the_totals_are_the_published_ones_whatever_the_seed(seed):
    rows = example.rows(seed)
    leaders = [row for row in rows if row[AT["领导接访"]] == "是"]
    assert (len(rows), sum(row[AT["人次"]] for row in rows)) == (389, 952)
    assert (len(leaders), sum(row[AT["人次"]] for row in leaders)) == (75, 101)
    assert len({row[AT["来访日期"]] for row in leaders}) == 65
    assert all(row[AT["来访日期"]].startswith("2021-") for row in rows)
    assert {row[AT["渠道"]] for row in rows} == {"走访", "书信", "电话", "信息网络"}


def test_the_same_seed_gives_the_same_bytes_and_another_one_others():
    assert example.workbook(1) == example.workbook(1)
    assert example.workbook(1) != example.workbook(2)
    assert example.text(1) == example.text(1)


@pytest.mark.parametrize("make", [example.workbook, example.text])
def test_either_form_says_what_it_is_and_is_read_as_a_register(make):
    sheet, rows = sheets.read(make(), headings=["来访日期", "渠道", "姓名"])
    assert sheet.headings == example.HEADINGS
    assert sheet.heading_row == 2
    assert len(list(rows)) == 389
    assert "虚构" in example.TITLE


def test_every_number_is_one_of_those_that_belong_to_nobody():
    phones = [row[AT["电话"]] for row in example.rows()]
    assert all(not phone or phone.startswith("1380000") for phone in phones)
