"""Writes that travel together and reads that go to the driver directly mean the same as SQLAlchemy's own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, insert, select
from sqlalchemy.exc import DataError, IntegrityError

from services.chassis import clock, deadline_store, ids, timeline
from services.chassis.calendar import WorkCalendar
from services.chassis.database import Database, Tx
from services.chassis.deadline import Limit, Unit
from services.chassis.reads import Read
from services.chassis.tables import audit, deadlines, requests
from services.chassis.writes import Write

CASE = "0192f0c4-0000-7000-8000-000000000001"
LIMIT = Limit("conclude", 60, Unit.DAY, "信访工作条例 art. 34", "办结期限", "limit to conclude")
ADD_REQUEST = Write(insert(requests).inline())
ADD_AUDIT = Write(insert(audit).inline())
ALL = Read(select(requests.c.request_id, requests.c.created_at, requests.c.answer).order_by(requests.c.request_id))


def a_request(request_id: str, **more: Any) -> dict[str, Any]:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    return {
        "account": "demo",
        "method": "M",
        "request_id": request_id,
        "digest": "d",
        "answer": b"\x00%s",
        "created_at": now,
    } | more


def an_audit() -> dict[str, Any]:
    words = ("actor", "on_behalf_of", "unit", "action", "subject_type", "subject_id", "trace_id")
    return {"at": clock.now(), "details": "{}", **dict.fromkeys(words, "x")}


def kept(db: Database) -> list[str]:
    with db.reading() as conn:
        return [row["request_id"] for row in ALL.rows(conn, {})]


@pytest.fixture
def statements(db: Database) -> Iterator[list[str]]:
    """What the database was sent, in order."""
    sent: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    yield sent
    event.remove(db.engine, "before_cursor_execute", note)


class TestWrites:
    def test_what_is_put_is_there_after_the_commit(self, db: Database) -> None:
        with db.transaction() as tx:
            tx.put(ADD_REQUEST, a_request("a"))
            tx.put(ADD_AUDIT, an_audit())
        assert kept(db) == ["a"]

    def test_writes_of_several_tables_travel_in_one_statement_on_postgresql(
        self, db: Database, statements: list[str]
    ) -> None:
        with db.transaction() as tx:
            tx.put(ADD_REQUEST, a_request("a"))
            tx.put(ADD_AUDIT, an_audit())
            deadline_store.open_deadline(
                tx, LIMIT, "petition", CASE, clock.legal_date(tx.now), WorkCalendar.published()
            )
        assert len([one for one in statements if "INSERT" in one]) == (3 if db.is_sqlite else 1)

    def test_two_writes_of_one_table_see_each_other(self, db: Database) -> None:
        with db.transaction() as tx:
            for kind in ("first", "second", "third"):
                timeline.add(tx, CASE, kind, "一", "one")
        with db.reading() as conn:
            assert [entry.seq for entry in timeline.page(conn, CASE, 0, 9)] == [1, 2, 3]

    def test_a_read_sees_what_was_put_before_it(self, db: Database) -> None:
        with db.transaction() as tx:
            tx.put(ADD_REQUEST, a_request("a"))
            assert len(ALL.rows(tx.conn, {})) == 1

    def test_a_read_of_other_tables_lets_writes_wait(self, db: Database, statements: list[str]) -> None:
        with db.transaction() as tx:
            tx.put(ADD_REQUEST, a_request("a"))
            assert deadline_store.of_subject(tx.seeing(deadlines), CASE) == []
            assert len(ALL.rows(tx.seeing(requests), {})) == 1
        order = [one.split()[0] for one in statements if one.startswith(("SELECT", "INSERT"))]
        assert order == (["INSERT", "SELECT", "SELECT"] if db.is_sqlite else ["SELECT", "INSERT", "SELECT"])

    def test_what_a_failed_savepoint_put_is_gone_and_what_stood_before_stays(self, db: Database) -> None:
        with db.transaction() as tx:
            tx.put(ADD_REQUEST, a_request("before"))
            with pytest.raises(ValueError, match="no"):
                self._fail(tx)
            tx.put(ADD_REQUEST, a_request("after"))
        assert kept(db) == ["after", "before"]

    def test_a_row_that_breaks_a_rule_undoes_all_and_raises_what_sqlalchemy_raises(self, db: Database) -> None:
        with pytest.raises(IntegrityError):
            self._write_twice(db)
        assert kept(db) == []

    def test_an_error_quotes_no_value(self, db: Database) -> None:
        if db.is_sqlite:
            pytest.skip("SQLite cuts nothing off and knows no lengths")
        with pytest.raises(DataError) as raised, db.transaction() as tx:
            tx.put(ADD_REQUEST, a_request("张三" * 40))
        assert "张三" not in str(raised.value)

    @staticmethod
    def _write_twice(db: Database) -> None:
        with db.transaction() as tx:
            tx.put(ADD_AUDIT, an_audit())
            tx.put(ADD_REQUEST, a_request("a"))
            tx.put(ADD_REQUEST, a_request("a"))

    @staticmethod
    def _fail(tx: Tx) -> None:
        with tx.savepoint():
            tx.put(ADD_REQUEST, a_request("inside"))
            raise ValueError("no")


class TestReads:
    def test_values_come_back_as_sqlalchemy_gives_them(self, db: Database) -> None:
        with db.transaction() as tx:
            tx.put(ADD_REQUEST, a_request(ids.uuid7()))
        with db.reading() as conn:
            (ours,) = ALL.rows(conn, {})
            theirs = dict(conn.execute(ALL.statement).mappings().one())
        assert ours == theirs
        assert ours["created_at"].tzinfo is UTC
        assert ours["answer"] == b"\x00%s"
