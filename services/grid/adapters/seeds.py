"""What grid starts with: the shipped tables, as version 1 of the directory; every copy starts from the same."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import insert

from services.chassis import deployment, directory_store, identity
from services.chassis.database import Database, Tx
from services.chassis.directory_entries import BEGINNING, POSTS, STAFF
from services.chassis.directory_shipped import everything
from services.chassis.directory_store import FIRST, digest_of
from services.grid.adapters.files import read_table
from services.grid.adapters.store import SqlWork
from services.grid.adapters.tables import directory_log
from services.grid.application.changing import DEMO, Wish, carry_out, work_out

DEMO_DATA = Path(__file__).parent.parent / "data"


def seed(db: Database, tier: str) -> int:
    """Loads the shipped tables where nothing was loaded yet; what an office changed is left alone."""
    with db.transaction() as tx:
        before = set(directory_store.versions(tx.conn))
        written = directory_store.load_shipped(tx)
        for kind in sorted(set(directory_store.versions(tx.conn)) - before):
            _note(tx, kind, tier)
    return written


def seed_demo(db: Database, tier: str) -> int:
    """Invented posts and staff for a demonstration, marked so; what an office entered under their codes is left."""
    written = 0
    for kind in (POSTS, STAFF):
        table = read_table(kind, DEMO_DATA / f"demo_{kind}.csv")
        with db.transaction(identity.system("grid", tier)) as tx:
            work = SqlWork(tx, tier)
            known = work.revisions(kind)
            wish = Wish(kind, BEGINNING, origin=DEMO)
            outcome = work_out(work, wish, [draft for draft in table.drafts if draft.code not in known])
            written += len(carry_out(work, wish, outcome).changes)
    return written


def _note(tx: Tx, kind: str, tier: str) -> None:
    rows = everything()[kind]
    tx.conn.execute(
        insert(directory_log).values(
            kind=kind, version=FIRST, published_at=tx.now, actor="system:grid", origin="shipped", filename="",
            added=len(rows), changed=0, ended=0, rows=len(rows), digest=digest_of(rows),
            incarnation=deployment.within(tx, tier).incarnation,
        )
    )  # fmt: skip
