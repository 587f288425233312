"""The directory in SQL: one open transaction, as the use cases see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import bindparam, func, insert, select, text, update

from services.chassis import audit, clock, deployment, directory, directory_store, outbox
from services.chassis.database import Tx
from services.chassis.directory_entries import KINDS, Entry
from services.chassis.directory_store import Version, digest_of, values_of
from services.chassis.directory_tables import directory_entries
from services.chassis.identity import Identity
from services.chassis.refusal import Exhausted
from services.chassis.upserts import Upsert
from services.grid.adapters.reads import people_of
from services.grid.adapters.tables import directory_log, staff_persons
from services.grid.application.ports import Entries, Person

SERVICE = "grid"
# Any number that nothing else on the server locks.
LOCK = 0x7A6F6E67_0002
# After a restore: more versions than an office makes between two backups.
JUMP = 1000

_E = directory_entries.c
_KEY = (_E.kind == bindparam("of_kind"), _E.code == bindparam("of_code"), _E.valid_from == bindparam("since"))
_CHANGING = ("valid_to", "name", "parent", "level", "fields", "revision")
_SAVE = update(directory_entries).where(*_KEY).values({name: bindparam(name) for name in _CHANGING})
_REVISIONS = select(_E.code, func.max(_E.revision)).where(_E.kind == bindparam("of_kind")).group_by(_E.code)
_PUT_PERSON = Upsert(
    staff_persons,
    lambda insert_: insert_.values(
        {name: bindparam(name) for name in ("code", "valid_from", "name", "phone")}
    ).on_conflict_do_update(
        index_elements=["code", "valid_from"], set_={name: bindparam(name) for name in ("name", "phone")}
    ),
)
_LAST = (
    select(directory_log.c.incarnation)
    .where(directory_log.c.kind == bindparam("of_kind"))
    .order_by(directory_log.c.version.desc())
    .limit(1)
)


class SqlWork:
    """One open transaction."""

    def __init__(self, tx: Tx, tier: str) -> None:
        self.tx = tx
        self.tier = tier
        self.now: datetime = tx.now
        self.today: date = clock.legal_date(tx.now)
        self.identity: Identity = tx.identity

    def lock(self) -> None:
        """One change at a time: each is checked against the whole directory. SQLite locks the file anyway."""
        if not self.tx.db.is_sqlite:
            self.tx.conn.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})

    def entries(self, kind: str) -> Sequence[Entry]:
        """All entries of a kind."""
        return directory_store.entries(self.tx.conn, kind)

    def revisions(self, kind: str) -> Mapping[str, int]:
        """How often each code was changed."""
        return {row[0]: row[1] for row in self.tx.conn.execute(_REVISIONS, {"of_kind": kind})}

    def people(self) -> Mapping[tuple[str, date], Person]:
        """Names and phones of the staff."""
        return people_of(self.tx.conn)

    def store(self, kind: str, ended: Entries, added: Entries, corrected: Entries) -> None:
        """Keeps new ends, new periods and corrected ones; every code that is touched gets the next revision."""
        known = self.revisions(kind)
        touched = {entry.code: known.get(entry.code, 0) + 1 for entry in (*ended, *added, *corrected)}
        for entry in (*ended, *corrected):
            values = values_of(entry) | {"revision": touched[entry.code]}
            given = {name: values[name] for name in _CHANGING}
            self.tx.conn.execute(_SAVE, {"of_kind": kind, "of_code": entry.code, "since": entry.valid_from, **given})
        directory_store.add(self.tx, added, touched)

    def store_people(self, people: Mapping[tuple[str, date], Person]) -> None:
        """Keeps names and phones."""
        for (code, since), person in people.items():
            values = {"code": code, "valid_from": since, **vars(person)}
            self.tx.conn.execute(_PUT_PERSON.of(self.tx.db), values)

    def publish(self, kind: str, origin: str, filename: str, added: int, changed: int, ended: int) -> int:
        """Makes a new version of a kind and puts it into the outbox of this transaction."""
        rows = self.entries(kind)
        incarnation = deployment.within(self.tx, self.tier).incarnation
        version = Version(kind, self._next(kind, incarnation), self.now, digest_of(rows))
        directory_store.put_version(self.tx, version)
        self.tx.conn.execute(insert(directory_log).values(
            **vars(version), actor=self.identity.account, origin=origin, filename=filename, rows=len(rows),
            incarnation=incarnation, added=added, changed=changed, ended=ended,
        ))  # fmt: skip
        outbox.announce(self.tx, _snapshot(version, rows), source=SERVICE, from_tier=self.tier)
        self.tx.after_commit(lambda: directory.forget(self.tx.db))
        return version.version

    def version(self, kind: str) -> int:
        """The version that a kind has now."""
        known = directory_store.versions(self.tx.conn).get(kind)
        return known.version if known else 0

    def record(self, action: str, subject: str, **details: object) -> None:
        """Writes an audit row."""
        audit.write(self.tx, action, "directory", subject[:36], **details)

    def _next(self, kind: str, incarnation: str) -> int:
        last = self.tx.conn.execute(_LAST, {"of_kind": kind}).scalar()
        # Copies know versions that a restore took from us: ours must be newer than any of them.
        restored = last not in (None, "", incarnation)
        return self.version(kind) + (JUMP if restored else 1)


def republish(work: SqlWork, kinds: Sequence[str] = KINDS) -> dict[str, int]:
    """Announces kinds as they are, for copies that were lost or are ahead after a restore; the versions given."""
    work.lock()
    return {kind: work.publish(kind, "republished", "", added=0, changed=0, ended=0) for kind in kinds}


def _snapshot(version: Version, rows: Sequence[Entry]) -> Any:
    try:
        return directory.snapshot(version, rows)
    except ValueError as large:
        raise Exhausted(
            "DIRECTORY_TOO_LARGE",
            f"该目录共 {len(rows)} 条,超过一次发布的上限,未作更改。",
            f"The directory would hold {len(rows)} entries, more than can be published at once; nothing was changed.",
        ) from large
