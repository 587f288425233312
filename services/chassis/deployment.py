"""Which installation this is: a new one after every restore, so that what it hands out never repeats what was lost.

A database restored from an hour-old backup would otherwise give out again the case numbers of the lost hour.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, select, update

from services.chassis import audit, ids
from services.chassis.codes import NODE_ALPHABET, next_node
from services.chassis.database import Database, Tx
from services.chassis.tables import deployment
from services.chassis.upserts import Upsert

_OF_TIER = select(deployment).where(deployment.c.tier == bindparam("of_tier"))
_FIRST = Upsert(deployment, lambda insert_: insert_.on_conflict_do_nothing())
_RENEW = update(deployment).where(deployment.c.tier == bindparam("of_tier"))


@dataclass(frozen=True)
class Deployment:
    """A tier's installation: its incarnation (UUIDv7) and the node character of its case numbers."""

    tier: str
    incarnation: str
    node: str


def of(db: Database, tier: str) -> Deployment:
    """The installation of this database; its first incarnation begins when it is asked for the first time."""
    with db.reading() as conn:
        row = conn.execute(_OF_TIER, {"of_tier": tier}).first()
    if row is not None:
        return Deployment(row.tier, row.incarnation, row.node)
    with db.transaction() as tx:
        return _begin(tx, tier)


def within(tx: Tx, tier: str) -> Deployment:
    """The installation, asked inside of a transaction."""
    return _begin(tx, tier)


def renew(db: Database, tier: str) -> Deployment:
    """Begins a new incarnation, after a restore. Processes that run must be started again to notice."""
    with db.transaction() as tx:
        last = _begin(tx, tier)
        new = Deployment(tier, ids.uuid7(), next_node(last.node))
        tx.conn.execute(_RENEW, {"of_tier": tier, "incarnation": new.incarnation, "node": new.node})
        audit.write(tx, "deployment.renewed", "deployment", new.incarnation, node=new.node, before=last.incarnation)
    return new


def _begin(tx: Tx, tier: str) -> Deployment:
    first = {"tier": tier, "incarnation": ids.uuid7(), "node": NODE_ALPHABET[0]}
    tx.conn.execute(_FIRST.of(tx.db), first)
    row = tx.conn.execute(_OF_TIER, {"of_tier": tier}).one()
    return Deployment(row.tier, row.incarnation, row.node)
