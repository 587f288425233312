"""Changes of the directory, by a table or by hand: worked out, checked as a whole, kept, published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from services.chassis.directory_entries import (
    CALENDARS,
    CATEGORIES,
    DIVISIONS,
    KINDS,
    POSTS,
    STAFF,
    UNITS,
    Entry,
)
from services.chassis.identity import Identity
from services.grid.application.ports import Person, Work
from services.grid.domain import plan as planning
from services.grid.domain import references
from services.grid.domain.derived import is_derived, units_of
from services.grid.domain.kinds import NAME, PHONE
from services.grid.domain.plan import Change, Draft, Plan, Wrong

EDIT, IMPORT, DEMO = "edit", "import", "demo"


@dataclass(frozen=True)
class Outcome:
    """What a change does, or would do."""

    kind: str
    plan: Plan
    # Units that follow from divisions by rule.
    derived: Plan | None
    rows: int
    version: int
    applied: bool = False

    @property
    def changes(self) -> list[Change]:
        """All of them, those that follow by rule last."""
        return [*self.plan.changes, *(self.derived.changes if self.derived else ())]

    @property
    def wrong(self) -> list[Wrong]:
        """Rows that cannot be taken, by row."""
        return sorted(self.plan.wrong, key=lambda one: one.row)


@dataclass(frozen=True)
class Wish:
    """What a change is to do: to which kind, from which day, and whether codes that are not named end."""

    kind: str
    effective_on: date
    complete: bool = False
    origin: str = EDIT
    filename: str = ""


def work_out(work: Work, wish: Wish, drafts: Sequence[Draft], wrong: Iterable[Wrong] = ()) -> Outcome:
    """What a table does; nothing is written. `wrong` are rows that could not even be read."""
    world = _world(work)
    plan = world[wish.kind]
    plan.wrong += wrong
    for draft in drafts:
        planning.take(plan, draft, wish.effective_on)
    if wish.complete:
        _end_the_others(plan, drafts, wish)
    return _checked(work, wish, world, len(drafts) + len({one.row for one in plan.wrong if one.row}))


def work_out_end(work: Work, wish: Wish, code: str) -> Outcome:
    """What the end of one code does; nothing is written."""
    world = _world(work)
    planning.end(world[wish.kind], code, wish.effective_on)
    return _checked(work, wish, world, 1)


def carry_out(work: Work, wish: Wish, outcome: Outcome) -> Outcome:
    """Keeps and publishes what was worked out; the caller's transaction makes it all or nothing."""
    plans = [plan for plan in (outcome.plan, outcome.derived) if plan is not None and plan.changes]
    for plan in plans:
        ended, added, corrected = plan.differences()
        work.store(plan.kind, ended, added, corrected)
        if plan.kind == STAFF:
            work.store_people({key: Person(one[NAME], one[PHONE]) for key, one in plan.people.items()})
        counts = {what: plan.count(what) for what in (planning.ADDED, planning.CHANGED, planning.ENDED)}
        version = work.publish(plan.kind, wish.origin, wish.filename, **counts)
        codes = sorted({change.code for change in plan.changes})
        work.record(
            f"directory.{wish.origin}", plan.kind, version=version, effective_on=wish.effective_on.isoformat(),
            codes=codes[:200], **counts,
        )  # fmt: skip
    return Outcome(outcome.kind, outcome.plan, outcome.derived, outcome.rows, work.version(outcome.kind), bool(plans))


def _world(work: Work) -> dict[str, Plan]:
    work.lock()
    people = {key: {NAME: person.name, PHONE: person.phone} for key, person in work.people().items()}
    return {kind: planning.begin(kind, work.entries(kind), people if kind == STAFF else None) for kind in KINDS}


def _checked(work: Work, wish: Wish, world: dict[str, Plan], rows: int) -> Outcome:
    plan = world[wish.kind]
    derived = _derive(world) if wish.kind == DIVISIONS and not plan.wrong else None
    _check_scope(work.identity, work.tier, world, plan)
    references.check(world, plan)
    return Outcome(wish.kind, plan, derived, rows, work.version(wish.kind))


def _end_the_others(plan: Plan, drafts: Sequence[Draft], wish: Wish) -> None:
    named = {draft.code for draft in drafts}
    years = {code[:4] for code in named}
    for code in list(plan.after):
        entry = plan.on(code, wish.effective_on)
        if entry is None or code in named:
            continue
        if wish.kind == UNITS and is_derived(code):
            continue
        # A table of one year's holidays says nothing about other years.
        if wish.kind == CALENDARS and code[:4] not in years:
            continue
        planning.end(plan, code, wish.effective_on)


def _derive(world: dict[str, Plan]) -> Plan | None:
    """The units that change with the divisions."""
    divisions, units = world[DIVISIONS], world[UNITS]
    if not divisions.changes:
        return None
    before = _by_code(units_of(entry for periods in divisions.before.values() for entry in periods))
    after = _by_code(units_of(divisions.all()))
    for code, periods in after.items():
        if before.get(code) != periods:
            _follow(units, code, periods[-1])
    for wrong in units.wrong:
        divisions.warnings.append(f"单位未随区划变更 the unit did not follow: {wrong.zh} {wrong.en}")
    return units


def _follow(units: Plan, code: str, entry: Entry) -> None:
    known = units.after.get(code)
    values = {"name": entry.name, "parent": entry.parent, "level": entry.level, "superior": entry.get("superior")}
    if not known:
        values["presence"] = entry.get("presence")
    draft = Draft(0, code, values, entry.valid_from, entry.valid_to, says_end=True)
    planning.take(units, draft, entry.valid_from)


def _by_code(entries: Iterable[Entry]) -> Mapping[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.code, []).append(entry)
    return found


def _check_scope(caller: Identity, tier: str, world: Mapping[str, Plan], plan: Plan) -> None:
    """Nobody changes what lies outside of their subtree; categories and calendars are the whole tier's."""
    for change in plan.changes:
        if not all(caller.covers(division) for division in _divisions_of(tier, world, change)):
            zh, en = f"{change.code} 不在您的管辖范围内。", f"{change.code} lies outside of your scope."
            plan.wrong.append(Wrong(change.row, "code", zh, en))


def _divisions_of(tier: str, world: Mapping[str, Plan], change: Change) -> set[str]:
    """The divisions that an entry belonged to and will belong to."""
    periods = [*world[change.kind].before.get(change.code, ()), *world[change.kind].after.get(change.code, ())]
    if change.kind == DIVISIONS:
        return {change.code}
    if change.kind in (CALENDARS, CATEGORIES):
        return {tier}
    above = {entry.parent for entry in periods if entry.valid_to is None or entry.valid_to >= change.effective_on}
    if change.kind in (POSTS, STAFF):
        units = (entry for code in above for entry in world[UNITS].after.get(code, ()))
        return {entry.parent for entry in units}
    return above
