"""How many rows every table of a running district holds: what a refused call must not change."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import func, inspect, select, table

from e2e.post import count
from e2e.system import SERVICES, System, eventually
from services.chassis.database import Database
from services.chassis.tables import held, inbox, outbox

# Case numbers may have gaps, seals follow the audit by themselves, and the last is the migrations' own.
BY_THEMSELVES = {"number_blocks", "audit_seals", "alembic_version"}


def rows(system: System, names: Sequence[str] = SERVICES) -> dict[str, int]:
    """Database and table → rows."""
    found: dict[str, int] = {}
    for name in names:
        db = Database(system.settings.database_url_of(name))
        try:
            tables = set(inspect(db.engine).get_table_names()) - BY_THEMSELVES
            with db.reading() as conn:
                for one in sorted(tables):
                    found[f"{name}.{one}"] = int(conn.scalar(select(func.count()).select_from(table(one))) or 0)
        finally:
            db.close()
    return found


def at_rest(system: System, names: Sequence[str] = SERVICES) -> dict[str, int]:
    """The rows when what earlier stories set in motion has come to its end: mail delivered, applied and answered."""

    def unchanged() -> dict[str, int] | None:
        before = rows(system, names)
        time.sleep(1)  # longer than a letter is on its way, and than the sweeper's pause
        return before if not under_way(system) and rows(system, names) == before else None

    return dict(eventually(unchanged, "the district comes to rest"))


def under_way(system: System) -> int:
    """How many letters wait to be sent or applied; what is held waits for people, not for time."""
    held_back = select(held.c.aggregate_id).where(held.c.state == "held")
    unsent = select(func.count()).where(outbox.c.sent_at.is_(None))
    unapplied = select(func.count()).where(inbox.c.applied_at.is_(None), inbox.c.aggregate_id.not_in(held_back))
    return sum(count(system, service, query) for service in SERVICES for query in (unsent, unapplied))


def held_or_dead(system: System) -> int:
    """How many events could not be applied, at all services together."""
    waiting = select(func.count()).where(held.c.state == "held")
    return sum(count(system, service, waiting) for service in SERVICES)
