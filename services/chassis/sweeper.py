"""Tells each service when a clock turns amber or red, exactly once, the oldest crossing first.

What a case's state is or to whom it is assigned plays no part: a crossing is due when its instant has come. A case
whose telling fails is tried again later, behind the others, so that it never keeps them from being told.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection
from datetime import date, datetime, timedelta

from sqlalchemy import bindparam, select, text

from services.chassis import clock, deadline_store, identity
from services.chassis.calendar import WorkCalendar
from services.chassis.database import Tx
from services.chassis.deadline import OPEN, Colour, Deadline, State
from services.chassis.service import Service
from services.chassis.tables import deadlines

log = logging.getLogger(__name__)

# Locks are held while a batch is told: few enough that nobody at a screen notices.
BATCH = 50
FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(hours=1)
# Who works on a case holds its row and may want its deadline, which we hold: we give up, for all rows of a batch
# together, long before PostgreSQL would look for a deadlock (1 s) and end the other one's work. Told later is told
# early enough.
LOCK_TIMEOUT = "2ms"

_C = deadlines.c
_DUE = {
    colour: select(deadlines)
    .where(_C.state == State.RUNNING.value, told.is_(None), at <= bindparam("now", type_=at.type))
    .order_by(at, _C.id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
    for colour, told, at in (
        (Colour.AMBER, _C.amber_told_at, _C.amber_at),
        (Colour.RED, _C.red_told_at, _C.red_at),
    )
}


class Failures:
    """Deadlines whose telling failed, and when each is tried again. Kept in memory: a restart tries them at once."""

    def __init__(self) -> None:
        self._next: dict[str, tuple[datetime, timedelta]] = {}

    def note(self, deadline_id: str, at: datetime) -> None:
        """It failed; the wait doubles from half a minute to an hour."""
        _, last = self._next.get(deadline_id, (at, FIRST_RETRY / 2))
        wait = min(last * 2, LONGEST_RETRY)
        self._next[deadline_id] = (at + wait, wait)

    def forget(self, deadline_id: str) -> None:
        """It was told."""
        self._next.pop(deadline_id, None)

    def waiting(self, at: datetime) -> set[str]:
        """Those that are not tried now."""
        return {deadline_id for deadline_id, (when, _) in self._next.items() if when > at}


def sweep_once(service: Service, at: datetime, limit: int = 200) -> int:
    """Tells up to `limit` crossings that are due at an instant, in one transaction. Returns how many were told."""
    return _sweep(service, at, limit, Failures())[1]


def _sweep(service: Service, at: datetime, limit: int, failures: Failures) -> tuple[int, int]:
    """How many crossings were tried, and how many of them were told."""
    with service.db.transaction(identity.system(service.name, service.settings.tier)) as tx:
        if not service.db.is_sqlite:
            tx.conn.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        due = _due(tx, at, limit, failures.waiting(at))
        told = {deadline.id for deadline in due if _tell(service, tx, deadline, at)}
    for deadline in due:
        if deadline.id in told:
            failures.forget(deadline.id)
        else:
            failures.note(deadline.id, at)
    return len(due), len(told)


def recompute_provisional(service: Service, calendar: WorkCalendar) -> int:
    """Counts again the limits that end beyond the holidays published when they began. Returns how many changed."""
    return _recompute(service, calendar)[0]


def _recompute(service: Service, calendar: WorkCalendar) -> tuple[int, int]:
    """How many limits changed, and how many could not be changed now because somebody works on their case."""
    changed, failed, after = 0, 0, ""
    while True:
        with service.db.transaction(identity.system(service.name, service.settings.tier)) as tx:
            if not service.db.is_sqlite:
                tx.conn.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
            batch = _provisional(tx, after)
            for deadline in batch:
                before = deadline.due_on
                if deadline.recompute(calendar):
                    done = _keep_recomputed(service, tx, deadline, before)
                    changed, failed = changed + done, failed + (not done)
        if not batch:
            return changed, failed
        after = batch[-1].id


def _keep_recomputed(service: Service, tx: Tx, deadline: Deadline, before: date) -> bool:
    """Keeps what was counted again, behind a savepoint; where the last day moved, the case's timeline says so."""
    deeds = len(tx.after)
    try:
        with tx.savepoint():
            deadline_store.save(tx, deadline)
            if deadline.due_on != before:
                service.on_moved(tx, deadline, before)
    except Exception as error:
        del tx.after[deeds:]
        _warn("a deadline was not counted again", error, deadline_id=deadline.id, service=service.name)
        return False
    return True


