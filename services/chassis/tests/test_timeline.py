"""The story of a case: what is told, in which order, page by page."""

from __future__ import annotations

from services.chassis import timeline
from services.chassis.database import Database
from services.chassis.identity import Identity

CLERK = Identity("clerk", "341702000000", unit="341702-XFJ")


def tell(db: Database, subject: str, *texts: str) -> None:
    with db.transaction(CLERK) as tx:
        for text in texts:
            timeline.add(tx, subject, "noted", text, text)


def texts(db: Database, subject: str, after: int = 0, limit: int = 50) -> list[tuple[int, str]]:
    with db.reading() as conn:
        return [(entry.seq, entry.text_zh) for entry in timeline.page(conn, subject, after, limit)]


class TestTimeline:
    def test_each_case_counts_its_lines_from_one(self, db: Database) -> None:
        tell(db, "s-1", "登记", "受理")
        tell(db, "s-2", "登记")
        tell(db, "s-1", "办结")
        assert texts(db, "s-1") == [(1, "登记"), (2, "受理"), (3, "办结")]
        assert texts(db, "s-2") == [(1, "登记")]

    def test_pages_follow_one_another(self, db: Database) -> None:
        tell(db, "s-1", *"一二三四五")
        assert texts(db, "s-1", 0, 2) == [(1, "一"), (2, "二")]
        assert texts(db, "s-1", 2, 2) == [(3, "三"), (4, "四")]
        assert texts(db, "s-1", 4, 2) == [(5, "五")]
        assert texts(db, "s-1", 5, 2) == []

    def test_a_line_names_who_acted_for_which_unit_and_when(self, db: Database) -> None:
        with db.transaction(CLERK) as tx:
            timeline.add(tx, "s-1", "accepted", "已受理", "accepted")
        with db.reading() as conn:
            (entry,) = timeline.page(conn, "s-1", 0, 50)
        assert (entry.actor, entry.unit, entry.at, entry.kind) == ("clerk", "341702-XFJ", tx.now, "accepted")

    def test_another_actor_may_be_named_and_an_empty_one_too(self, db: Database) -> None:
        with db.transaction(CLERK) as tx:
            timeline.add(tx, "s-1", "settled", "调解成功", "settled", actor="mediator", unit="")
        with db.reading() as conn:
            (entry,) = timeline.page(conn, "s-1", 0, 50)
        assert (entry.actor, entry.unit) == ("mediator", "")
