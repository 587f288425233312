"""Statutory time limits: how they are counted, and every move a running one may make.

    RUNNING ── suspend ──▶ SUSPENDED ── resume ──▶ RUNNING
       ├────── meet ───────────┤  MET        (late or in time)
       └────── cancel ─────────┘  CANCELLED

Counting (民法典 200–204): the day on which a limit starts is not counted. A limit in days 日 whose last day is a day
off ends on the next working day. A limit in working days 工作日 counts working days alone, make-up days 调休 included.
From the day of a suspension until the day before it is resumed no day is counted. Amber begins with the day on which
two thirds of the limit, rounded up to whole days of its unit, are reached; red begins when the last day is over. All
dates are dates in Shanghai.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from services.chassis.calendar import WorkCalendar
from services.chassis.clock import day_end, day_start
from services.chassis.refusal import IllegalMove, Invalid


class Unit(StrEnum):
    """What a limit counts; the law never mixes the two."""

    DAY = "day"
    WORKDAY = "workday"

    @property
    def zh(self) -> str:
        """The word of the law: 日 or 工作日."""
        return "日" if self is Unit.DAY else "工作日"

    @property
    def en(self) -> str:
        """The English words: days or working days."""
        return "days" if self is Unit.DAY else "working days"


class State(StrEnum):
    """Where a deadline stands."""

    RUNNING = "running"
    SUSPENDED = "suspended"
    MET = "met"
    CANCELLED = "cancelled"


class Colour(StrEnum):
    """What a screen shows: amber from two thirds of the limit, red once it has passed."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"
    MET = "met"
    CANCELLED = "cancelled"
    SUSPENDED = "suspended"


STATE_ZH = {State.RUNNING: "计时中", State.SUSPENDED: "已中止", State.MET: "已办结", State.CANCELLED: "已撤销"}
OPEN = (State.RUNNING, State.SUSPENDED)


@dataclass(frozen=True)
class Limit:
    """A time limit as the law states it: so many days of a unit, and the article it comes from."""

    kind: str
    length: int
    unit: Unit
    source: str
    title_zh: str
    title_en: str

    def __post_init__(self) -> None:
        _positive(self.length)


