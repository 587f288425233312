"""The directory's entries in SQL: read a kind, replace a kind, know its version. Used by copies and by grid itself."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from services.chassis.database import Database, Tx
from services.chassis.digests import body_digest, canonical_json
from services.chassis.directory_entries import Entry
from services.chassis.directory_shipped import everything
from services.chassis.directory_tables import directory_entries, directory_versions
from services.chassis.upserts import Upsert

_E, _V = directory_entries.c, directory_versions.c
_OF_KIND = select(directory_entries).where(_E.kind == bindparam("of_kind")).order_by(_E.code, _E.valid_from)
_VERSIONS = select(directory_versions)
_LOCK = _VERSIONS.where(_V.kind == bindparam("of_kind")).with_for_update()
_FORGET = delete(directory_entries).where(_E.kind == bindparam("of_kind"))
_ADD = insert(directory_entries)
_NAMES = [column.name for column in directory_versions.columns]
_PUT_VERSION = Upsert(
    directory_versions,
    lambda insert_: insert_.values({name: bindparam(name) for name in _NAMES}).on_conflict_do_update(
        index_elements=["kind"], set_={name: bindparam(name, type_=_V[name].type) for name in _NAMES[1:]}
    ),
)
FIRST = 1


@dataclass(frozen=True)
class Version:
    """Which state of a kind the entries are."""

    kind: str
    version: int
    published_at: datetime
    digest: str


def entries(conn: Connection, kind: str) -> list[Entry]:
    """All entries of a kind, by code and period."""
    return [entry_of({**row}) for row in conn.execute(_OF_KIND, {"of_kind": kind}).mappings()]


def versions(conn: Connection) -> dict[str, Version]:
    """The version of each kind that was ever loaded."""
    return {row["kind"]: Version(**row) for row in conn.execute(_VERSIONS).mappings()}


def locked_version(tx: Tx, kind: str) -> Version | None:
    """The version of a kind, locked, so that two that are newer cannot both replace it."""
    row = tx.conn.execute(_LOCK, {"of_kind": kind}).mappings().first()
    return None if row is None else Version(**row)


def replace_kind(tx: Tx, version: Version, rows: Collection[Entry], revisions: Mapping[str, int] | None = None) -> None:
    """Puts these entries in the place of all that the kind held."""
    tx.conn.execute(_FORGET, {"of_kind": version.kind})
    add(tx, rows, revisions)
    put_version(tx, version)


def add(tx: Tx, rows: Iterable[Entry], revisions: Mapping[str, int] | None = None) -> None:
    """Keeps new entries."""
    known = revisions or {}
    given = [values_of(entry) | {"revision": known.get(entry.code, 0)} for entry in rows]
    if given:
        tx.conn.execute(_ADD, given)


def put_version(tx: Tx, version: Version) -> None:
    """Notes which version the entries are."""
    tx.conn.execute(_PUT_VERSION.of(tx.db), vars(version))


def load_shipped(tx: Tx) -> int:
    """Loads the shipped tables as version 1 of each kind that was never published. Returns the entries written."""
    written = 0
    for kind, rows in everything().items():
        known = locked_version(tx, kind)
        if known is None or known.version < FIRST:
            replace_kind(tx, Version(kind, FIRST, tx.now, digest_of(rows)), rows, {row.code: 1 for row in rows})
            written += len(rows)
    return written


def seed(db: Database) -> int:
    """What every service loads at its first start, so that nobody waits for the first snapshot."""
    with db.transaction() as tx:
        return load_shipped(tx)


def values_of(entry: Entry) -> dict[str, Any]:
    """The row of an entry."""
    own = {name: value for name, value in vars(entry).items() if name != "fields"}
    return own | {"fields": canonical_json(dict(entry.fields)).decode()}


def entry_of(row: Mapping[str, Any]) -> Entry:
    """The entry of a row."""
    own = {name: value for name, value in row.items() if name not in ("fields", "revision")}
    return Entry(**own, fields=json.loads(row["fields"]))


def digest_of(rows: Iterable[Entry]) -> str:
    """SHA-256 of entries in one fixed form and order."""
    keyed = sorted(rows, key=lambda entry: (entry.code, entry.valid_from))
    return body_digest(canonical_json([_plain(entry) for entry in keyed]))


def _plain(entry: Entry) -> list[Any]:
    shown = [entry.text_of(name) for name in ("code", "valid_from", "valid_to", "name", "parent", "level")]
    return [*shown, dict(entry.fields)]
