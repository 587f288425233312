"""What following a case needs from SQL, in one open transaction: limits by source, proofs, prints and material."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from services.chassis import clock, timeline
from services.chassis.codes import keyed_hash, normalise_phone, normalise_public_code
from services.chassis.database import Database, Tx
from services.chassis.ids import uuid7
from services.chassis.refusal import Invalid
from services.chassis.upserts import Upsert
from services.chassis.writes import Write
from services.petition.adapters.tables import petitions
from services.petition.adapters.tables_following import attempts, citizen_access, materials
from services.petition.application.following_ports import Material
from services.petition.domain.petition import Petition

# The longest time that any limit looks back.
REMEMBERED = timedelta(days=2)
LAST_DIGITS = 4
_A = attempts.c
_TRIED = (
    select(_A.at)
    .where(_A.purpose == bindparam("purpose"), _A.key_hash == bindparam("key_hash"), _A.at > bindparam("since"))
    .order_by(_A.at)
)
_TRY = Write(insert(attempts).inline())
_LOCK = select(func.pg_advisory_xact_lock(bindparam("number")))
_BY_CODE = select(petitions.c.id).where(petitions.c.public_code_hash == bindparam("code_hash"))
_NEW_CODE = update(petitions).where(petitions.c.id == bindparam("petition_id")).values(
    public_code_hash=bindparam("code_hash")
)  # fmt: skip
_PIN = select(citizen_access.c.pin_hash).where(citizen_access.c.petition_id == bindparam("petition_id"))
_FIRST = {"petition_id": bindparam("petition_id"), "prints": 0, "reissued": 0}
_SET_PIN = Upsert(
    citizen_access,
    lambda insert_: insert_.values({**_FIRST, "pin_hash": bindparam("pin_hash")}).on_conflict_do_update(
        index_elements=["petition_id"], set_={"pin_hash": bindparam("pin_hash")}
    ),
)


def _counting(name: str) -> Upsert:
    column = citizen_access.c[name]
    return Upsert(
        citizen_access,
        lambda insert_: insert_.values({**_FIRST, name: 1})
        .on_conflict_do_update(index_elements=["petition_id"], set_={name: column + 1})
        .returning(column),
    )


_PRINTED, _REISSUED = _counting("prints"), _counting("reissued")
_MATERIAL = Write(insert(materials).inline())


class SqlFollowing:
    """The citizen's side of cases, in one open transaction."""

    def __init__(self, tx: Tx, hash_key: bytes) -> None:
        self._tx = tx
        self._key = hash_key

    def tries(self, purpose: str, of_whom: str, within: timedelta) -> list[datetime]:
        """When this was tried lately by a source or for a case, oldest first. Two tries at once wait for each other."""
        hashed = self._hashed(of_whom)
        if not self._tx.db.is_sqlite:
            # Signed 64 bits of the hash: one lock a source, which ends with the transaction.
            number = int.from_bytes(bytes.fromhex(hashed[:16]), signed=True)
            self._tx.conn.execute(_LOCK, {"number": number})
        wanted = {"purpose": purpose, "key_hash": hashed, "since": self._tx.now - within}
        return [row.at for row in self._tx.conn.execute(_TRIED, wanted)]

    def tried(self, purpose: str, of_whom: str) -> None:
        """Notes a try; of whom, only as a keyed hash."""
        values = {"id": uuid7(), "purpose": purpose, "key_hash": self._hashed(of_whom), "at": self._tx.now}
        self._tx.put(_TRY, values)

    def by_code(self, public_code: str) -> str | None:
        """The id of the petition that a code opens. Raises Invalid when the code is mistyped."""
        code_hash = keyed_hash(self._key, normalise_public_code(public_code))
        return self._tx.conn.execute(_BY_CODE, {"code_hash": code_hash}).scalar()

    def opens(self, petition: Petition, proof: str) -> bool:
        """Whether the proof is the PIN, or ends the phone of one of the petitioners."""
        kept = self._tx.conn.execute(_PIN, {"petition_id": petition.id}).scalar() or ""
        right = hmac.compare_digest(kept, self._pin_hash(petition.id, proof))
        for person in petition.representatives:
            right |= hmac.compare_digest(_last_digits(person.phone), proof)
        return right

    def set_pin(self, petition_id: str, pin: str) -> None:
        """From now on this PIN opens the case too."""
        values = {"petition_id": petition_id, "pin_hash": self._pin_hash(petition_id, pin)}
        self._tx.conn.execute(_SET_PIN.of(self._tx.db), values)

    def set_code(self, petition_id: str, public_code: str) -> int:
        """The old code ends; returns how often the code was given out anew."""
        code_hash = keyed_hash(self._key, normalise_public_code(public_code))
        self._tx.conn.execute(_NEW_CODE, {"petition_id": petition_id, "code_hash": code_hash})
        return self._counted(_REISSUED, petition_id)

    def printed(self, petition_id: str) -> int:
        """Counts a print of the slip; returns which one it is."""
        return self._counted(_PRINTED, petition_id)

    def add_material(self, petition_id: str, content: str) -> None:
        """Keeps what the petitioner added."""
        values = {"id": uuid7(), "petition_id": petition_id, "content": content, "at": self._tx.now}
        self._tx.put(_MATERIAL, values)

    def lines(self, petition_id: str) -> list[tuple[str, datetime]]:
        """Kind and time of every line of the timeline, oldest first."""
        return [(entry.kind, entry.at) for entry in timeline.page(self._tx.conn, petition_id, 0, 1000)]

    def _counted(self, statement: Upsert, petition_id: str) -> int:
        return int(self._tx.conn.execute(statement.of(self._tx.db), {"petition_id": petition_id}).scalar_one())

    def _hashed(self, of_whom: str) -> str:
        return keyed_hash(self._key, f"source:{of_whom}")

    def _pin_hash(self, petition_id: str, pin: str) -> str:
        return keyed_hash(self._key, f"pin:{petition_id}:{pin}")


def materials_of(conn: Connection, petition_id: str, before: str, limit: int) -> list[Material]:
    """What the petitioner added, newest first, after the one that ended the page before."""
    found = select(materials.c.id, materials.c.at, materials.c.content).where(materials.c.petition_id == petition_id)
    if before:
        found = found.where(materials.c.id < before)
    return [Material(*row) for row in conn.execute(found.order_by(materials.c.id.desc()).limit(limit))]


def prune_attempts(db: Database, now: datetime | None = None) -> int:
    """Forgets tries that no limit looks at any more. Returns rows."""
    with db.transaction() as tx:
        return int(tx.conn.execute(delete(attempts).where(_A.at < (now or clock.now()) - REMEMBERED)).rowcount)


def _last_digits(phone: str) -> str:
    try:
        digits = normalise_phone(phone).partition("x")[0]
    except Invalid:
        return ""
    return digits[-LAST_DIGITS:] if len(digits) > LAST_DIGITS else ""
