"""The read copy: whatever order versions come in, and however often, the newest is what is read."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protos.grid.v1.events_pb2 import DirectoryPublished
from services.chassis import clock, directory, directory_store
from services.chassis.database import Database
from services.chassis.directory import Directory, apply, snapshot
from services.chassis.directory_entries import (
    BEGINNING,
    CALENDARS,
    DIVISIONS,
    KINDS,
    TOWN_LEVELS,
    UNITS,
    VILLAGE_LEVELS,
    Entry,
)
from services.chassis.directory_shipped import everything, shipped
from services.chassis.directory_store import Version, digest_of

AT = datetime(2026, 11, 24, 4, tzinfo=UTC)
TOWN = "341702102000"


def a_town(name: str, since: date = BEGINNING, until: date | None = None) -> Entry:
    return Entry(DIVISIONS, TOWN, since, until, name, "341702000000", "town", {"mca_code": "341702107"})


def published(version: int, rows: list[Entry], kind: str = DIVISIONS) -> DirectoryPublished:
    return snapshot(Version(kind, version, AT, digest_of(rows)), rows)


def applied(db: Database, *events: DirectoryPublished) -> list[bool]:
    with db.transaction() as tx:
        return [apply(tx, event) for event in events]


class TestVersions:
    def test_a_newer_one_replaces_all_of_its_kind_and_nothing_else(self, db: Database) -> None:
        directory_store.seed(db)
        assert applied(db, published(2, [a_town("新名")])) == [True]
        with db.reading() as conn:
            assert [entry.code for entry in directory_store.entries(conn, DIVISIONS)] == [TOWN]
            assert len(directory_store.entries(conn, UNITS)) == len(shipped(UNITS))

    @pytest.mark.parametrize("version", [1, 2])
    def test_one_that_is_not_newer_changes_nothing(self, db: Database, version: int) -> None:
        applied(db, published(2, [a_town("甲")]))
        assert applied(db, published(version, [a_town("乙")])) == [False]
        assert name_of(Directory(db)) == "甲"

    def test_a_kind_of_a_later_release_is_left_alone(self, db: Database) -> None:
        event = published(1, [])
        event.kind = "cells"
        assert applied(db, event) == [False]

    def test_a_damaged_one_is_refused_whole(self, db: Database) -> None:
        applied(db, published(1, [a_town("甲")]))
        event = published(2, [a_town("乙")])
        event.digest = "0" * 64
        with pytest.raises(ValueError, match="not what was published"):
            applied(db, event)
        event = published(2, [a_town("乙")])
        event.entries = event.entries[:-5]
        with pytest.raises(ValueError, match="damaged"):
            applied(db, event)
        assert name_of(Directory(db)) == "甲"

    def test_a_snapshot_that_would_not_travel_is_refused_before_it_is_sent(self) -> None:
        rows = [Entry(UNITS, str(n), name="".join(uuid.uuid4().hex for _ in range(4))) for n in range(20_000)]
        with pytest.raises(ValueError, match="20000"):
            published(1, rows, UNITS)

    def test_a_large_district_travels_in_one_event_below_a_mebibyte(self) -> None:
        rows = [Entry(UNITS, f"{n:012}-ZX", name=f"某某街道第{n}社区综治中心", level="village") for n in range(20_000)]
        assert len(published(1, rows, UNITS).SerializeToString()) < 1 << 20

    def test_what_a_newer_release_adds_to_an_entry_is_kept(self, db: Database) -> None:
        entry = Entry(DIVISIONS, TOWN, name="镇", level="town", fields={"population": "12000"})
        applied(db, published(1, [entry]))
        assert Directory(db).entries(DIVISIONS) == [entry]


@pytest.fixture
def another(new_url: Callable[[], str], chassis_file: Path) -> Callable[[], Database]:
    """Makes empty databases on SQLite, as many as a property wants."""

    def make() -> Database:
        database = Database(new_url())
        shutil.copyfile(chassis_file, str(database.url.database))
        return database

    return make


class TestAnyOrder:
    @pytest.fixture
    def backend(self) -> str:
        return "sqlite"

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.tuples(st.sampled_from([DIVISIONS, UNITS]), st.integers(1, 6)), min_size=1, max_size=15))
    def test_any_sequence_of_snapshots_ends_with_the_latest(
        self, another: Callable[[], Database], sequence: list[tuple[str, int]]
    ) -> None:
        db = another()
        try:
            reader = Directory(db)
            for kind, version in sequence:
                rows = [Entry(kind, TOWN, name=f"{kind} {version}", level="town")]
                applied(db, published(version, rows, kind))
                # Somebody reads in between, so that something is in memory.
                assert reader.entries(kind)
            for kind in {kind for kind, _ in sequence}:
                newest = max(version for of, version in sequence if of == kind)
                assert [entry.name for entry in reader.entries(kind)] == [f"{kind} {newest}"]
                with db.reading() as conn:
                    assert directory_store.versions(conn)[kind].version == newest
        finally:
            db.close()

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.builds(
                Entry,
                st.just(UNITS),
                st.text("0123456789-XZ", min_size=1, max_size=20),
                st.sampled_from([BEGINNING, date(2021, 10, 31)]),
                st.sampled_from([None, date(2026, 1, 1)]),
                st.text(max_size=20),
                st.text(max_size=12),
                st.text(max_size=10),
                st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=20), max_size=3),
            ),
            max_size=8,
        )
    )
    def test_what_arrives_is_what_was_sent(self, rows: list[Entry]) -> None:
        assert directory._unpacked(published(1, rows, UNITS)) == rows


class TestLookUp:
    def test_a_code_is_looked_up_on_a_day_or_as_it_is_today_or_was_last(self, db: Database) -> None:
        today = clock.legal_date(clock.now())
        old = a_town("旧名", until=today - timedelta(days=400))
        new = a_town("新名", today - timedelta(days=399), today - timedelta(days=1))
        applied(db, published(1, [old, new]))
        reader = Directory(db)
        assert name_of(reader, today - timedelta(days=400)) == "旧名"
        assert name_of(reader, today - timedelta(days=399)) == "新名"
        assert reader.division(TOWN, today) is None
        assert name_of(reader) == "新名"

    def test_a_change_that_lies_ahead_is_not_shown_yet(self, db: Database) -> None:
        tomorrow = clock.legal_date(clock.now()) + timedelta(days=1)
        rows = [a_town("今名", until=tomorrow - timedelta(days=1)), a_town("明名", tomorrow)]
        applied(db, published(1, rows))
        assert name_of(Directory(db)) == "今名"

    def test_what_another_process_applied_is_seen_within_seconds(
        self, db: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        applied(db, published(1, [a_town("甲")]))
        reader = Directory(db)
        assert name_of(reader) == "甲"
        elsewhere = Database(db.url.render_as_string(hide_password=False))
        applied(elsewhere, published(2, [a_town("乙")]))
        elsewhere.close()
        assert name_of(reader) == "甲"
        monkeypatch.setattr(directory, "RECHECK_S", 0.0)
        assert name_of(reader) == "乙"

    def test_a_code_that_is_not_known_is_asked_for_at_once(self, db: Database) -> None:
        directory_store.seed(db)
        reader = Directory(db)
        assert reader.unit("341702-NEW") is None
        elsewhere = Database(db.url.render_as_string(hide_password=False))
        applied(elsewhere, published(2, [Entry(UNITS, "341702-NEW", name="新单位", level="department")], UNITS))
        elsewhere.close()
        assert reader.unit("341702-NEW") is not None

    def test_the_unit_that_does_something_for_a_tier_is_found(self, db: Database) -> None:
        directory_store.seed(db)
        reader = Directory(db)
        centre, town = reader.unit_for("mediation", "341702000000"), reader.unit_for("town", TOWN)
        assert centre is not None
        assert town is not None
        assert (centre.code, town.code) == ("341702-SFJ", "341702102-ZX")
        assert reader.unit_for("mediation", TOWN) is None

    def test_without_any_calendar_the_shipped_one_counts(self, db: Database) -> None:
        assert Directory(db).calendar().last_year == 2026
        directory_store.seed(db)
        assert Directory(db).calendar().special == Directory(db).calendar().published().special

    def test_the_calendar_is_the_same_object_until_it_changes(self, db: Database) -> None:
        directory_store.seed(db)
        reader = Directory(db)
        first = reader.calendar()
        assert reader.calendar() is first
        rows = [*shipped(CALENDARS), Entry(CALENDARS, "2027-01-01", name="元旦", level="holiday")]
        applied(db, published(2, rows, CALENDARS))
        assert reader.calendar() is not first
        assert reader.calendar().last_year == 2027


class TestShipped:
    def test_the_tables_are_loaded_once(self, db: Database) -> None:
        assert directory_store.seed(db) == sum(len(rows) for rows in everything().values())
        assert directory_store.seed(db) == 0
        with db.reading() as conn:
            assert {known.version for known in directory_store.versions(conn).values()} == {1}
            assert set(directory_store.versions(conn)) == set(KINDS)

    @pytest.mark.parametrize(
        ("day", "villages"), [(date(2021, 12, 31), 219), (date(2022, 10, 31), 220), (date(2026, 11, 24), 220)]
    )
    def test_twenty_towns_and_as_many_villages_as_the_table_of_the_day_says(self, day: date, villages: int) -> None:
        holding = [entry for entry in shipped(DIVISIONS) if entry.holds(day)]
        assert sum(entry.level in TOWN_LEVELS for entry in holding) == 20
        assert sum(entry.level in VILLAGE_LEVELS for entry in holding) == villages

    def test_no_code_is_there_twice_on_a_day(self) -> None:
        for kind, rows in everything().items():
            for day in (date(2019, 11, 1), date(2020, 6, 30), date(2021, 10, 31), date(2026, 1, 1)):
                codes = [entry.code for entry in rows if entry.holds(day)]
                assert len(codes) == len(set(codes)), (kind, day)


def name_of(reader: Directory, on: date | None = None) -> str:
    found = reader.division(TOWN, on)
    return found.name if found else ""
