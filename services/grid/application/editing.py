"""One entry is changed by hand, ended, or a person's name and phone looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from services.chassis.directory_entries import STAFF
from services.chassis.masking import mask_text
from services.chassis.refusal import Conflict, Forbidden, IllegalMove, Invalid, Violation
from services.grid.application.changing import Wish, carry_out, work_out, work_out_end
from services.grid.application.ports import Person, Reads, Shown, Work
from services.grid.application.queries import mask, no_entry, works_in_subtree
from services.grid.domain import kinds
from services.grid.domain.plan import Draft, Wrong

REVEALABLE = ("name", "phone")


@dataclass(frozen=True)
class Edit:
    """What a person wrote into the form of one entry."""

    kind: str
    code: str
    values: Mapping[str, str]
    effective_on: date | None
    valid_to: date | None
    expected_revision: int


def upsert(work: Work, edit: Edit) -> Shown:
    """Adds an entry, or changes it from a day on; refused when somebody else changed it since it was read."""
    on = edit.effective_on or work.today
    values = _read(edit.kind, edit.values)
    wish = Wish(edit.kind, on)
    draft = Draft(0, edit.code, values, on if edit.effective_on else None, edit.valid_to, says_end=True)
    outcome = work_out(work, wish, [draft])
    _check_revision(work, edit.kind, edit.code, edit.expected_revision)
    _refuse(outcome.wrong)
    if outcome.changes:
        carry_out(work, wish, outcome)
    return _shown(work, edit.kind, edit.code, on)


def end(work: Work, kind: str, code: str, on: date | None, expected_revision: int, reason: str) -> Shown:
    """Ends an entry; it holds to the day before. Refused while something stands under it."""
    wish = Wish(kind, on or work.today)
    outcome = work_out_end(work, wish, code)
    if outcome.plan.on(code, wish.effective_on) is None and not outcome.plan.changes:
        raise no_entry(kind, code)
    _check_revision(work, kind, code, expected_revision)
    if outcome.wrong:
        raise _in_the_way(outcome.wrong)
    carry_out(work, wish, outcome)
    work.record("directory.ended", kind, code=code, reason=mask_text(reason.strip(), ()))
    return _shown(work, kind, code, wish.effective_on)


def reveal_staff(work: Work, reads: Reads, code: str, fields: Iterable[str], reason: str) -> Person:
    """Name and phone of one person in clear, for a reason that the audit keeps (个人信息保护法 art. 6)."""
    found = reads.one(STAFF, code, work.today)
    if found is None or not works_in_subtree(reads, work.identity, found, work.today):
        raise no_entry(STAFF, code)
    wanted = [name for name in REVEALABLE if name in set(fields)]
    if not wanted or set(fields) - set(REVEALABLE):
        listed = "、".join(REVEALABLE)
        raise Invalid("fields", f"可查看的字段为 {listed}。", f"The fields that can be revealed are {listed}.")
    work.record("staff.reveal", code, fields=wanted, reason=mask_text(reason.strip(), [found.person.name]))
    return Person(*(getattr(found.person, name) if name in wanted else "" for name in REVEALABLE))


def _read(kind: str, given: Mapping[str, str]) -> dict[str, str]:
    wrong: list[Violation] = []
    values: dict[str, str] = {}
    for name, text in given.items():
        try:
            values[name] = kinds.read(kinds.column(kind, name), text)
        except Invalid as invalid:
            wrong += invalid.violations
    if wrong:
        raise Invalid.of(wrong)
    return values


def _check_revision(work: Work, kind: str, code: str, expected: int) -> None:
    known = work.revisions(kind).get(code, 0)
    if known != expected:
        raise Conflict(
            "REVISION_CHANGED",
            f"{code} 已是第 {known} 版,您依据的是第 {expected} 版;请刷新后重试。",
            f"{code} is at revision {known}, the change starts from {expected}; read it again.",
            revision=str(known),
        )


def _refuse(wrong: list[Wrong]) -> None:
    if any(one.field == "code" for one in wrong):
        zh, en = wrong[0].zh, wrong[0].en
        raise Forbidden("OUT_OF_SCOPE", zh, en)
    if wrong:
        raise Invalid.of([Violation(one.field, one.zh, one.en) for one in wrong])


def _in_the_way(wrong: list[Wrong]) -> Exception:
    if any(one.field == "code" for one in wrong):
        return Forbidden("OUT_OF_SCOPE", wrong[0].zh, wrong[0].en)
    return IllegalMove("STILL_IN_USE", wrong[0].zh, wrong[0].en)


def _shown(work: Work, kind: str, code: str, on: date) -> Shown:
    """The entry as it is on a day or, when it has just ended, as it was last."""
    periods = [entry for entry in work.entries(kind) if entry.code == code]
    entry = next((one for one in periods if one.holds(on)), periods[-1])
    person = work.people().get((code, entry.valid_from), Person()) if kind == STAFF else Person()
    return mask(Shown(entry, work.revisions(kind).get(code, 0), person))
