"""Transactions: what is written, when it is written, and what may not happen meanwhile."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import StatementError

from services.chassis import deadlines_of_calls
from services.chassis.database import Database, InsideTransaction, Tx, forbid_inside_transaction
from services.chassis.fair_lock import FairLock
from services.chassis.identity import Identity
from services.chassis.refusal import TooLate
from services.chassis.tables import outbox_seq, requests
from services.chassis.tests.concurrency import in_threads, wait_until

ROOT = Path(__file__).parents[3]


def write(tx: Tx, number: int) -> None:
    tx.conn.execute(insert(outbox_seq).values(to_tier="t", to_service="s", aggregate_id=str(number), last_seq=number))


def transact(db: Database, *deeds: Callable[[Tx], None]) -> None:
    with db.transaction() as tx:
        for deed in deeds:
            deed(tx)


def fail(_tx: Tx) -> None:
    raise LookupError


def numbers(conn: Connection) -> set[int]:
    return set(conn.scalars(select(outbox_seq.c.last_seq)))


def written(db: Database) -> set[int]:
    with db.reading() as conn:
        return numbers(conn)


class TestTransaction:
    def test_what_was_written_is_there_after_the_block(self, db: Database) -> None:
        with db.transaction() as tx:
            write(tx, 1)
        assert written(db) == {1}

    def test_an_exception_leaves_nothing_behind(self, db: Database) -> None:
        with pytest.raises(LookupError):
            transact(db, lambda tx: write(tx, 1), fail)
        assert written(db) == set()

    def test_it_knows_who_acts_and_since_when(self, db: Database) -> None:
        clerk = Identity("clerk", "341702000000")
        with db.transaction(clerk) as tx:
            assert tx.identity is clerk
            assert tx.now.tzinfo is UTC

    def test_a_second_one_in_the_same_thread_is_a_programming_error(self, db: Database) -> None:
        with db.transaction() as tx:
            write(tx, 1)
            with pytest.raises(InsideTransaction), db.transaction():
                pass
        with db.transaction() as tx:
            write(tx, 2)
        assert written(db) == {1, 2}

    def test_a_call_to_a_neighbour_inside_of_one_is_a_programming_error(self, db: Database) -> None:
        forbid_inside_transaction("an RPC")
        with db.transaction(), pytest.raises(InsideTransaction, match="an RPC"):
            forbid_inside_transaction("an RPC")
        forbid_inside_transaction("an RPC")

    def test_past_the_callers_deadline_nothing_is_written(self, db: Database) -> None:
        deeds: list[str] = []

        def outlast(tx: Tx) -> None:
            tx.after_commit(lambda: deeds.append("told"))
            wait_until(lambda: (deadlines_of_calls.remaining() or 0) <= 0)

        token = deadlines_of_calls.begin(0.02)
        with pytest.raises(TooLate):
            transact(db, lambda tx: write(tx, 1), outlast)
        deadlines_of_calls.end(token)
        assert (written(db), deeds) == (set(), [])

    def test_a_deed_after_commit_sees_the_commit_and_runs_outside_of_the_transaction(self, db: Database) -> None:
        seen: list[set[int]] = []

        def look() -> None:
            forbid_inside_transaction("an RPC")
            seen.append(written(db))

        with db.transaction() as tx:
            write(tx, 1)
            tx.after_commit(look)
            assert seen == []
        assert seen == [{1}]

    def test_a_deed_after_commit_never_runs_without_one(self, db: Database) -> None:
        deeds: list[str] = []
        with pytest.raises(LookupError):
            transact(db, lambda tx: tx.after_commit(lambda: deeds.append("told")), fail)
        assert deeds == []

    def test_sixteen_threads_that_write_at_once_all_commit(self, db: Database) -> None:
        failures: list[BaseException] = []

        def writer(first: int) -> None:
            try:
                for number in range(first, first + 10):
                    with db.transaction() as tx:
                        write(tx, number)
            except BaseException as error:
                failures.append(error)

        in_threads([lambda n=n: writer(n * 10) for n in range(16)])  # type: ignore[misc]
        assert failures == []
        assert written(db) == set(range(160))


class TestReading:
    def test_it_keeps_no_writer_waiting_and_sees_one_state_throughout(self, db: Database) -> None:
        with db.transaction() as tx:
            write(tx, 1)
        with db.reading() as conn:
            assert numbers(conn) == {1}
            with db.transaction() as tx:
                write(tx, 2)
            assert numbers(conn) == {1}
        assert written(db) == {1, 2}

    def test_it_waits_for_no_writer_and_sees_only_what_is_committed(self, db: Database) -> None:
        with db.transaction() as tx:
            write(tx, 1)
            with db.reading() as conn:
                assert numbers(conn) == set()

    def test_a_database_that_is_there_answers(self, db: Database) -> None:
        assert db.answers()


def test_a_database_that_is_not_there_does_not_answer() -> None:
    assert not Database("sqlite:////nowhere/at/all.db").answers()


class TestInstant:
    @pytest.fixture
    def keep(self, db: Database) -> Callable[[datetime], datetime]:
        def keep(at: datetime) -> datetime:
            row = {"account": "a", "method": "m", "request_id": "r", "digest": "", "answer": b"", "created_at": at}
            with db.transaction() as tx:
                tx.conn.execute(insert(requests), row)
                return tx.conn.scalars(select(requests.c.created_at)).one()

        return keep

    def test_a_time_without_a_zone_is_refused(self, keep: Callable[[datetime], datetime], db: Database) -> None:
        with pytest.raises(StatementError, match="without a zone"):
            keep(datetime(2026, 3, 2, 9))  # noqa: DTZ001
        with db.reading() as conn:
            assert conn.execute(select(requests)).all() == []

    def test_any_zone_comes_back_as_the_same_instant_in_utc(self, keep: Callable[[datetime], datetime]) -> None:
        noon = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=8)))
        kept = keep(noon)
        assert kept == noon
        assert kept.utcoffset() == timedelta()

    def test_times_are_compared_as_instants(self, keep: Callable[[datetime], datetime], db: Database) -> None:
        keep(datetime(2026, 3, 2, 4, tzinfo=UTC))
        shanghai = timezone(timedelta(hours=8))
        with db.reading() as conn:
            before = datetime(2026, 3, 2, 11, 59, tzinfo=shanghai), datetime(2026, 3, 2, 12, 1, tzinfo=shanghai)
            for at, expected in zip(before, (0, 1), strict=True):
                assert len(conn.execute(select(requests).where(requests.c.created_at < at)).all()) == expected


class TestSqlite:
    """A file of one's own: fast, no server."""

    @pytest.fixture
    def backend(self) -> str:
        return "sqlite"

    def test_writers_are_served_in_the_order_in_which_they_came(self, db: Database) -> None:
        order: list[int] = []
        threads: list[threading.Thread] = []

        def writer(number: int) -> None:
            with db.transaction():
                order.append(number)

        with db.transaction():
            for number in range(16):
                threads.append(threading.Thread(target=writer, args=(number,)))
                threads[-1].start()
                wait_until(lambda n=number: len(db._lock._waiting) == n + 1)  # type: ignore[misc, union-attr]
        for thread in threads:
            thread.join()
        assert order == list(range(16))

    def test_a_caller_who_stops_waiting_leaves_the_queue(self, db: Database) -> None:
        outcome: list[object] = []

        def impatient() -> None:
            deadlines_of_calls.begin(0.02)
            try:
                with db.transaction() as tx:
                    write(tx, 1)
            except TooLate as late:
                outcome.append(late)

        with db.transaction():
            in_threads([impatient])
        assert [type(each) for each in outcome] == [TooLate]
        assert written(db) == set()
        with db.transaction() as tx:
            write(tx, 2)
        assert written(db) == {2}

    def test_the_file_is_written_ahead_and_flushed_at_every_commit(self, db: Database) -> None:
        with db.reading() as conn:
            wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
            assert {name: conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in wanted} == wanted

    def test_the_write_lock_is_held_from_the_first_moment(self, db: Database) -> None:
        other = sqlite3.connect(str(db.url.database), timeout=0, isolation_level=None)
        with db.transaction(), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.execute("BEGIN IMMEDIATE")
        other.close()

    def test_a_process_that_is_killed_leaves_nothing_half_written(self, db: Database) -> None:
        program = f"""
import os, signal
from services.chassis.database import Database
from services.chassis.tests.test_database import write
db = Database({str(db.url)!r})
with db.transaction() as tx:
    write(tx, 1)
with db.transaction() as tx:
    write(tx, 2)
    tx.conn.exec_driver_sql("PRAGMA cache_spill = 1")
    write(tx, 3)
    os.kill(os.getpid(), signal.SIGKILL)
"""
        ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=60, check=False)
        assert ended.returncode == -signal.SIGKILL
        assert written(db) == {1}


class TestFairLock:
    def test_who_gives_up_gets_false_and_the_next_one_the_lock(self) -> None:
        lock = FairLock()
        assert lock.acquire()
        assert not lock.acquire(0.01)
        got: list[bool] = []
        waiter = threading.Thread(target=lambda: got.append(lock.acquire(5)))
        waiter.start()
        wait_until(lambda: len(lock._waiting) == 1)
        lock.release()
        waiter.join()
        assert got == [True]
        assert not lock.acquire(0)
