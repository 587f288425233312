"""Bytes of files: the same on rows of SQLite, on rows of PostgreSQL and in a bucket of a real S3 server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import MetaData, func, select

from services.chassis import clock, migrations_blobs
from services.chassis.blob_objects import ObjectStore
from services.chassis.blob_rows import CHUNK, RowStore, beside
from services.chassis.blob_tables import blobs_table, chunks_table
from services.chassis.blobs import UNKEPT_FOR, Blobs, BlobStore, BlobSweeper, open_store
from services.chassis.database import Database
from services.chassis.refusal import Conflict, Invalid, Unavailable
from services.chassis.settings import Settings, SettingsMissing
from services.chassis.tests.calling import until

METADATA = MetaData()
LEDGER, CHUNKS = blobs_table(METADATA), chunks_table(METADATA)
TIER = "341702000000"
CONTENT = os.urandom(CHUNK * 2 + 1234)
PLACES = [
    pytest.param(("sqlite", "rows"), id="sqlite"),
    pytest.param(("postgresql", "rows"), id="postgresql", marks=pytest.mark.servers),
    pytest.param(("sqlite", "bucket"), id="s3", marks=pytest.mark.servers),
]


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Any:
    """Which database, and where the bytes lie."""
    return request.param


@pytest.fixture
def backend(place: tuple[str, str]) -> str:
    """The database of the ledger."""
    return place[0]


@pytest.fixture
def files_db(new_url: Callable[[], str]) -> Iterator[Database]:
    """A database with the tables of files, as a migration makes them."""
    db = Database(new_url())
    with db.transaction() as tx:
        migrations_blobs.create(Operations(MigrationContext.configure(tx.conn)))
    yield db
    db.close()


@pytest.fixture
def store(place: tuple[str, str], files_db: Database, request: pytest.FixtureRequest) -> Iterator[BlobStore]:
    """Where the bytes lie."""
    url = request.getfixturevalue("blob_url") if place[1] == "bucket" else None
    opened = open_store(Settings(tier=TIER, blob_url=url), "petition", files_db, CHUNKS)
    yield opened
    if isinstance(opened, RowStore):
        opened.db.close()


@pytest.fixture
def blobs(files_db: Database, store: BlobStore) -> Blobs:
    """A service's files."""
    return Blobs(files_db, LEDGER, store)


def pieces(content: bytes = CONTENT, size: int = 60_000) -> Iterator[bytes]:
    return (content[i : i + size] for i in range(0, len(content), size))


def kept(blobs: Blobs, content: bytes = CONTENT) -> str:
    name = blobs.write(pieces(content))
    with blobs.db.transaction() as tx:
        blobs.keep(tx, name)
    return name


def ledger(blobs: Blobs) -> dict[str, str]:
    with blobs.db.reading() as conn:
        return {row.id: row.state for row in conn.execute(select(LEDGER))}


def is_there(store: BlobStore, name: str) -> bool:
    try:
        return bool(store.read(name, 0, 10))
    except Unavailable:
        return False


