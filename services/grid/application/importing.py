"""A table comes in: what it would change is shown, and done when it is asked for and every row is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from services.chassis.directory_entries import KINDS
from services.chassis.masking import mask_name, mask_phone
from services.chassis.refusal import Invalid
from services.grid.application.changing import IMPORT, Outcome, Wish, carry_out, work_out
from services.grid.application.ports import Work
from services.grid.application.tables import Table
from services.grid.domain.kinds import NAME, PHONE, column
from services.grid.domain.plan import Change
from services.grid.domain.terms import KIND_ZH

MASK = {NAME: mask_name, PHONE: mask_phone}


@dataclass(frozen=True)
class Options:
    """How a table is to be taken."""

    kind: str
    dry_run: bool = False
    complete: bool = False
    effective_on: date | None = None
    filename: str = ""


@dataclass(frozen=True)
class Report:
    """What an import does, or with `dry_run` would do."""

    options: Options
    outcome: Outcome
    warnings: Sequence[str]


def import_table(work: Work, options: Options, table: Table) -> Report:
    """Takes a table whole, or says every row for which it cannot be taken and changes nothing."""
    on = options.effective_on or work.today
    wish = Wish(options.kind, on, options.complete, IMPORT, options.filename)
    outcome = work_out(work, wish, table.drafts, table.wrong)
    if not options.dry_run and not outcome.wrong and outcome.changes:
        outcome = carry_out(work, wish, outcome)
    return Report(options, outcome, [*table.warnings, *outcome.plan.warnings])


def options_of(kind: str, given: dict[str, str], filename: str) -> Options:
    """The options as the form gives them. Raises Invalid naming the one that is wrong."""
    check_kind("id", kind)
    known = {"dry_run", "complete", "effective_on"}
    if unknown := sorted(set(given) - known):
        raise Invalid(
            "options",
            f"没有选项 {'、'.join(unknown)};可用:dry_run、complete、effective_on。",
            f"There is no option {', '.join(unknown)}; there are dry_run, complete and effective_on.",
        )
    return Options(
        kind, _yes("dry_run", given.get("dry_run", "")), _yes("complete", given.get("complete", "")),
        day_of("effective_on", given.get("effective_on", "")), filename,
    )  # fmt: skip


def check_kind(field: str, kind: str) -> None:
    """Raises Invalid unless the directory has this kind."""
    if kind not in KINDS:
        listed = "、".join(f"{one}({KIND_ZH[one]})" for one in KINDS)
        raise Invalid(
            field, f"没有目录 {kind};可用:{listed}。", f"There is no directory {kind}; there are {', '.join(KINDS)}."
        )


def day_of(field: str, text: str) -> date | None:
    """A date that a person gave as an option; None when they gave none."""
    try:
        return date.fromisoformat(text.strip()) if text.strip() else None
    except ValueError:
        raise Invalid(field, f"{field}:请写成 2026-01-31。", f"{field}: write it as 2026-01-31.") from None


def shown(change: Change) -> list[tuple[str, str, str]]:
    """The fields of a change as a person sees them: names of the contract, people masked."""
    return [
        (column(change.kind, name).name if name != "valid_to" else name, _masked(name, before), _masked(name, after))
        for name, before, after in change.fields
    ]


def _masked(name: str, text: str) -> str:
    return MASK[name](text) if name in MASK else text


def _yes(field: str, text: str) -> bool:
    plain = text.strip().lower()
    if plain in ("true", "1", "yes", "是"):
        return True
    if plain in ("", "false", "0", "no", "否"):
        return False
    raise Invalid(field, f"{field}:请填 true 或 false。", f"{field}: write true or false.")