@dataclass
class Deadline:
    """One running limit of one case. `suspended_days` are in its own unit, counted when a suspension ends."""

    id: str
    subject_type: str
    subject_id: str
    kind: str
    length: int
    unit: Unit
    source: str
    started_on: date
    due_on: date
    amber_on: date
    provisional: bool
    state: State = State.RUNNING
    suspended_on: date | None = None
    suspended_days: int = 0
    met_on: date | None = None
    amber_told_at: datetime | None = None
    red_told_at: datetime | None = None
    met_late: bool = False

    @property
    def amber_at(self) -> datetime:
        """The instant of the first reminder: the start of the day on which two thirds of the limit are reached."""
        return day_start(self.amber_on)

    @property
    def red_at(self) -> datetime:
        """The instant of expiry: the end of the last day."""
        return day_end(self.due_on)

    def colour(self, at: datetime) -> Colour:
        """What a screen shows at this instant."""
        if self.state is not State.RUNNING:
            return Colour(self.state)
        if at >= self.red_at:
            return Colour.RED
        return Colour.AMBER if at >= self.amber_at else Colour.GREEN

    def suspend(self, on: date) -> None:
        """From this date no day counts. A limit that has passed cannot be stopped any more."""
        self._allow("suspend", State.RUNNING)
        self._not_before(self.started_on, on)
        self._not_expired("suspend", on)
        self.state, self.suspended_on = State.SUSPENDED, on

    def resume(self, on: date, calendar: WorkCalendar) -> None:
        """From this date days count again; the last day moves by the days that did not count."""
        self._allow("resume", State.SUSPENDED)
        stopped = self.suspended_on or self.started_on
        self._not_before(stopped, on)
        self.suspended_days += self._uncounted(stopped, on, calendar)
        self.state, self.suspended_on = State.RUNNING, None
        self._place(calendar)

    def extend(self, length: int, calendar: WorkCalendar, *, on: date | None = None) -> None:
        """Lengthens the limit by days of its unit, from its last counted day. With `on`, refused once it has passed."""
        self._allow("extend", *OPEN)
        _positive(length)
        if on is not None and self.state is State.RUNNING:
            self._not_expired("extend", on)
        self.length += length
        self.recompute(calendar)

    def meet(self, on: date) -> None:
        """The duty was done on this date, in time or late; work done during a suspension is in time."""
        self._allow("meet", *OPEN)
        self._not_before(self.started_on, on)
        self.state, self.met_on = State.MET, on
        self.met_late = self._is_late()

    def cancel(self) -> None:
        """The duty no longer exists, such as after a withdrawal."""
        self._allow("cancel", *OPEN)
        self.state = State.CANCELLED

    def recompute(self, calendar: WorkCalendar) -> bool:
        """Counts again, as after a new year of holidays was published; true when something changed.

        A crossing told for a date that has now moved on will be told again. Cancelled deadlines stay as they are.
        """
        if self.state is State.CANCELLED:
            return False
        before = (self.due_on, self.amber_on, self.provisional, self.met_late)
        self._place(calendar)
        self.met_late = self._is_late()
        self._forget_told(before[0], before[1])
        return before != (self.due_on, self.amber_on, self.provisional, self.met_late)

    def _place(self, calendar: WorkCalendar) -> None:
        last = self._counted(self.length, calendar)
        self.due_on = calendar.next_workday(last)
        self.amber_on = min(self._counted(-(-2 * self.length // 3), calendar), self.due_on)
        self.provisional = self.due_on > calendar.published_until

    def _counted(self, length: int, calendar: WorkCalendar) -> date:
        """The day on which so many days of the unit are over, suspensions included, days off not yet considered."""
        total = length + self.suspended_days
        if self.unit is Unit.DAY:
            return self.started_on + timedelta(days=total)
        return calendar.add_workdays(self.started_on, total)

    def _uncounted(self, stopped: date, resumed: date, calendar: WorkCalendar) -> int:
        """Days of the unit from the first to the day before the second that would have counted."""
        # The start day counts for nothing anyway; and in the days off after the last day that day alone is still open.
        last = self._counted(self.length, calendar)
        first = min(max(stopped, self.started_on + timedelta(days=1)), last)
        if resumed <= max(first, stopped):
            return 0
        if self.unit is Unit.DAY:
            return (resumed - first).days
        return calendar.workdays_between(first - timedelta(days=1), resumed - timedelta(days=1))

    def _is_late(self) -> bool:
        # A deadline met while suspended keeps `suspended_on`: its time had stopped before it could run out.
        return self.met_on is not None and self.suspended_on is None and self.met_on > self.due_on

    def _forget_told(self, due_on: date, amber_on: date) -> None:
        if self.amber_told_at and self.amber_on > amber_on and self.amber_told_at < self.amber_at:
            self.amber_told_at = None
        if self.red_told_at and self.due_on > due_on and self.red_told_at < self.red_at:
            self.red_told_at = None

    def _allow(self, move: str, *states: State) -> None:
        if self.state not in states:
            raise IllegalMove(
                "DEADLINE_STATE",
                f"该时限{STATE_ZH[self.state]},不能执行此操作。",
                f"The deadline is {self.state}, so it cannot {move}.",
                state=self.state.value,
                allowed_states=",".join(states),
            )

    def _not_before(self, earliest: date, on: date) -> None:
        if on < earliest:
            raise Invalid("on", f"日期不能早于 {earliest}。", f"The date must not be before {earliest}.")

    def _not_expired(self, move: str, on: date) -> None:
        if on > self.due_on:
            raise IllegalMove(
                "DEADLINE_EXPIRED",
                f"该时限已于 {self.due_on} 届满,不能中止或延长。",
                f"The deadline ended on {self.due_on}, so it cannot {move} any more.",
                state=self.state.value,
                due_on=self.due_on.isoformat(),
            )


def start(
    limit: Limit, deadline_id: str, subject_type: str, subject_id: str, on: date, calendar: WorkCalendar
) -> Deadline:
    """The clock of this limit starts on this date, which itself is not counted."""
    deadline = Deadline(
        id=deadline_id,
        subject_type=subject_type,
        subject_id=subject_id,
        kind=limit.kind,
        length=limit.length,
        unit=limit.unit,
        source=limit.source,
        started_on=on,
        due_on=on,
        amber_on=on,
        provisional=False,
    )
    deadline._place(calendar)
    return deadline


def _positive(length: int) -> None:
    if length < 1:
        raise Invalid("length", "时限长度至少为 1。", "The length must be at least 1.")
