"""Checks a request against the field rules that its contract declares (`protos/options/v1/options.proto`).

The rules of a message type are turned into plain functions once, at its first use. All wrong fields are reported at
once, each with its path, its Chinese name and what to write instead; a value is never repeated, it may be personal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from operator import attrgetter
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from protos.options.v1 import options_pb2
from services.chassis.refusal import Invalid, Violation

# The generated stubs call extensions plain descriptors, which the runtime takes and the stubs of the runtime do not.
_RULES: Any = options_pb2.rules
_ZH: Any = options_pb2.zh

MAX_LENGTH = 10_000
MAX_ITEMS = 1000
DATE_PATTERN = "[0-9]{4}-[0-9]{2}-[0-9]{2}"

# PostgreSQL stores no NUL and no lone surrogate; other control characters are never typed by a person.
_control = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]").search


@dataclass(frozen=True)
class _Finding:
    """A wrong field: where it stands, its Chinese name, and what to do about it."""

    path: str
    label: str
    zh: str
    en: str

    def inside(self, path: str, label: str) -> _Finding:
        return _Finding(f"{path}.{self.path}", f"{label}的{self.label}", self.zh, self.en)

    def violation(self) -> Violation:
        return Violation(self.path, f"{self.label}:{self.zh}。", f"{self.path}: {self.en}.")


# What is wrong with one value, in Chinese and in English; None: nothing.
Problem = tuple[str, str]
ValueCheck = Callable[[Any], Problem | None]
Check = Callable[[Any], Iterable[_Finding]]
_FINE: tuple[_Finding, ...] = ()


def validate(message: Message) -> None:
    """Raises Invalid naming every field that breaks a rule. The message is not changed."""
    findings = _check_of(message.DESCRIPTOR)(message)
    if findings:
        raise Invalid.of([finding.violation() for finding in findings])


@cache
def _check_of(message: Descriptor) -> Callable[[Any], list[_Finding]]:
    # Compiled at the first call, so that a message may contain itself.
    checks: list[Check] = []

    def check(value: Any) -> list[_Finding]:
        if not checks:
            checks.extend([_field_check(field) for field in message.fields] or [lambda _: _FINE])
        return [finding for one in checks for finding in one(value)]

    return check


def _field_check(field: FieldDescriptor) -> Check:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        raise TypeError(f"{field.full_name}: requests hold no maps, whose keys have no rules")
    rules: options_pb2.FieldRules = field.GetOptions().Extensions[_RULES]
    if field.is_repeated:
        return _repeated(field, rules)
    if field.message_type is not None:
        return _submessage(field, rules)
    return _single(field, rules)


def _single(field: FieldDescriptor, rules: options_pb2.FieldRules) -> Check:
    get, check, label = attrgetter(field.name), _value_check(field, rules), rules.zh or field.name

    def single(message: Any) -> Iterable[_Finding]:
        problem = check(get(message))
        return _FINE if problem is None else (_Finding(field.name, label, *problem),)

    return single


def _submessage(field: FieldDescriptor, rules: options_pb2.FieldRules) -> Check:
    name, check, label = field.name, _check_of(field.message_type), rules.zh or field.name

    def submessage(message: Any) -> Iterable[_Finding]:
        if message.HasField(name):
            return [finding.inside(name, label) for finding in check(getattr(message, name))]
        return (_Finding(name, label, "必填,请填写", "required; fill it in"),) if rules.required else _FINE

    return submessage


def _repeated(field: FieldDescriptor, rules: options_pb2.FieldRules) -> Check:
    get, label = attrgetter(field.name), rules.zh or field.name
    count = _count_check(rules.min_items or int(rules.required), rules.max_items or MAX_ITEMS)
    each = _items_of_messages(field, label) if field.message_type is not None else _items(field, rules, label)

    def repeated(message: Any) -> Iterable[_Finding]:
        items = get(message)
        problem = count(len(items))
        if problem is not None:
            return (_Finding(field.name, label, *problem),)
        return each(items) if items else _FINE

    return repeated


def _items(field: FieldDescriptor, rules: options_pb2.FieldRules, label: str) -> Check:
    check = _value_check(field, rules)

    def items(values: Any) -> Iterable[_Finding]:
        problems = ((i, check(value)) for i, value in enumerate(values))
        return [_Finding(f"{field.name}[{i}]", f"{label}第 {i + 1} 项", *problem) for i, problem in problems if problem]

    return items


def _items_of_messages(field: FieldDescriptor, label: str) -> Check:
    check = _check_of(field.message_type)

    def items(values: Any) -> Iterable[_Finding]:
        return [
            finding.inside(f"{field.name}[{i}]", f"{label}第 {i + 1} 项")
            for i, value in enumerate(values)
            for finding in check(value)
        ]

    return items


def _count_check(fewest: int, most: int) -> ValueCheck:
    def count(items: int) -> Problem | None:
        if items > most:
            return f"最多 {most} 项,请减少", f"at most {most} entries; leave some out"
        if items < fewest:
            return f"至少 {fewest} 项,请补充", f"at least {fewest} entries; add some"
        return None

    return count


def _value_check(field: FieldDescriptor, rules: options_pb2.FieldRules) -> ValueCheck:
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text_check(rules)
    if field.enum_type is not None:
        return _enum_check(field.enum_type, rules.required)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _bytes_check(rules)
    return _number_check(rules)


def _text_check(rules: options_pb2.FieldRules) -> ValueCheck:
    required, fewest, most = rules.required, rules.min_length, rules.max_length or MAX_LENGTH
    matches = re.compile(rules.pattern).fullmatch if rules.pattern else None
    dated = rules.pattern == DATE_PATTERN
    hint = (rules.hint_zh or "格式不对,请更正", rules.hint_en or "malformed; correct it")

    def text(value: str) -> Problem | None:
        if not value or (required and value.isspace()):
            return ("必填,请填写", "required; fill it in") if required else None
        if len(value) > most:
            return f"最多 {most} 个字,请缩短", f"at most {most} characters; shorten it"
        if len(value) < fewest:
            return f"至少 {fewest} 个字,请补充", f"at least {fewest} characters; add to it"
        # Most texts are printable throughout, and asking that is ten times faster than searching.
        if not value.isprintable() and _control(value):
            return "含有不可见的控制字符,请删除后重新填写", "holds control characters; remove them and write it again"
        if matches is not None and not matches(value):
            return hint
        if dated and not _is_date(value):
            return "日历上没有这一天,请更正", "no such day in the calendar; correct it"
        return None

    return text


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _enum_check(enum: EnumDescriptor, required: bool) -> ValueCheck:
    allowed = frozenset(value.number for value in enum.values) - ({0} if required else set())
    choices = [value for value in enum.values if value.number]
    zh = "、".join(value.GetOptions().Extensions[_ZH] or value.name for value in choices)
    problem = (f"请从以下各项中选择:{zh}", "choose one of " + ", ".join(value.name for value in choices))
    return lambda number: None if number in allowed else problem


def _bytes_check(rules: options_pb2.FieldRules) -> ValueCheck:
    fewest, most = max(rules.min_length, int(rules.required)), rules.max_length

    def content(value: bytes) -> Problem | None:
        if len(value) < fewest and (value or rules.required):
            return f"至少 {fewest} 字节,请补充", f"at least {fewest} bytes; add to it"
        if most and len(value) > most:
            return f"最多 {most} 字节,请缩短", f"at most {most} bytes; shorten it"
        return None

    return content


def _number_check(rules: options_pb2.FieldRules) -> ValueCheck:
    required, bounded, low, high = rules.required, rules.bounded, rules.min, rules.max
    outside = (f"请填写 {low} 到 {high} 之间的数", f"write a number from {low} to {high}")

    def number(value: float) -> Problem | None:
        if required and not value:
            return "必填,请填写", "required; fill it in"
        return outside if bounded and not low <= value <= high else None

    return number
