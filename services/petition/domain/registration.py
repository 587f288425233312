"""What a registration must hold before it becomes a petition. All that is wrong is told at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from services.chassis.codes import normalise_id_no, normalise_phone, parse_case_number
from services.chassis.refusal import Invalid, Violation
from services.petition.domain.petition import Person
from services.petition.domain.terms import Channel, PetitionClass

# 信访工作条例 art. 20: a joint visit chooses representatives.
MOST_REPRESENTATIVES = 5
EARLIEST = date(2000, 1, 1)


@dataclass(frozen=True)
class Registration:
    """What the clerk wrote down. `person_count` 0 means as many as there are representatives, at least one."""

    channel: Channel
    petition_class: PetitionClass
    division_code: str
    subject: str
    content: str
    received_on: date
    representatives: tuple[Person, ...] = ()
    person_count: int = 0
    accused_unit: str = ""
    earlier_case_number: str = ""
    batch_no: str = ""
    leader_reception: bool = False
    repeated: bool = False
    external_no: str = ""
    source_system: str = ""

    @property
    def persons(self) -> int:
        """How many came (人次)."""
        return self.person_count or max(1, len(self.representatives))


def check(draft: Registration, today: date) -> None:
    """Raises Invalid naming every field that breaks a rule."""
    wrong = [*_who(draft), *_what(draft), *_when(draft, today), *_before(draft)]
    if wrong:
        raise Invalid.of(wrong)


def wrong_persons(field: str, persons: Sequence[Person]) -> Iterator[Violation]:
    """Names that are missing, and numbers that were mistyped and could never be found again."""
    for place, person in enumerate(persons):
        if not person.name.strip():
            yield Violation(f"{field}[{place}].name", "请填写姓名。", "Write the person's name.")
        yield from _mistyped(f"{field}[{place}].phone", normalise_phone, person.phone)
        yield from _mistyped(f"{field}[{place}].id_no", normalise_id_no, person.id_no)


def _mistyped(field: str, read: Callable[[str], object], text: str) -> Iterator[Violation]:
    if not text.strip():
        return
    try:
        read(text)
    except Invalid as wrong:
        yield Violation(field, wrong.zh, wrong.en)


def _who(draft: Registration) -> Iterator[Violation]:
    came = len(draft.representatives)
    if came > MOST_REPRESENTATIVES:
        yield Violation(
            "representatives",
            f"多人走访应推选代表,代表不超过 5 人(信访工作条例第二十条),现为 {came} 人;总人数请填“人次”。",
            f"A joint visit chooses at most 5 representatives (信访工作条例 art. 20), not {came}; "
            "put the number of all who came into person_count.",
        )
    if draft.persons < came:
        yield Violation(
            "person_count",
            f"人次不能少于代表人数 {came}。",
            f"person_count must be at least the number of representatives, {came}; or 0.",
        )
    if not came and draft.channel is Channel.VISIT:
        yield Violation(
            "representatives",
            "走访应登记来访人姓名;匿名信访仅限书信、电话、传真和信息网络。",
            "A visit names who came; only a letter, call, fax or online petition may be anonymous.",
        )
    yield from wrong_persons("representatives", draft.representatives)


def _what(draft: Registration) -> Iterator[Violation]:
    if not draft.subject.strip():
        yield Violation("subject", "请填写概况。", "Write what the petition is about.")
    if not draft.content.strip():
        yield Violation("content", "请填写诉求、事实和理由。", "Write what is asked, the facts and the reasons.")
    if draft.accused_unit and draft.petition_class is not PetitionClass.ACCUSATION:
        yield Violation(
            "accused_unit",
            "只有检举控告可以填写被检举单位;请将信访类别改为检举控告,或不填此项。",
            "Only PETITION_CLASS_ACCUSATION names an accused unit; change petition_class or leave accused_unit empty.",
        )


def _when(draft: Registration, today: date) -> Iterator[Violation]:
    if draft.received_on > today:
        yield Violation(
            "received_on",
            f"来访日期不能晚于今天({today})。",
            f"received_on must not lie in the future; today is {today}.",
        )
    if draft.received_on < EARLIEST:
        yield Violation("received_on", f"来访日期不能早于 {EARLIEST}。", f"received_on must not be before {EARLIEST}.")


def _before(draft: Registration) -> Iterator[Violation]:
    yield from _mistyped("earlier_case_number", parse_case_number, draft.earlier_case_number)
    if draft.external_no and not draft.source_system:
        yield Violation(
            "source_system",
            "填了原系统编号的,请同时填写来源系统的名称。",
            "An external_no needs source_system, the name of the system that gave it.",
        )
