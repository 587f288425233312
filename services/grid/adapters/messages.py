"""Between the directory's words and the contract's messages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from protos.grid.v1 import directory_pb2 as pb
from services.chassis.directory_entries import CATEGORIES, DIVISIONS, POSTS, STAFF, UNITS
from services.chassis.refusal import Invalid
from services.grid.application.importing import Options, Report, shown
from services.grid.application.ports import LogLine, Shown
from services.grid.application.queries import Counts
from services.grid.domain.plan import ADDED, CHANGED, ENDED, Change, Wrong

LEVEL = (pb.DivisionLevel, "DIVISION_LEVEL_")
UNIT_KIND = (pb.UnitKind, "UNIT_KIND_")
PRESENCE = (pb.Presence, "PRESENCE_")
SET = (pb.CategorySet, "CATEGORY_SET_")
DAY_KIND = (pb.DayKind, "DAY_KIND_")
CHANGE: dict[str, Any] = {
    ADDED: pb.CHANGE_KIND_ADDED, CHANGED: pb.CHANGE_KIND_CHANGED, ENDED: pb.CHANGE_KIND_ENDED,
}  # fmt: skip
Enumeration = tuple[EnumTypeWrapper, str]
# Of a long list: what a person reads before correcting the file.
MOST_SHOWN = 1000


def number(enum: Enumeration, word: str) -> Any:
    """The contract's number of a word; 0 for none."""
    return enum[0].Value(f"{enum[1]}{word.upper()}") if word else 0


def word(enum: Enumeration, value: int) -> str:
    """The word of a contract's number; empty for unspecified."""
    return enum[0].Name(value).removeprefix(enum[1]).lower() if value else ""


def words(enum: Enumeration, values: Iterable[int]) -> frozenset[str]:
    """The words of several numbers; those that are unspecified do not narrow."""
    return frozenset(word(enum, value) for value in values if value)


def day(field: str, text: str, otherwise: date) -> date:
    """The date of a field whose form validation has checked."""
    try:
        return date.fromisoformat(text) if text else otherwise
    except ValueError as wrong:
        raise Invalid(field, "日历上没有这一天,请更正。", "No such day in the calendar; correct it.") from wrong


def division(shown: Shown) -> pb.Division:
    """A division."""
    entry = shown.entry
    return pb.Division(
        code=entry.code, name=entry.name, level=number(LEVEL, entry.level), parent_code=entry.parent,
        mca_code=entry.get("mca_code"), **_period(shown),
    )  # fmt: skip


def unit(shown: Shown) -> pb.Unit:
    """A unit."""
    entry = shown.entry
    return pb.Unit(
        code=entry.code, name=entry.name, kind=number(UNIT_KIND, entry.level), division_code=entry.parent,
        superior=entry.get("superior"), presence=number(PRESENCE, entry.get("presence")),
        rota=map(int, entry.get("rota").split()), contact=entry.get("contact"), **_period(shown),
    )  # fmt: skip


def post(shown: Shown) -> pb.Post:
    """A post."""
    entry = shown.entry
    roles = entry.get("roles").split()
    return pb.Post(code=entry.code, title=entry.name, unit=entry.parent, roles=roles, **_period(shown))


def staff(shown: Shown) -> pb.StaffMember:
    """A person of the staff, masked before."""
    entry, person = shown.entry, shown.person
    return pb.StaffMember(
        code=entry.code, name=person.name, phone=person.phone, unit=entry.parent, post=entry.get("post"),
        **_period(shown),
    )  # fmt: skip


def category(shown: Shown) -> pb.Category:
    """A category."""
    entry = shown.entry
    return pb.Category(
        code=entry.code, name=entry.name, set=number(SET, entry.level), parent_code=entry.parent, **_period(shown)
    )


def calendar_day(shown: Shown) -> pb.CalendarDay:
    """A day of the calendar."""
    entry = shown.entry
    period = {name: text for name, text in _period(shown).items() if name != "revision"}
    return pb.CalendarDay(day=entry.code, kind=number(DAY_KIND, entry.level), name=entry.name, **period)


def counts(counted: Counts) -> pb.CountDivisionsResponse:
    """How many divisions there are."""
    found = {number(LEVEL, level): count for level, count in counted.levels.items()}
    return pb.CountDivisionsResponse(
        as_of=counted.as_of.isoformat(), towns=counted.towns, villages=counted.villages,
        levels=[pb.LevelCount(level=level, count=found[level]) for level in sorted(found)],
    )  # fmt: skip


def version(line: LogLine) -> pb.DirectoryVersion:
    """One version of a kind."""
    return pb.DirectoryVersion(**{**vars(line), "published_at": stamp(line.published_at)})


def stamp(at: datetime) -> Timestamp:
    """An instant."""
    found = Timestamp()
    found.FromDatetime(at)
    return found


def _period(shown: Shown) -> dict[str, Any]:
    entry = shown.entry
    return {
        "valid_from": entry.text_of("valid_from"), "valid_to": entry.text_of("valid_to"), "revision": shown.revision,
    }  # fmt: skip


SHOW: dict[str, Any] = {DIVISIONS: division, UNITS: unit, POSTS: post, STAFF: staff, CATEGORIES: category}


def show(kind: str, shown: Shown) -> Message:
    """An entry of any kind as its message."""
    message: Message = SHOW[kind](shown)
    return message


def asked(options: Options, digest: str, request_id: str) -> pb.ImportAsked:
    """What an import asks for, so that a repeat of it is known."""
    on = options.effective_on.isoformat() if options.effective_on else ""
    return pb.ImportAsked(
        request_id=request_id, kind=options.kind, complete=options.complete, effective_on=on, sha256=digest
    )


def report(found: Report) -> pb.ImportReport:
    """What an import does, or would do; of long lists the beginning."""
    outcome, changes, wrong = found.outcome, found.outcome.changes, found.outcome.wrong
    counted = {what: sum(change.what == what for change in changes) for what in CHANGE}
    return pb.ImportReport(
        kind=outcome.kind, dry_run=found.options.dry_run, applied=outcome.applied, version=outcome.version,
        rows=outcome.rows, added=counted[ADDED], changed=counted[CHANGED], ended=counted[ENDED],
        unchanged=outcome.plan.unchanged, changes=map(_change, changes[:MOST_SHOWN]), wrong=len(wrong),
        wrong_rows=[_wrong(one) for one in wrong[:MOST_SHOWN]], warnings=found.warnings[:MOST_SHOWN],
    )  # fmt: skip


def _change(change: Change) -> pb.DirectoryChange:
    fields = [pb.FieldChange(field=name, before=was, after=is_) for name, was, is_ in shown(change)]
    return pb.DirectoryChange(
        row=change.row, kind=CHANGE[change.what], directory=change.kind, code=change.code,
        effective_on=change.effective_on.isoformat(), fields=fields,
    )  # fmt: skip


def _wrong(one: Wrong) -> pb.WrongRow:
    return pb.WrongRow(row=one.row, column=one.field, reason=one.zh, reason_en=one.en)
