"""Case numbers: each one once, also from many threads and processes."""

from __future__ import annotations

import threading
from datetime import date

import pytest
from sqlalchemy import select, update

from services.chassis.codes import parse_case_number, valid_mod37_36
from services.chassis.database import Database, InsideTransaction
from services.chassis.numbers import Numbers
from services.chassis.refusal import Exhausted
from services.chassis.tables import number_blocks
from services.chassis.tests.concurrency import in_threads

DISTRICT, VILLAGE = "341702000000", "341702100201"
DAY = date(2026, 3, 2)


class TestNumbers:
    def test_they_count_from_one_and_pass_their_own_check(self, db: Database) -> None:
        numbers = Numbers(db, block=3)
        taken = [numbers.take(DISTRICT, "P", DAY) for _ in range(7)]
        assert [parse_case_number(text).sequence for text in taken] == [1, 2, 3, 4, 5, 6, 7]
        assert all(valid_mod37_36(text) for text in taken)

    def test_each_division_letter_day_and_node_counts_for_itself(self, db: Database) -> None:
        numbers, restored = Numbers(db), Numbers(db, node=lambda: "B")
        taken = [
            numbers.take(DISTRICT, "P", DAY),
            numbers.take(VILLAGE, "P", DAY),
            numbers.take(DISTRICT, "M", DAY),
            numbers.take(DISTRICT, "P", date(2026, 3, 3)),
            restored.take(DISTRICT, "P", DAY),
        ]
        assert {parse_case_number(text).sequence for text in taken} == {1}
        assert len(set(taken)) == 5

    def test_two_processes_and_many_threads_never_hand_out_one_twice(self, db: Database) -> None:
        taken: list[str] = []
        makers = [Numbers(db, block=4), Numbers(db, block=4)]

        def take(numbers: Numbers) -> None:
            taken.extend(numbers.take(DISTRICT, "P", DAY) for _ in range(20))

        in_threads([lambda n=n: take(makers[n % 2]) for n in range(8)])  # type: ignore[misc]
        assert len(taken) == 160
        assert {parse_case_number(text).sequence for text in taken} == set(range(1, 161))

    def test_threads_that_come_while_a_block_is_fetched_wait_for_it(
        self, db: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fetch = Numbers._next_block

        def fetch_slowly(numbers: Numbers, key: tuple[str, str, date]) -> range:
            block = fetch(numbers, key)
            threading.Event().wait(0.05)
            return block

        monkeypatch.setattr(Numbers, "_next_block", fetch_slowly)
        numbers, taken = Numbers(db, block=20), list[str]()
        in_threads([lambda: taken.append(numbers.take(DISTRICT, "P", DAY))] * 8)
        assert {parse_case_number(text).sequence for text in taken} == set(range(1, 9))

    def test_a_restart_leaves_a_gap_and_repeats_nothing(self, db: Database) -> None:
        first = Numbers(db, block=20).take(DISTRICT, "P", DAY)
        second = Numbers(db, block=20).take(DISTRICT, "P", DAY)
        assert [parse_case_number(text).sequence for text in (first, second)] == [1, 21]

    def test_the_last_number_of_a_day_is_9999(self, db: Database) -> None:
        Numbers(db).take(DISTRICT, "P", DAY)
        with db.transaction() as tx:
            tx.conn.execute(update(number_blocks).values(next=9998))
        numbers = Numbers(db)
        assert [parse_case_number(numbers.take(DISTRICT, "P", DAY)).sequence for _ in range(2)] == [9998, 9999]
        for _ in range(3):
            with pytest.raises(Exhausted, match="9999"):
                numbers.take(DISTRICT, "P", DAY)
        assert parse_case_number(numbers.take(DISTRICT, "P", date(2026, 3, 3))).sequence == 1

    def test_a_number_is_taken_before_the_transaction_that_uses_it(self, db: Database) -> None:
        numbers = Numbers(db)
        numbers.take(DISTRICT, "P", DAY)
        with db.transaction(), pytest.raises(InsideTransaction):
            numbers.take(DISTRICT, "P", DAY)

    def test_a_wrong_part_writes_nothing(self, db: Database) -> None:
        with pytest.raises(ValueError, match="编号"):
            Numbers(db).take("341702", "P", DAY)
        with db.reading() as conn:
            assert conn.execute(select(number_blocks)).all() == []