class Sweeper:
    """Sweeps one service's clocks every `sweep_interval_s`; counts provisional ones again daily and when a new
    calendar has come."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._failures = Failures()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._recomputed_on: date | None = None
        self._counted_with: WorkCalendar | None = None

    def start(self) -> None:
        """Sweeps in a thread of its own until `stop`."""
        self._thread = threading.Thread(target=self._run, name=f"sweeper-{self.service.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends after the batch that is being told."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def sweep(self) -> int:
        """Tells everything that is due now, batch by batch. Returns how many were told."""
        total = 0
        while not self._stop.is_set():
            tried, told = _sweep(self.service, clock.now(), BATCH, self._failures)
            total += told
            if tried == 0:
                break
        return total

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._recompute_when_due()
                self.sweep()
            except Exception as error:
                _warn("clocks were not swept", error)
            self._stop.wait(self.service.settings.sweep_interval_s)

    def _recompute_when_due(self) -> None:
        today, file = clock.legal_date(clock.now()), self.service.settings.holidays
        if file is not None and self._recomputed_on == today:
            return
        # A file is read anew each day: an operator may have put next year's holidays there.
        calendar = self.service.calendar() if file is None else WorkCalendar.from_file(file)
        if self._recomputed_on == today and self._counted_with is calendar:
            return
        changed, failed = _recompute(self.service, calendar)
        log.info("provisional deadlines counted again", extra={"fields": {"changed": changed, "failed": failed}})
        if not failed:
            self._recomputed_on, self._counted_with = today, calendar


def _due(tx: Tx, at: datetime, limit: int, waiting: Collection[str]) -> list[Deadline]:
    """The oldest crossings, each deadline once, their rows locked."""
    found: dict[str, Deadline] = {}
    for query in _DUE.values():
        narrowed = query.where(_C.id.not_in(sorted(waiting))) if waiting else query
        for row in tx.conn.execute(narrowed, {"now": at, "limit": limit}).mappings():
            found.setdefault(row["id"], deadline_store.deadline_of(row))
    return sorted(found.values(), key=_crossed_at)[:limit]


def _crossed_at(deadline: Deadline) -> tuple[datetime, str]:
    return (deadline.amber_at if deadline.amber_told_at is None else deadline.red_at, deadline.id)


def _tell(service: Service, tx: Tx, deadline: Deadline, at: datetime) -> bool:
    """Tells one crossing behind a savepoint. One that is red already is told red only."""
    colour = deadline.colour(at)
    deadline.amber_told_at = deadline.amber_told_at or at
    deadline.red_told_at = at if colour is Colour.RED else None
    deeds = len(tx.after)
    try:
        with tx.savepoint():
            deadline_store.save(tx, deadline)
            service.on_crossing(tx, deadline, colour.value)
    except Exception as error:
        del tx.after[deeds:]
        _warn("a crossing was not told", error, deadline_id=deadline.id, service=service.name)
        return False
    return True


def _provisional(tx: Tx, after: str) -> list[Deadline]:
    query = select(deadlines).where(_C.provisional, _C.state.in_([s.value for s in OPEN]), _C.id > after)
    locked = query.order_by(_C.id).limit(BATCH).with_for_update(skip_locked=True)
    return [deadline_store.deadline_of(row) for row in tx.conn.execute(locked).mappings()]


def _warn(what: str, error: Exception, **fields: str) -> None:
    log.warning(what, extra={"fields": {**fields, "error": type(error).__name__}})
