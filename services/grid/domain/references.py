"""What must stand where: nothing refers to what is not there, nothing ends while something stands under it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from services.chassis.directory_entries import CATEGORIES, DIVISIONS, POSTS, STAFF, UNITS, Entry
from services.grid.domain import kinds
from services.grid.domain.derived import is_derived
from services.grid.domain.plan import ENDED, Change, Plan, Wrong
from services.grid.domain.terms import KIND_EN, KIND_ZH

# Of each kind the fields that name a code of another one.
REFERENCES: dict[str, dict[str, str]] = {
    DIVISIONS: {"parent": DIVISIONS},
    UNITS: {"parent": DIVISIONS, "superior": UNITS, "contact": STAFF},
    POSTS: {"parent": UNITS},
    STAFF: {"parent": UNITS, "post": POSTS},
    CATEGORIES: {"parent": CATEGORIES},
}
# Who leaves need not wait until somebody else is named.
WEAK = {(UNITS, "contact")}
World = Mapping[str, Plan]


def check(world: World, changed: Plan) -> None:
    """Adds to a plan what its changes would break, each with the row that would do it."""
    for change in changed.changes:
        changed.wrong += list(_left_hanging(world, change) if _is_end(changed, change) else _hanging(world, change))
    changed.warnings += _warnings(world, changed)


def _is_end(plan: Plan, change: Change) -> bool:
    return change.what == ENDED or plan.on(change.code, change.effective_on) is None


def _hanging(world: World, change: Change) -> Iterator[Wrong]:
    """References of a new or changed entry that lead nowhere."""
    entry = world[change.kind].on(change.code, change.effective_on)
    if entry is None:
        return
    for name, to in REFERENCES.get(change.kind, {}).items():
        code = entry.text_of(name)
        if code and not _is_top(entry, name) and world[to].on(code, change.effective_on) is None:
            yield _wrong(change, name, f"{change.effective_on} 没有代码为 {code} 的{KIND_ZH[to]}",
                         f"there is no {KIND_EN[to]} {code} on {change.effective_on}")  # fmt: skip
    yield from _loops(world[change.kind], entry, change)


def _is_top(entry: Entry, name: str) -> bool:
    """A district stands under a city that is in another directory."""
    return entry.kind == DIVISIONS and name == "parent" and entry.level == "district"


def _loops(plan: Plan, entry: Entry, change: Change) -> Iterator[Wrong]:
    if entry.kind == CATEGORIES and entry.parent:
        yield from _levels(plan, entry, change)
    if entry.kind == UNITS and entry.get("superior"):
        seen, code = {entry.code}, entry.get("superior")
        while code and code not in seen:
            seen.add(code)
            above = plan.on(code, change.effective_on)
            code = above.get("superior") if above else ""
        if code:
            yield _wrong(change, "superior", "上级单位不能绕回自己", "a unit cannot stand under itself")


def _levels(plan: Plan, entry: Entry, change: Change) -> Iterator[Wrong]:
    above = plan.on(entry.parent, change.effective_on)
    if entry.parent == entry.code or (above is not None and above.parent):
        yield _wrong(change, "parent", "分类最多两级,上级应为第一级分类", "there are two levels; name one of the first")
    elif above is not None and above.level != entry.level:
        yield _wrong(change, "parent", "上级分类属于另一类型", "the category above belongs to another set")
    elif any(one.parent == entry.code and one.holds(change.effective_on) for one in plan.all()):
        yield _wrong(change, "parent", "其下还有分类,不能改为第二级", "others stand under it")


def _left_hanging(world: World, change: Change) -> Iterator[Wrong]:
    """Entries that would refer to what has ended."""
    for kind, names in REFERENCES.items():
        for name, to in names.items():
            if to != change.kind or (kind, name) in WEAK:
                continue
            left = [one for one in _holding(world[kind], change.effective_on) if _refers(one, name, change.code)]
            if left:
                shown = "、".join(one.code for one in left[:5])
                yield Wrong(
                    change.row, "effective_on",
                    f"{change.code} 尚不能终止:仍有 {len(left)} 个{KIND_ZH[kind]}属于它({shown}),请先变更或终止。",
                    f"{change.code} cannot end yet: {len(left)} of {kind} belong to it ({shown}); change or end them.",
                )  # fmt: skip
                return


def _holding(plan: Plan, day: date) -> Iterator[Entry]:
    return (one for one in plan.all() if one.holds(day))


def _refers(entry: Entry, name: str, code: str) -> bool:
    # What follows by rule ends with its division.
    by_rule = entry.kind == UNITS and is_derived(entry.code) and name in ("parent", "superior")
    return entry.text_of(name) == code and not by_rule


def _warnings(world: World, changed: Plan) -> list[str]:
    if changed.kind != STAFF:
        return []
    left = {change.code for change in changed.changes if _is_end(changed, change)}
    units = [one.code for one in world[UNITS].all() if one.valid_to is None and one.get("contact") in left]
    text = "联络员离任,请另行指定 the contact has left; name another one: "
    return [text + "、".join(units)] if units else []


def _wrong(change: Change, name: str, zh: str, en: str) -> Wrong:
    one = kinds.column(change.kind, name)
    return Wrong(change.row, one.name, f"{one.zh}:{zh}。", f"{one.name}: {en}.")
