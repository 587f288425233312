"""A row of a register becomes a registration and where the case stands. All that is wrong is told at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from enum import StrEnum
from typing import TypeVar

from protos.petition.v1 import petition_pb2 as pb
from services.chassis import sheet_values as values
from services.chassis.ids import uuid7
from services.chassis.refusal import Invalid, Violation
from services.chassis.sheets import Cell, Row, heading_key
from services.chassis.validation import validate
from services.petition.adapters import messages
from services.petition.adapters.register_places import Places
from services.petition.domain import register_columns as columns
from services.petition.domain.old_case import Standing, state_of
from services.petition.domain.register_columns import BY_FIELD, Headings
from services.petition.domain.registration import Registration
from services.petition.domain.terms import (
    CHANNEL_ZH,
    OUTCOME_ZH,
    ROUTE_ZH,
    SATISFACTION_ZH,
    STATE_ZH,
)

T = TypeVar("T", bound=StrEnum)
# Between several persons in one cell; a point between the parts of a name is none.
BETWEEN = re.compile(r"[、,,;;/\n]")
BETWEEN_ADDRESSES = re.compile(r"[;;\n]")
SUBJECT_LENGTH = 60
TEXTS = {"opinion": 20_000, "legal_basis": 2_000, "reason": 2_000, "evaluation_comment": 2_000}
# Where the field of the contract and the column of the register are called differently.
FIELD_OF = {"division_code": "division", "representatives": "name"}


class RowReader:
    """Reads the rows of one file."""

    def __init__(self, headings: Headings, places: Places, *, date1904: bool, source_system: str, today: date) -> None:
        self._headings = headings
        self._places = places
        self._date1904 = date1904
        self._source_system = source_system
        self._today = today

    def read(self, row: Row) -> tuple[Registration, Standing]:
        """What the row says. Raises Invalid with every reason against it."""
        cells = {name: row.cells[place] for name, place in self._headings.places.items() if place < len(row.cells)}
        reading = _Reading(cells, self._places, self._date1904)
        places = {place: name for name, place in self._headings.places.items()}
        for place, fault in row.faults.items():
            if place in places:
                reading.fault(places[place], fault)
        request, standing = reading.request(self._source_system), reading.standing()
        reading.keep_rules(request)
        if reading.wrong:
            raise Invalid.of(reading.wrong)
        return messages.registration(request, self._today), standing


class _Reading:
    """One row while it is read."""

    def __init__(self, cells: Mapping[str, Cell], places: Places, date1904: bool) -> None:
        self.cells = cells
        self.places = places
        self.date1904 = date1904
        self.wrong: list[Violation] = []

    def fault(self, name: str, fault: str) -> None:
        zh, en = (
            ("的公式没有计算结果,请在表格软件中打开并保存一次,或改写为数值", "holds a formula without a result")
            if fault == "formula"
            else ("是错误值,请改正", "holds an error")
        )
        self._wrong(name, zh, en)

    def request(self, source_system: str) -> pb.RegisterPetitionRequest:
        """The registration as the window would send it."""
        received_on = self._day("received_on")
        content, subject = self._text("content"), self._text("subject")
        external_no = self._plain("external_no")
        request = pb.RegisterPetitionRequest(
            request_id=uuid7(),
            channel=messages.number(self._word("channel", columns.CHANNELS, CHANNEL_ZH)),
            petition_class=messages.number(self._word("petition_class", columns.CLASSES, columns.CLASS_ZH)),
            division_code=self._division(received_on),
            person_count=self._whole("person_count"),
            subject=subject or " ".join(content.split())[:SUBJECT_LENGTH],
            content=content or subject,
            received_on=received_on.isoformat() if received_on else "",
            accused_unit=self._unit("accused_unit"),
            batch_no=self._plain("batch_no"),
            leader_reception=self._yes("leader_reception"),
            external_no=external_no,
            source_system=self._plain("source_system") or (source_system if external_no else ""),
        )
        request.representatives.extend(self._persons())
        self._before(request)
        return request

    def standing(self) -> Standing:
        """Where the case stands."""
        accepted_on, concluded_on = self._day("accepted_on"), self._day("concluded_on")
        state = self._word("state", columns.STATES, STATE_ZH)
        return Standing(
            state=state or state_of(accepted_on, concluded_on),
            accepted_on=accepted_on,
            concluded_on=concluded_on,
            responsible_unit=self._unit("responsible_unit"),
            outcome=self._word("outcome", columns.OUTCOMES, OUTCOME_ZH),
            route=self._word("route", columns.ROUTES, ROUTE_ZH),
            satisfaction=self._word("satisfaction", columns.SATISFACTIONS, SATISFACTION_ZH),
            **{name: self._long(name, most) for name, most in TEXTS.items()},
        )

    def keep_rules(self, request: pb.RegisterPetitionRequest) -> None:
        """The rules of the contract, where the row did not break one already."""
        told = {violation.field for violation in self.wrong}
        try:
            validate(request)
        except Invalid as wrong:
            for violation in wrong.violations:
                field = re.split(r"[.\[]", violation.field)[0]
                last = violation.field.rpartition(".")[2]
                if not {FIELD_OF.get(field, field), last} & told:
                    self.wrong.append(violation)

    def _persons(self) -> list[pb.Person]:
        names = [] if heading_key(self._text("name")) in columns.NAMELESS else self._parts("name", BETWEEN)
        names = [name for name in names if name]
        if not names:
            return []
        rest = {"phone": BETWEEN, "id_no": BETWEEN, "address": BETWEEN_ADDRESSES}
        others = {name: self._aligned(name, between, len(names)) for name, between in rest.items()}
        return [
            pb.Person(name=name, **{field: texts[place] for field, texts in others.items()})
            for place, name in enumerate(names)
        ]

    def _aligned(self, name: str, between: re.Pattern[str], count: int) -> list[str]:
        """One text for each person; a single one belongs to the first."""
        if count == 1:
            return [self._number(name) if name != "address" else self._text(name)]
        parts = self._parts(name, between)
        if len(parts) != count:
            parts = [part for part in parts if part]
        if len(parts) > 1 and len(parts) != count:
            self._wrong(
                name, f"有 {len(parts)} 个,姓名有 {count} 个,请一一对应并用顿号隔开", "does not match the names"
            )
            return [""] * count
        return (parts + [""] * count)[:count]

    def _parts(self, name: str, between: re.Pattern[str]) -> list[str]:
        text = self._number(name) if name in ("phone", "id_no") else self._text(name)
        return [part.strip() for part in between.split(text)] if text else []

    def _number(self, name: str) -> str:
        """A phone or identity number, as long as the sheet kept all of it."""
        cell = self.cells.get(name, "")
        if values.has_lost_digits(cell):
            self._wrong(
                name, "被表格当作数字,末几位已丢失,请改为文本格式后重新填写", "has lost digits; write it as text"
            )
            return ""
        # A line break between two numbers stands for a comma.
        text = values.text(cell).replace("\n", "、")
        return values.plain(text).upper()

    def _before(self, request: pb.RegisterPetitionRequest) -> None:
        """初次/重复, and the earlier number, which may stand in either column."""
        typed, earlier = self._plain("repeated"), self._plain("earlier_case_number")
        key = heading_key(typed)
        if key in columns.AGAIN:
            request.repeated = True
        elif typed and key not in columns.FIRST:
            earlier = earlier or typed
        request.earlier_case_number = earlier
        request.repeated = request.repeated or bool(earlier)

    def _division(self, on: date | None) -> str:
        text, village = self._plain("division"), self._plain("village")
        if not text and not village:
            return ""
        return self._caught("division", lambda: self.places.division(text, village, on or date.today()))

    def _unit(self, name: str) -> str:
        text = self._plain(name)
        return self._caught(name, lambda: self.places.unit(text, name)) if text else ""

    def _caught(self, name: str, look_up: Callable[[], str]) -> str:
        try:
            return look_up()
        except Invalid as wrong:
            zh = BY_FIELD[name].zh
            said = [Violation(name, f"{zh}:{one.zh}", one.en) for one in wrong.violations]
            self.wrong += said
            return ""

    def _word(self, name: str, words: Mapping[str, T], official: Mapping[T, str]) -> T | None:
        text = self._plain(name)
        found = columns.word(words, text) if text else None
        if text and found is None:
            self._wrong(name, f"请写其中之一:{columns.choices(words, official)}", "is none of the words")
        return found

    def _day(self, name: str) -> date | None:
        cell = self.cells.get(name, "")
        found = values.day(cell, date1904=self.date1904)
        if found is None and values.plain(cell):
            self._wrong(name, "看不出是哪一天,请写成 2021-03-05", "is no day; write it as 2021-03-05")
        return found

    def _whole(self, name: str) -> int:
        cell = self.cells.get(name, "")
        found = values.whole(cell)
        if found is None and values.plain(cell):
            self._wrong(name, "应为整数", "is no whole number")
        return found or 0

    def _yes(self, name: str) -> bool:
        found = values.yes(self.cells.get(name, ""))
        if found is None:
            self._wrong(name, "请写“是”或“否”", "takes 是 or 否")
        return bool(found)

    def _long(self, name: str, most: int) -> str:
        text = self._text(name)
        if len(text) > most:
            self._wrong(name, f"最多 {most} 个字,请缩短", f"takes at most {most} characters")
        return text

    def _plain(self, name: str) -> str:
        return values.plain(values.text(self.cells.get(name, "")))

    def _text(self, name: str) -> str:
        return values.text(self.cells.get(name, ""))

    def _wrong(self, name: str, zh: str, en: str) -> None:
        # Known already: the same cell is told once.
        if all(violation.field != name for violation in self.wrong):
            self.wrong.append(Violation(name, f"{BY_FIELD[name].zh}{zh}。", f"{name} {en}."))
