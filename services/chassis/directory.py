"""The read copy of the directory that a service keeps: looked up in memory, replaced as a whole by newer versions.

A few thousand rows that change a few times a year are kept in memory by kind. A version that is applied in this process
is seen at once; one that another process applied within RECHECK_S, for which one small query is asked.
"""

from __future__ import annotations

import threading
import time
import weakref
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from protos.grid.v1.events_pb2 import DirectoryPublished
from protos.grid.v1.snapshot_pb2 import DirectoryEntries, DirectoryEntry
from services.chassis import clock, directory_store
from services.chassis.calendar import SpecialDay, WorkCalendar
from services.chassis.database import Database, Tx
from services.chassis.directory_entries import (
    BEGINNING,
    CALENDARS,
    CATEGORIES,
    DIVISIONS,
    KINDS,
    UNITS,
    Category,
    Division,
    Entry,
    Unit,
    category_of,
    division_of,
    unit_of,
)
from services.chassis.directory_store import Version
from services.chassis.listeners import Delivery, Listeners

RECHECK_S = 5.0
LARGEST_PACKED = 1 << 20
LARGEST_UNPACKED = 32 << 20

# Who keeps entries of a database in memory, to be told when a version is applied there.
_readers: weakref.WeakKeyDictionary[Database, weakref.WeakSet[Directory]] = weakref.WeakKeyDictionary()
_guard = threading.Lock()


@dataclass(frozen=True)
class _Kept:
    """One kind in memory."""

    version: int
    by_code: Mapping[str, Sequence[Entry]]

    def on(self, code: str, day: date) -> Entry | None:
        """The entry that holds on a day."""
        return next((entry for entry in self.by_code.get(code, ()) if entry.holds(day)), None)

    def now_or_last(self, code: str, today: date) -> Entry | None:
        """The entry that holds today, else the newest: old cases still name what has ended."""
        periods = self.by_code.get(code, ())
        return self.on(code, today) or (periods[-1] if periods else None)


