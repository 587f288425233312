"""Whatever a plain look through all texts finds, the index finds too, and nothing else."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Iterator

import pytest
from sqlalchemy import select, text

from services.chassis import search, search_store
from services.chassis.database import Database
from services.chassis.tables import search_texts

# Few different signs, so that queries hit; one Han character is outside the tables of older tokenizers.
HAN = "水井道路村民纠纷𫠠"
LATIN = "abAB12"
OTHER = "  ,。-('\"%_\\ABé\n"


def a_text(rng: random.Random, shortest: int, longest: int) -> str:
    parts = (
        rng.choice(rng.choices([HAN, LATIN, OTHER], weights=[5, 4, 2])[0])
        for _ in range(rng.randint(shortest, longest))
    )
    return "".join(parts)


def put(db: Database, **texts: str) -> None:
    with db.transaction() as tx:
        for subject, words in texts.items():
            search_store.put(tx, subject, words)


def found(db: Database, query: str) -> set[str]:
    wanted = select(search_texts.c.subject_id).where(search_store.clause(db, search_texts.c.subject_id, query))
    with db.reading() as conn:
        return set(conn.scalars(wanted))


class TestSearch:
    def test_two_hundred_queries_find_what_a_plain_look_finds(self, db: Database) -> None:
        rng = random.Random(7)  # noqa: S311 - texts of a test
        corpus = {f"s{n}": a_text(rng, 0, 40) for n in range(500)}
        put(db, **corpus)
        hits = 0
        for query in (a_text(rng, 2, 6) for _ in range(200)):
            plain = {s for s, words in corpus.items() if search.contains(search.normalise(words), query)}
            assert found(db, query) == plain, query
            hits += bool(plain)
        assert hits > 50

    @pytest.mark.parametrize(
        ("query", "hit"),
        [("水井", True), ("井干", True), ("井", True), ("w", True), ("WELL", True), ("ell is", True), ("", True),
         ("  ", True), ("\x00", True), ("水 井", False), ("道路", False), ("100%", True), ("10_", False),
         ('"', True), ("' OR 1=1", False), ("*", False), ("search_fts", False)],
    )  # fmt: skip
    def test_a_text_is_found_by_any_part_of_it(self, db: Database, query: str, hit: bool) -> None:
        put(db, s='村里的水井干了,The well is "dry", 100%')
        assert found(db, query) == ({"s"} if hit else set())

    def test_a_changed_text_is_found_by_its_new_words_only(self, db: Database) -> None:
        put(db, s="水井干了", t="道路坏了")
        put(db, s="道路修好了")
        assert (found(db, "水井"), found(db, "道路")) == (set(), {"s", "t"})

    def test_a_text_with_a_nul_is_kept_and_found(self, db: Database) -> None:
        put(db, s="水井\x00干了")
        assert found(db, "水井") == {"s"}

    def test_a_rolled_back_text_is_not_found(self, db: Database) -> None:
        with contextlib.suppress(LookupError), db.transaction() as tx:
            search_store.put(tx, "s", "水井")
            raise LookupError
        assert found(db, "水井") == set()


class TestOnPostgres:
    pytestmark = pytest.mark.servers

    @pytest.fixture
    def backend(self) -> str:
        return "postgresql"

    def test_a_query_goes_through_the_gin_index(self, db: Database) -> None:
        put(db, s="水井干了")
        query = select(search_texts.c.id).where(search_store.clause(db, search_texts.c.subject_id, "水井干"))
        statement = query.compile(db.engine, compile_kwargs={"literal_binds": True})
        with db.reading() as conn:
            conn.execute(text("SET LOCAL enable_seqscan = off"))
            plan = "\n".join(conn.exec_driver_sql(f"EXPLAIN {statement}".replace("%", "%%")).scalars())
        assert "search_texts_tokens" in plan


class TestOnSqlite:
    @pytest.fixture
    def backend(self) -> str:
        return "sqlite"

    @pytest.fixture
    def other(self, db: Database) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(str(db.url.database))
        yield connection
        connection.close()

    def test_a_query_goes_through_the_full_text_index(self, db: Database) -> None:
        put(db, s="水井干了")
        query = select(search_texts.c.id).where(search_store.clause(db, search_texts.c.subject_id, "水井"))
        statement = query.compile(db.engine, compile_kwargs={"literal_binds": True})
        with db.reading() as conn:
            plan = "\n".join(str(row[3]) for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}"))
        assert "search_fts VIRTUAL TABLE INDEX" in plan
        assert "SCAN search_texts" not in plan

    def test_the_index_still_fits_after_a_vacuum(self, db: Database, other: sqlite3.Connection) -> None:
        put(db, s="水井", t="村民", u="纠纷")
        put(db, t="道路")
        other.execute("DELETE FROM search_texts WHERE subject_id = 's'")
        other.commit()
        other.execute("VACUUM")
        assert (found(db, "水井"), found(db, "道路"), found(db, "纠纷")) == (set(), {"t"}, {"u"})
        other.execute("INSERT INTO search_fts(search_fts, rank) VALUES ('integrity-check', 1)")
