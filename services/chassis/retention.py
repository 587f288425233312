"""Forgets in time what is kept only so that it can be sent again or recognised, a little at a time.

The inbox may be forgotten sooner than a sender may resend: the cursor still knows what was applied.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Delete, Table, bindparam, delete, select, tuple_

from services.chassis import clock
from services.chassis.background import Background
from services.chassis.database import Database
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.chassis.tables import inbox, outbox, requests

log = logging.getLogger(__name__)

INBOX_DAYS = 90
REQUESTS_DAYS = 90
BATCH = 1000
INTERVAL_S = 3600.0


def _oldest(table: Table, age: ColumnElement[Any]) -> Delete:
    """Deletes a batch of rows older than `before`. Rows without a time are still needed."""
    key = list(table.primary_key.columns)
    chosen = select(*key).where(age < bindparam("before", type_=age.type)).order_by(age).limit(BATCH)
    return delete(table).where(tuple_(*key).in_(chosen))


_SENT = _oldest(outbox, outbox.c.sent_at)
_APPLIED = _oldest(inbox, inbox.c.applied_at)
_ANSWERED = _oldest(requests, requests.c.created_at)


def prune(db: Database, settings: Settings, now: datetime | None = None) -> dict[str, int]:
    """Deletes what is past its time, in short transactions. Returns rows deleted by table."""
    now = now or clock.now()
    return {
        "outbox": _prune(db, _SENT, now - timedelta(days=settings.outbox_keep_days)),
        "inbox": _prune(db, _APPLIED, now - timedelta(days=INBOX_DAYS)),
        "requests": _prune(db, _ANSWERED, now - timedelta(days=REQUESTS_DAYS)),
    }


def _prune(db: Database, statement: Delete, before: datetime) -> int:
    total = 0
    while True:
        with db.transaction() as tx:
            deleted = tx.conn.execute(statement, {"before": before}).rowcount
        total += deleted
        if deleted < BATCH:
            return total


class Retention(Background):
    """Prunes one service's database every hour, on a thread of its own."""

    def __init__(self, service: Service, interval_s: float = INTERVAL_S) -> None:
        super().__init__(f"retention-{service.name}")
        self._service = service
        self._interval_s = interval_s

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                pruned = prune(self._service.db, self._service.settings)
            except Exception as error:
                fields: dict[str, Any] = {"service": self._service.name, "error": type(error).__name__}
                log.warning("cannot prune", extra={"fields": fields})
            else:
                if any(pruned.values()):
                    log.info("pruned", extra={"fields": {"service": self._service.name, **pruned}})
            self._stopping.wait(self._interval_s)