class TestBlobs:
    def test_bytes_come_back_whole_and_in_any_part(self, blobs: Blobs) -> None:
        name = kept(blobs)
        assert blobs.read(name, 0, len(CONTENT)) == CONTENT
        for offset, length in ((0, 1), (CHUNK - 1, 2), (CHUNK, CHUNK), (5, CHUNK * 2), (len(CONTENT) - 3, 100)):
            assert blobs.read(name, offset, length) == CONTENT[offset : offset + length]

    def test_a_small_file_and_two_at_once_do_not_mix(self, blobs: Blobs) -> None:
        one, two = kept(blobs, b"1"), kept(blobs, b"22")
        assert (blobs.read(one, 0, 10), blobs.read(two, 0, 10)) == (b"1", b"22")

    def test_what_breaks_off_leaves_nothing(self, blobs: Blobs, store: BlobStore) -> None:
        def broken() -> Iterator[bytes]:
            yield from pieces()
            raise Invalid("sha256", "不符。", "Mismatch.", reason="DIGEST_MISMATCH")

        with pytest.raises(Invalid, match="Mismatch"):
            blobs.write(broken())
        assert ledger(blobs) == {}
        if isinstance(store, RowStore):
            with store.db.reading() as conn:
                assert conn.scalar(select(func.count()).select_from(CHUNKS)) == 0

    def test_what_nobody_keeps_is_swept_after_a_day_and_not_before(self, blobs: Blobs, store: BlobStore) -> None:
        name, stays = blobs.write(pieces()), kept(blobs)
        assert blobs.sweep(clock.now() + UNKEPT_FOR - timedelta(minutes=1)) == 0
        assert blobs.sweep(clock.now() + UNKEPT_FOR + timedelta(minutes=1)) == 1
        assert not is_there(store, name)
        assert ledger(blobs) == {stays: "kept"}
        assert blobs.read(stays, 0, len(CONTENT)) == CONTENT

    def test_what_was_removed_is_deleted_when_its_time_has_come(self, blobs: Blobs, store: BlobStore) -> None:
        name = kept(blobs)
        due = clock.now() + timedelta(days=180)
        with blobs.db.transaction() as tx:
            blobs.doom(tx, name, due)
        assert blobs.sweep(due - timedelta(hours=1)) == 0
        assert is_there(store, name)
        assert blobs.sweep(due + timedelta(hours=1)) == 1
        assert not is_there(store, name)

    def test_a_file_that_is_being_swept_cannot_be_kept_any_more(self, blobs: Blobs) -> None:
        name = blobs.write(pieces())
        blobs.sweep(clock.now() + UNKEPT_FOR + timedelta(minutes=1))
        with pytest.raises(Conflict), blobs.db.transaction() as tx:
            blobs.keep(tx, name)

    def test_forgetting_never_takes_what_was_kept(self, blobs: Blobs) -> None:
        """The commit may have succeeded though its answer was lost."""
        name = kept(blobs)
        blobs.forget(name)
        assert blobs.read(name, 0, len(CONTENT)) == CONTENT

    def test_deleting_what_is_not_there_is_fine(self, store: BlobStore) -> None:
        store.delete(["nothing", "of-the-kind"])

    def test_many_are_swept_in_one_go(self, blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("services.chassis.blobs.BATCH", 2)
        for _ in range(5):
            blobs.write(iter([b"x"]))
        assert blobs.sweep(clock.now() + UNKEPT_FOR + timedelta(minutes=1)) == 5
        assert ledger(blobs) == {}

    def test_the_sweeper_looks_at_its_start(self, blobs: Blobs) -> None:
        with blobs.db.transaction() as tx:
            tx.conn.execute(LEDGER.insert(), {"id": "old", "state": "coming", "due_at": clock.now() - UNKEPT_FOR})
        sweeper = BlobSweeper("petition", blobs)
        sweeper.start()
        until(lambda: ledger(blobs) == {})
        sweeper.stop()


class TestOnRows:
    @pytest.fixture
    def place(self) -> tuple[str, str]:
        """SQLite."""
        return ("sqlite", "rows")

    def test_the_services_own_file_stays_small(self, blobs: Blobs, files_db: Database, store: BlobStore) -> None:
        kept(blobs)
        own = Path(str(files_db.url.database))
        assert own.with_name(f"{own.stem}-blobs.db").exists()
        with files_db.reading() as conn:
            assert conn.scalar(select(func.count()).select_from(CHUNKS)) == 0

    def test_no_transaction_holds_more_than_one_row(self, store: RowStore, monkeypatch: pytest.MonkeyPatch) -> None:
        begun: list[int] = []
        real = store.db.transaction

        def counted(*given: Any) -> Any:
            begun.append(1)
            return real(*given)

        monkeypatch.setattr(store.db, "transaction", counted)
        store.write("one", pieces())
        assert len(begun) == 3

    def test_a_process_killed_in_the_middle_leaves_what_a_day_sweeps(self, tmp_path: Path) -> None:
        file = tmp_path / "petition.db"
        writer = subprocess.Popen([sys.executable, "-c", KILLED, str(file)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"two rows\n"
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        db = Database(f"sqlite:///{file}")
        rows = RowStore(beside(db, CHUNKS), CHUNKS)
        blobs = Blobs(db, LEDGER, rows)
        assert list(ledger(blobs).values()) == ["coming"]
        assert blobs.sweep() == 0
        assert blobs.sweep(clock.now() + UNKEPT_FOR + timedelta(minutes=1)) == 1
        with rows.db.reading() as conn:
            assert conn.scalar(select(func.count()).select_from(CHUNKS)) == 0
        db.close()
        rows.db.close()


KILLED = """
import sys, time
from alembic.migration import MigrationContext
from alembic.operations import Operations
from services.chassis import migrations_blobs
from services.chassis.blobs import Blobs
from services.chassis.blob_rows import CHUNK, RowStore, beside
from services.chassis.database import Database
from services.chassis.tests.test_blobs import CHUNKS, LEDGER

db = Database("sqlite:///" + sys.argv[1])
with db.transaction() as tx:
    migrations_blobs.create(Operations(MigrationContext.configure(tx.conn)))

def pieces():
    yield bytes(CHUNK)
    yield bytes(CHUNK)
    print("two rows", flush=True)
    time.sleep(60)
    yield bytes(CHUNK)

Blobs(db, LEDGER, RowStore(beside(db, CHUNKS), CHUNKS)).write(pieces())
"""


@pytest.mark.parametrize("url", ["http://bucket", "s3://", "bucket"])
def test_an_address_that_names_no_bucket_is_said_at_the_start(url: str) -> None:
    with pytest.raises(SettingsMissing, match="BLOB_URL"):
        ObjectStore(url, "t/petition")


def test_a_bucket_that_does_not_answer_is_unavailable_and_tells_no_address() -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        ObjectStore("s3://key:geheim@bucket?endpoint=http://127.0.0.1:9", "t/petition").read("x", 0, 1)
    assert caught.value.reason == "BLOBS_UNAVAILABLE"
    assert "127.0.0.1" not in caught.value.message + str(caught.value.details)
    assert time.monotonic() - began < 60
