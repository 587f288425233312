"""What a table or an edit does to the directory, worked out before anything is written.

A row that says what is known already changes nothing. One that says something else ends the period before it the day
before, and begins a new one; on the very day on which the last change began, it corrects that one. Nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from services.chassis.directory_entries import DIVISIONS, STAFF, UNITS, Entry
from services.chassis.refusal import Violation
from services.grid.domain import kinds
from services.grid.domain.kinds import PERSONAL
from services.grid.domain.terms import TURNS

ADDED, CHANGED, ENDED = "added", "changed", "ended"
OWN = ("code", "name", "parent", "level")
ONE_DAY = timedelta(days=1)
Key = tuple[str, date]


@dataclass(frozen=True)
class Draft:
    """What one row says. A field that the table has no column for is not in `values`, and stays as it is."""

    row: int
    code: str
    values: Mapping[str, str]
    valid_from: date | None = None
    valid_to: date | None = None
    # Whether the table says anything about the end.
    says_end: bool = False


@dataclass(frozen=True)
class Change:
    """One entry that is added, changed or ended, and its fields before and after."""

    row: int
    what: str
    kind: str
    code: str
    effective_on: date
    fields: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Wrong:
    """A row that cannot be taken, and why."""

    row: int
    field: str
    zh: str
    en: str


@dataclass
class Plan:
    """The directory of one kind as it will be, and how it differs from what it is."""

    kind: str
    before: Mapping[str, Sequence[Entry]]
    after: dict[str, list[Entry]]
    # Personal fields of the staff, by code and beginning of the period.
    people: dict[Key, dict[str, str]] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    wrong: list[Wrong] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unchanged: int = 0

    def count(self, what: str) -> int:
        """How many entries are added, changed or ended."""
        return sum(change.what == what for change in self.changes)

    def on(self, code: str, day: date) -> Entry | None:
        """The entry of a code on a day, as it will be."""
        return next((entry for entry in self.after.get(code, ()) if entry.holds(day)), None)

    def all(self) -> Iterator[Entry]:
        """Every entry as it will be."""
        return (entry for periods in self.after.values() for entry in periods)

    def differences(self) -> tuple[list[Entry], list[Entry], list[Entry]]:
        """Entries that get another end, entries that are new, and entries that are corrected."""
        known = {(one.code, one.valid_from): one for periods in self.before.values() for one in periods}
        ended: list[Entry] = []
        added: list[Entry] = []
        corrected: list[Entry] = []
        for entry in self.all():
            was = known.get((entry.code, entry.valid_from))
            if was is None:
                added.append(entry)
            elif was != entry:
                (ended if replace(was, valid_to=entry.valid_to) == entry else corrected).append(entry)
        return ended, added, corrected


def begin(kind: str, entries: Iterable[Entry], people: Mapping[Key, Mapping[str, str]] | None = None) -> Plan:
    """A plan that changes nothing yet."""
    before: dict[str, list[Entry]] = {}
    for entry in entries:
        before.setdefault(entry.code, []).append(entry)
    known = {key: dict(person) for key, person in (people or {}).items()}
    return Plan(kind, before, {code: list(periods) for code, periods in before.items()}, known)


def take(plan: Plan, draft: Draft, effective_on: date) -> None:
    """Takes one row into the plan, or notes what is wrong with it."""
    periods = plan.after.get(draft.code, [])
    last = periods[-1] if periods else None
    since = draft.valid_from or effective_on
    if any(_says_the_same(plan, draft, entry, since) for entry in periods):
        plan.unchanged += 1
        return
    going_on = last is not None and (last.valid_to is None or last.valid_to >= since)
    values = _complete(plan, draft, last if going_on else None)
    wrong = [*_missing(plan.kind, values), *kinds.wrong_form(plan.kind, values)] or list(
        _wrong_dates(draft, last, since)
    )
    if wrong:
        plan.wrong += [Wrong(draft.row, one.field, one.zh, one.en) for one in wrong]
        return
    _put(plan, draft, last if going_on else None, _entry(plan.kind, values, since, _end(draft, last, going_on)), values)


def end(plan: Plan, code: str, on: date, row: int = 0) -> None:
    """The code holds to the day before."""
    entry = plan.on(code, on)
    if entry is None:
        return
    later = next((one for one in plan.after[code] if one.valid_from > entry.valid_from), None)
    if entry.valid_from >= on or later is not None:
        plan.wrong.append(_cannot_end(later or entry, row))
        return
    ended = replace(entry, valid_to=on - ONE_DAY)
    plan.after[code] = [ended if one is entry else one for one in plan.after[code]]
    plan.changes.append(Change(row, ENDED, plan.kind, code, on, (("valid_to", "", ended.text_of("valid_to")),)))


def _cannot_end(entry: Entry, row: int) -> Wrong:
    zh = f"{entry.code} 有自 {entry.valid_from} 起生效的记录,只能在该日之后终止。"
    return Wrong(
        row, "effective_on", zh, f"{entry.code} has an entry from {entry.valid_from} on; end it after that day."
    )


def _put(plan: Plan, draft: Draft, last: Entry | None, new: Entry, values: Mapping[str, str]) -> None:
    told, what = _told(plan, last, new, values), ADDED if last is None else CHANGED
    periods, on = plan.after.setdefault(draft.code, []), new.valid_from
    if last is not None:
        periods.pop()
        if _only_the_end_differs(plan, last, new, values):
            new = replace(new, valid_from=last.valid_from)
            if new.valid_to is not None:
                what, on = ENDED, new.valid_to + ONE_DAY
        elif last.valid_from < new.valid_from:
            periods.append(replace(last, valid_to=new.valid_from - ONE_DAY))
    periods.append(new)
    if plan.kind == STAFF:
        plan.people[(new.code, new.valid_from)] = {name: values.get(name, "") for name in PERSONAL}
    plan.changes.append(Change(draft.row, what, plan.kind, draft.code, on, told))


def _only_the_end_differs(plan: Plan, last: Entry, new: Entry, values: Mapping[str, str]) -> bool:
    if replace(last, valid_from=new.valid_from, valid_to=new.valid_to) != new:
        return False
    return all(values.get(name, "") == _value(plan, last, name) for name in PERSONAL) or plan.kind != STAFF


def _says_the_same(plan: Plan, draft: Draft, entry: Entry, since: date) -> bool:
    """Whether a row only repeats what a period says; of a past one it must repeat the dates too."""
    if any(value != _value(plan, entry, name) for name, value in draft.values.items()):
        return False
    newest = plan.after[draft.code][-1] is entry
    if draft.says_end:
        return draft.valid_to == entry.valid_to and (newest or draft.valid_from in (None, entry.valid_from))
    return newest and entry.holds(since)


def _value(plan: Plan, entry: Entry, name: str) -> str:
    if name in PERSONAL:
        return plan.people.get((entry.code, entry.valid_from), {}).get(name, "")
    return entry.text_of(name)


def _complete(plan: Plan, draft: Draft, last: Entry | None) -> dict[str, str]:
    """What the row says, and for all that it does not name what is known."""
    names = [one.field for one in kinds.COLUMNS[plan.kind] if one.field not in ("valid_from", "valid_to")]
    known = {name: _value(plan, last, name) for name in names} if last else {}
    values = {name: draft.values.get(name, known.get(name, "")) for name in names} | {"code": draft.code}
    if plan.kind == DIVISIONS:
        values["level"] = values["level"] or kinds.level_by_code(draft.code)
        values["parent"] = values["parent"] or kinds.parent_by_code(draft.code)
    if plan.kind == UNITS and "rota" not in draft.values and values.get("presence") != TURNS:
        values["rota"] = ""
    return values


def _missing(kind: str, values: Mapping[str, str]) -> Iterator[Violation]:
    for one in kinds.COLUMNS[kind]:
        if one.required and not values.get(one.field):
            yield Violation(one.name, f"{one.zh}:必填,请填写。", f"{one.name}: required; fill it in.")


def _wrong_dates(draft: Draft, last: Entry | None, since: date) -> Iterator[Violation]:
    if draft.valid_to and draft.valid_to < since:
        yield Violation("valid_to", "失效日期:不能早于生效日期。", "valid_to: must not lie before the first day.")
    if last is not None and since < last.valid_from:
        yield Violation(
            "effective_on",
            f"生效日期:{draft.code} 自 {last.valid_from} 起已有记录,不能更早。",
            f"effective_on: {draft.code} has an entry from {last.valid_from} on; the change cannot be earlier.",
        )


def _end(draft: Draft, last: Entry | None, going_on: bool) -> date | None:
    if draft.says_end:
        return draft.valid_to
    return last.valid_to if last is not None and going_on else None


def _entry(kind: str, values: Mapping[str, str], since: date, until: date | None) -> Entry:
    further = {name: text for name, text in values.items() if name not in (*OWN, *PERSONAL) and text}
    own = {name: values.get(name, "") for name in OWN}
    return Entry(kind, valid_from=since, valid_to=until, fields=further, **own)


def _told(plan: Plan, last: Entry | None, new: Entry, values: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
    """Field by field what changes; of a new entry all that it has."""
    fields = [one for one in kinds.COLUMNS[plan.kind] if one.field not in ("code", "valid_from")]
    found = []
    for one in fields:
        before = _value(plan, last, one.field) if last else ""
        after = new.text_of("valid_to") if one.field == "valid_to" else values.get(one.field, "")
        if before != after:
            found.append((one.field, before, after))
    return tuple(found)