class Directory:
    """Divisions, units, categories and the calendar, by code and day. May be shared by all threads."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._kept: dict[str, _Kept] = {}
        self._versions: dict[str, int] = {}
        self._calendar: tuple[tuple[int, date], WorkCalendar] | None = None
        self._checked_at = float("-inf")
        with _guard:
            _readers.setdefault(db, weakref.WeakSet()).add(self)

    def division(self, code: str, on: date | None = None) -> Division | None:
        """The division of this 12-digit code: as it is today or was last, or with `on` as it was on that day."""
        found = self._entry(DIVISIONS, code, on)
        return division_of(found) if found else None

    def unit(self, code: str, on: date | None = None) -> Unit | None:
        """The unit of this code, likewise."""
        found = self._entry(UNITS, code, on)
        return unit_of(found) if found else None

    def category(self, code: str, on: date | None = None) -> Category | None:
        """The category of this code, likewise."""
        found = self._entry(CATEGORIES, code, on)
        return category_of(found) if found else None

    def unit_for(self, kind: str, division: str) -> Unit | None:
        """The unit of this kind that serves a division today, such as the mediation centre of a district."""
        today = clock.legal_date(clock.now())
        kept = self._of(UNITS)
        for periods in kept.by_code.values():
            for entry in periods:
                if entry.level == kind and entry.parent == division and entry.holds(today):
                    return unit_of(entry)
        return None

    def entries(self, kind: str) -> list[Entry]:
        """All entries of a kind."""
        return [entry for periods in self._of(kind).by_code.values() for entry in periods]

    def calendar(self) -> WorkCalendar:
        """The working calendar of the version that is loaded now; the shipped one before any was."""
        kept, today = self._of(CALENDARS), clock.legal_date(clock.now())
        known = self._calendar
        if known is None or known[0] != (kept.version, today):
            entries = (entry for periods in kept.by_code.values() for entry in periods)
            known = self._calendar = ((kept.version, today), calendar_of(entries, today))
        return known[1]

    def forget(self) -> None:
        """Looks again at the next question."""
        self._checked_at = float("-inf")

    def _entry(self, kind: str, code: str, on: date | None) -> Entry | None:
        kept = self._of(kind)
        if code and code not in kept.by_code:
            # It may have come this moment: a code that was just announced should work at once.
            self.forget()
            kept = self._of(kind)
        return kept.on(code, on) if on else kept.now_or_last(code, clock.legal_date(clock.now()))

    def _of(self, kind: str) -> _Kept:
        if time.monotonic() - self._checked_at > RECHECK_S:
            with self.db.reading() as conn:
                self._versions = {known.kind: known.version for known in directory_store.versions(conn).values()}
            self._checked_at = time.monotonic()
        kept = self._kept.get(kind)
        if kept is None or kept.version != self._versions.get(kind, 0):
            kept = self._kept[kind] = self._read(kind)
        return kept

    def _read(self, kind: str) -> _Kept:
        by_code: dict[str, list[Entry]] = defaultdict(list)
        with self.db.reading() as conn:
            # In one snapshot with the entries, so that they are never kept under another version's number.
            known = directory_store.versions(conn).get(kind)
            for entry in directory_store.entries(conn, kind):
                by_code[entry.code].append(entry)
        version = known.version if known else 0
        self._versions[kind] = version
        return _Kept(version, dict(by_code))


def calendar_of(entries: Iterable[Entry], on: date | None = None) -> WorkCalendar:
    """The calendar of these entries as they hold on a day; years are published from the first to the last one named."""
    day = on or clock.legal_date(clock.now())
    special = {
        date.fromisoformat(entry.code): SpecialDay(date.fromisoformat(entry.code), entry.level == "workday", entry.name)
        for entry in entries
        if entry.holds(day)
    }
    if not special:
        return WorkCalendar.published()
    return WorkCalendar(special, min(special).year, max(special).year)


def snapshot(version: Version, rows: Sequence[Entry]) -> DirectoryPublished:
    """The event that brings a version of a kind to every reader. Raises ValueError when it is too large to travel."""
    plain = DirectoryEntries(entries=[_message(entry) for entry in rows]).SerializeToString()
    packed = zlib.compress(plain, 9)
    if len(packed) > LARGEST_PACKED or len(plain) > LARGEST_UNPACKED:
        raise ValueError(f"a snapshot of {len(rows)} entries takes {len(packed)} bytes")
    at = Timestamp()
    at.FromDatetime(version.published_at)
    return DirectoryPublished(
        kind=version.kind, version=version.version, published_at=at, digest=version.digest, rows=len(rows),
        entries=packed,
    )  # fmt: skip


def apply(tx: Tx, event: DirectoryPublished) -> bool:
    """Takes a version up if it is newer than what is here; False when it is not. Raises ValueError when damaged."""
    if event.kind not in KINDS:
        return False
    known = directory_store.locked_version(tx, event.kind)
    if known is not None and known.version >= event.version:
        return False
    rows = _unpacked(event)
    at = event.published_at.ToDatetime(UTC)
    directory_store.replace_kind(tx, Version(event.kind, event.version, at, event.digest), rows)
    tx.after_commit(lambda: forget(tx.db))
    return True


def forget(db: Database) -> None:
    """Whoever keeps this database's directory in memory looks again."""
    with _guard:
        readers = list(_readers.get(db, ()))
    for reader in readers:
        reader.forget()


def listen(listeners: Listeners) -> None:
    """Subscribes a service's copy to what grid publishes."""

    @listeners.on("grid", DirectoryPublished)
    def take_new_version(tx: Tx, event: DirectoryPublished, _: Delivery) -> None:
        """The directory changed; the copy follows."""
        apply(tx, event)


def calendars(directory: Directory, own: WorkCalendar | None) -> Callable[[], WorkCalendar]:
    """Where a service takes its calendar from: an operator's own file, else the directory as it stands."""
    return (lambda: own) if own is not None else directory.calendar


def _unpacked(event: DirectoryPublished) -> list[Entry]:
    unpacking = zlib.decompressobj()
    plain = unpacking.decompress(event.entries, LARGEST_UNPACKED)
    if unpacking.unconsumed_tail or not unpacking.eof:
        raise ValueError(f"the snapshot of {event.kind} {event.version} is damaged or too large")
    rows = [_entry(event.kind, one) for one in DirectoryEntries.FromString(plain).entries]
    if directory_store.digest_of(rows) != event.digest:
        raise ValueError(f"the snapshot of {event.kind} {event.version} is not what was published")
    return rows


def _message(entry: Entry) -> DirectoryEntry:
    names = ("code", "valid_from", "valid_to", "name", "parent", "level")
    given: dict[str, Any] = {name: entry.text_of(name) for name in names}
    return DirectoryEntry(**given, fields=dict(entry.fields))


def _entry(kind: str, sent: DirectoryEntry) -> Entry:
    return Entry(
        kind,
        sent.code,
        date.fromisoformat(sent.valid_from) if sent.valid_from else BEGINNING,
        date.fromisoformat(sent.valid_to) if sent.valid_to else None,
        sent.name,
        sent.parent,
        sent.level,
        dict(sent.fields),
    )


__all__ = ["Directory", "apply", "calendar_of", "calendars", "forget", "listen", "snapshot"]
