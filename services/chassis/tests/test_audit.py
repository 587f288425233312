"""Who did what: rows that cannot be changed, and a chain that shows it when somebody could."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import DBAPIError

from services.chassis import audit, audit_sealer, clock
from services.chassis.audit import FaultKind, Sealer, verify
from services.chassis.database import Database
from services.chassis.identity import Identity
from services.chassis.tables import audit as audit_table
from services.chassis.tables import audit_seals
from services.chassis.tests.concurrency import in_threads, wait_until

CLERK = Identity("clerk", "341702000000", unit="341702-XFJ", on_behalf_of="chief")


@pytest.fixture
def sealer(db: Database) -> Iterator[Sealer]:
    sealer = Sealer(db, interval_s=0.01)
    yield sealer
    sealer.stop()


def note(db: Database, count: int = 1, then: type[Exception] | None = None) -> None:
    for number in range(count):
        with db.transaction(CLERK) as tx:
            audit.write(tx, "petition.accept", "petition", f"s-{number}", number=number)
            if then is not None:
                raise then


def sealed_ids(db: Database) -> list[int]:
    with db.reading() as conn:
        return list(conn.scalars(select(audit_seals.c.audit_id).order_by(audit_seals.c.seal_no)))


@contextmanager
def as_owner(db: Database) -> Iterator[Connection]:
    """Somebody who may do anything with the database, and switches the triggers off first."""
    with db.transaction() as tx:
        if db.is_sqlite:
            triggers = tx.conn.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")).all()
            for name, _ in triggers:
                tx.conn.exec_driver_sql(f"DROP TRIGGER {name}")
            yield tx.conn
            for _, statement in triggers:
                tx.conn.exec_driver_sql(str(statement))
            return
        tables = ("audit", "audit_seals")
        for table in tables:
            tx.conn.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        yield tx.conn
        for table in tables:
            tx.conn.exec_driver_sql(f"ALTER TABLE {table} ENABLE TRIGGER ALL")


class TestAuditRow:
    def test_it_says_who_did_what_for_whom(self, db: Database) -> None:
        with db.transaction(CLERK) as tx:
            audit.write(tx, "petition.accept", "petition", "s-1", b=[1, None], a="受理")
        with db.reading() as conn:
            row = conn.execute(select(audit_table)).one()
        assert (row.actor, row.on_behalf_of, row.unit) == ("clerk", "chief", "341702-XFJ")
        assert (row.action, row.subject_type, row.subject_id) == ("petition.accept", "petition", "s-1")
        assert row.details == '{"a":"受理","b":[1,null]}'
        assert (row.at, row.trace_id) == (tx.now, "")

    def test_it_names_the_trace_that_it_belongs_to(self, db: Database) -> None:
        with TracerProvider().get_tracer("test").start_as_current_span("accept") as span:
            note(db)
        with db.reading() as conn:
            assert conn.scalar(select(audit_table.c.trace_id)) == f"{span.get_span_context().trace_id:032x}"

    def test_it_is_gone_with_the_deed_that_was_rolled_back(self, db: Database, sealer: Sealer) -> None:
        with pytest.raises(LookupError):
            note(db, count=1, then=LookupError)
        assert sealer.seal_once() == 0

    @pytest.mark.parametrize("table", ["audit", "audit_seals"])
    @pytest.mark.parametrize("deed", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}", "emptying or replacing"])
    def test_nobody_changes_or_removes_one(self, db: Database, sealer: Sealer, table: str, deed: str) -> None:
        if " or " in deed:
            # What each database has to get round a trigger for UPDATE and DELETE.
            deed = "INSERT OR REPLACE INTO {0} SELECT * FROM {0}" if db.is_sqlite else "TRUNCATE {0}"
        note(db, 2)
        sealer.seal_once()
        statement = deed.format(table, "actor" if table == "audit" else "hash")
        with pytest.raises(DBAPIError, match="append-only"), db.transaction() as tx:
            tx.conn.exec_driver_sql(statement)
        assert verify(db).ok
        assert len(sealed_ids(db)) == 2


class TestSealer:
    def test_every_committed_row_is_sealed_once(self, db: Database, sealer: Sealer) -> None:
        note(db, 3)
        assert sealer.seal_once() == 3
        assert sealer.seal_once() == 0
        note(db)
        assert sealer.seal_once() == 1
        assert sealed_ids(db) == [1, 2, 3, 4]
        assert verify(db).sealed == 4

    def test_more_rows_than_a_batch_are_sealed_in_one_go(
        self, db: Database, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(audit_sealer, "BATCH", 4)
        note(db, 11)
        assert sealer.seal_once() == 11
        note(db, 9)
        assert sealer.seal_once() == 9
        assert sealed_ids(db) == list(range(1, 21))

    def test_another_sealer_goes_on_where_the_first_one_ended(self, db: Database) -> None:
        for _ in range(3):
            note(db, 2)
            sealer = Sealer(db)
            assert sealer.seal_once() == 2
            sealer.stop()
        assert verify(db).head[0] == 6

    def test_it_seals_by_itself_while_others_write(self, db: Database, sealer: Sealer) -> None:
        sealer.start()
        in_threads([lambda: note(db, 10)] * 4)
        wait_until(lambda: len(sealed_ids(db)) == 40)
        assert verify(db).ok

    def test_stopping_it_seals_what_is_left(self, db: Database) -> None:
        sealer = Sealer(db, interval_s=60)
        sealer.start()
        note(db, 2)
        sealer.stop()
        assert len(sealed_ids(db)) == 2

    def test_a_failed_round_is_made_up_for(self, db: Database, sealer: Sealer, monkeypatch: pytest.MonkeyPatch) -> None:
        note(db, 2)
        with monkeypatch.context() as broken:
            broken.setattr(audit_sealer, "chained", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                sealer.seal_once()
        assert sealer.seal_once() == 2
        assert verify(db).ok


class TestSealersOnPostgres:
    """Several writers and several processes at once."""

    pytestmark = pytest.mark.servers

    @pytest.fixture
    def backend(self) -> str:
        return "postgresql"

    @pytest.mark.parametrize("looks_at_all_first", [True, False])
    def test_an_id_that_is_committed_late_is_sealed_too(
        self, db: Database, sealer: Sealer, looks_at_all_first: bool
    ) -> None:
        if not looks_at_all_first:
            note(db)
            sealer.seal_once()
        with db.engine.connect() as slow, slow.begin():
            first: int = slow.execute(insert(audit_table).values(**a_row()).returning(audit_table.c.id)).scalar_one()
            note(db, 3)
            assert sealer.seal_once() == 3
        note(db)
        assert sealer.seal_once() == 2
        assert sealed_ids(db)[-2:] == [first, first + 4]
        assert verify(db).ok

    def test_an_id_that_was_given_up_is_found_by_the_look_at_all_rows(
        self, db: Database, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        note(db)
        sealer.seal_once()
        with db.engine.connect() as slow, slow.begin():
            slow.execute(insert(audit_table).values(**a_row()))
            note(db, 2)
            monkeypatch.setattr(audit_sealer, "HOLE_KEPT", timedelta())
            assert sealer.seal_once() == 2
        assert sealer.seal_once() == 0
        monkeypatch.setattr(audit_sealer, "LOOK_AT_ALL", timedelta())
        assert sealer._look_at_all_is_due()
        with monkeypatch.context() as once:
            once.setattr(audit_sealer, "LOOK_AT_ALL", timedelta(hours=1))
            sealer._all_seen_at = clock.now() - timedelta(hours=2)
            assert sealer.seal_once() == 1

    def test_one_works_and_takes_over_when_the_other_ends(self, db: Database, sealer: Sealer) -> None:
        other = Sealer(db)
        note(db)
        assert sealer.seal_once() == 1
        note(db)
        assert other.seal_once() == 0
        sealer.stop()
        assert other.seal_once() == 1
        other.stop()
        assert verify(db).ok

    def test_a_lost_connection_loses_the_lead_and_nothing_else(self, db: Database, sealer: Sealer) -> None:
        note(db)
        sealer.seal_once()
        with db.transaction() as tx:
            tx.conn.execute(text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"))
        note(db)
        with pytest.raises(DBAPIError):
            sealer.seal_once()
        assert sealer.seal_once() == 1
        assert verify(db).ok


def a_row() -> dict[str, object]:
    names = ("actor", "on_behalf_of", "unit", "action", "subject_type", "subject_id", "trace_id")
    return {"at": clock.now(), "details": "{}", **dict.fromkeys(names, "")}


Tampering = Callable[[Connection], object]


def sql(*statements: str) -> Tampering:
    def tamper(conn: Connection) -> None:
        for statement in statements:
            conn.exec_driver_sql(statement)

    return tamper


SWAPPED_ROWS = sql(
    "UPDATE audit_seals SET audit_id = -1 WHERE seal_no = 3",
    "UPDATE audit_seals SET audit_id = 3 WHERE seal_no = 4",
    "UPDATE audit_seals SET audit_id = 4 WHERE seal_no = 3",
)
SWAPPED_SEALS = sql(
    "UPDATE audit_seals SET seal_no = -1 WHERE seal_no = 3",
    "UPDATE audit_seals SET seal_no = 3 WHERE seal_no = 4",
    "UPDATE audit_seals SET seal_no = 4 WHERE seal_no = -1",
)
CASES = {
    "the actor of a row": (sql("UPDATE audit SET actor = 'nobody' WHERE id = 3"), FaultKind.CHANGED, 3, 3),
    "the details of the first row": (sql("UPDATE audit SET details = '{}' WHERE id = 1"), FaultKind.CHANGED, 1, 1),
    "the trace of the last row": (sql("UPDATE audit SET trace_id = 'x' WHERE id = 6"), FaultKind.CHANGED, 6, 6),
    "the time of a row": (sql("UPDATE audit SET at = '2020-01-01T00:00:00Z' WHERE id = 3"), FaultKind.CHANGED, 3, 3),
    "the time to no time": (sql("UPDATE audit SET at = 'infinity' WHERE id = 3"), FaultKind.CHANGED, 3, 3),
    "the hash of a seal": (sql("UPDATE audit_seals SET hash = 'x' WHERE seal_no = 3"), FaultKind.CHANGED, 3, 3),
    "the id of a row": (sql("UPDATE audit SET id = 99 WHERE id = 3"), FaultKind.DROPPED, 3, 3),
    "two rows of which the first was dropped": (sql("DELETE FROM audit WHERE id IN (3, 5)"), FaultKind.DROPPED, 3, 3),
    "a seal": (sql("DELETE FROM audit_seals WHERE seal_no = 3"), FaultKind.DROPPED, 3, None),
    "a row with its seal": (
        sql("DELETE FROM audit WHERE id = 3", "DELETE FROM audit_seals WHERE seal_no = 3"), FaultKind.DROPPED, 3, None),
    "the order of two rows": (SWAPPED_ROWS, FaultKind.REORDERED, 3, 4),
    "the order of two seals": (SWAPPED_SEALS, FaultKind.REORDERED, 3, 4),
}  # fmt: skip
CUT_ROWS = sql("DELETE FROM audit_seals WHERE seal_no > 4", "DELETE FROM audit WHERE id > 4")


class TestVerify:
    @pytest.fixture
    def head(self, db: Database, sealer: Sealer) -> tuple[int, str]:
        """Six sealed rows, and the head as somebody else keeps it."""
        note(db, 6)
        sealer.seal_once()
        return verify(db).head

    def test_a_whole_chain_is_said_to_be_whole_with_its_head(self, db: Database, head: tuple[int, str]) -> None:
        verdict = verify(db, head)
        assert (verdict.ok, verdict.fault, verdict.sealed, verdict.head) == (True, None, 6, head)
        assert f"6:{head[1]}" in verdict.message

    def test_a_chain_that_grew_since_the_head_was_kept_is_whole(
        self, db: Database, head: tuple[int, str], sealer: Sealer
    ) -> None:
        note(db, 2)
        sealer.seal_once()
        assert verify(db, head).ok

    def test_an_empty_chain_is_whole(self, db: Database) -> None:
        assert verify(db).ok

    @pytest.mark.parametrize("case", CASES)
    def test_it_names_the_first_place_that_the_owner_changed(
        self, db: Database, head: tuple[int, str], case: str
    ) -> None:
        tamper, kind, seal_no, audit_id = CASES[case]
        with as_owner(db) as conn:
            tamper(conn)
        verdict = verify(db)
        assert verdict.fault == audit.Fault(kind, seal_no, audit_id)
        assert (verdict.ok, verdict.sealed) == (False, seal_no - 1)
        assert str(seal_no) in verdict.message

    def test_rows_cut_off_with_their_seals_are_missed_against_a_head(self, db: Database, head: tuple[int, str]) -> None:
        with as_owner(db) as conn:
            CUT_ROWS(conn)
        assert verify(db).ok
        assert verify(db, head).fault == audit.Fault(FaultKind.CUT_OFF, 5, None)

    def test_a_chain_that_was_cut_off_and_grew_again_is_another_one(
        self, db: Database, head: tuple[int, str], sealer: Sealer
    ) -> None:
        with as_owner(db) as conn:
            CUT_ROWS(conn)
        sealer.stop()
        note(db, 3)
        Sealer(db).seal_once()
        assert verify(db).ok
        fault = verify(db, head).fault
        assert fault
        assert (fault.kind, fault.seal_no) == (FaultKind.CHANGED, 6)

    def test_a_row_unsealed_for_over_a_minute_is_a_fault_and_a_younger_one_is_none(
        self, db: Database, head: tuple[int, str]
    ) -> None:
        note(db)
        assert verify(db).ok
        with as_owner(db) as conn:
            conn.execute(insert(audit_table).values(**{**a_row(), "at": clock.now() - timedelta(seconds=61)}))
        assert verify(db).fault == audit.Fault(FaultKind.UNSEALED, None, 8)

    @pytest.mark.parametrize("cut", ["DELETE FROM audit_seals", "UPDATE audit_seals SET seal_no = -1"])
    def test_seals_that_were_cut_off_show_as_rows_that_are_not_sealed(
        self, db: Database, sealer: Sealer, cut: str
    ) -> None:
        with as_owner(db) as conn:
            conn.execute(insert(audit_table), [{**a_row(), "at": clock.now() - timedelta(hours=1)}] * 3)
        sealer.seal_once()
        with as_owner(db) as conn:
            conn.exec_driver_sql(f"{cut} WHERE seal_no = 3")
        assert verify(db).fault == audit.Fault(FaultKind.UNSEALED, None, 3)

    def test_more_rows_than_a_batch_are_checked(
        self, db: Database, head: tuple[int, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("services.chassis.audit_verify.BATCH", 2)
        assert verify(db, head).sealed == 6
        with as_owner(db) as conn:
            conn.exec_driver_sql("UPDATE audit SET actor = 'nobody' WHERE id = 5")
        assert verify(db).fault == audit.Fault(FaultKind.CHANGED, 5, 5)

    def test_details_may_hold_any_text(self, db: Database, sealer: Sealer) -> None:
        with db.transaction() as tx:
            audit.write(tx, "a", "b", "c", text='引号"、换行\n、\\ 和 😀')
        sealer.seal_once()
        with db.reading() as conn:
            details = conn.scalar(select(audit_table.c.details))
        assert json.loads(str(details))["text"] == '引号"、换行\n、\\ 和 😀'
        assert verify(db).ok
