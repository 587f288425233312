"""JSON → protobuf, as protobuf's own JSON mapping has it, compiled once per message type.

Stricter than `json_format`, which takes "" for a message and 1.5 for an enum, and it reports every wrong place at once:
its path and what to write instead. A value is never repeated, it may be personal. Types that contracts use rarely
(maps, Struct, Duration, floating point, …) are left to `json_format`.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.declared import term
from services.chassis.refusal import Violation

# Deeper than any contract, and far from Python's recursion limit.
DEEPEST = 32
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,19})").fullmatch
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}").fullmatch
_SURROGATE = re.compile("[\ud800-\udfff]").search
_F = FieldDescriptor
INTEGERS: dict[int, tuple[int, int]] = {
    **dict.fromkeys((_F.TYPE_INT32, _F.TYPE_SINT32, _F.TYPE_SFIXED32), (-(2**31), 2**31 - 1)),
    **dict.fromkeys((_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64), (-(2**63), 2**63 - 1)),
    **dict.fromkeys((_F.TYPE_UINT32, _F.TYPE_FIXED32), (0, 2**32 - 1)),
    **dict.fromkeys((_F.TYPE_UINT64, _F.TYPE_FIXED64), (0, 2**64 - 1)),
}
_RARE_TYPES = {_F.TYPE_DOUBLE, _F.TYPE_FLOAT, _F.TYPE_GROUP}


class Report:
    """Collects what is wrong, up to a number that a person can still read."""

    def __init__(self, most: int = 50) -> None:
        self.violations: list[Violation] = []
        self._most = most

    def add(self, path: str, zh: str, en: str) -> None:
        """One wrong place."""
        if len(self.violations) < self._most:
            self.violations.append(Violation(path, f"{path}:{zh}。", f"{path}: {en}."))

    @property
    def full(self) -> bool:
        """Whether looking on would tell nobody anything."""
        return len(self.violations) >= self._most


# (JSON value, path, report, depth) → what the message constructor takes; SKIP when it is wrong.
Convert = Callable[[Any, str, Report, int], Any]
SKIP = object()


def parse(kind: type[Message], document: dict[str, Any], report: Report) -> Message | None:
    """The message that the document says; None when `report` says why not."""
    values = converter(kind.DESCRIPTOR)(document, "", report, 0)
    return None if report.violations or values is SKIP else kind(**values)


def loads(text: bytes) -> Any:
    """Strict JSON (RFC 8259): UTF-8, no key twice, no NaN. Raises ValueError."""
    return _DECODER.decode(text.decode("utf-8"))


def is_rare(message: Descriptor) -> bool:
    """Whether the message is left to `json_format`."""
    return message.full_name.startswith("google.protobuf.") or any(_is_rare_field(field) for field in message.fields)


@cache
def converter(message: Descriptor) -> Convert:
    """The compiled converter of a message type."""
    if message.full_name == "google.protobuf.Timestamp":
        return _timestamp
    if is_rare(message):
        return _by_json_format(message)
    fields: dict[str, tuple[str, FieldDescriptor]] = {}
    for field in message.fields:
        fields[field.name] = fields[field.json_name] = (field.name, field)
    converts: dict[str, Convert] = {}
    oneofs = [[field.name for field in group.fields] for group in message.oneofs if len(group.fields) > 1]

    def convert(value: Any, path: str, report: Report, depth: int) -> Any:
        if not isinstance(value, dict) or depth > DEEPEST:
            return _wrong(report, path or "(body)", "应为 JSON 对象 {…}", "must be a JSON object {…}")
        prefix, values = f"{path}." if path else "", {}
        for key, inner in value.items():
            known = fields.get(key)
            if known is None:
                _unknown(report, prefix, key, message)
                continue
            name, field = known
            if name in values:
                _wrong(report, prefix + name, "填写了两次,请只留一处", "is given twice; keep one")
            if inner is None or report.full:
                continue
            # Compiled at first use, so that a message may contain itself.
            one = converts.get(name)
            if one is None:
                one = converts[name] = _field(field)
            found = one(inner, prefix + name, report, depth + 1)
            if found is not SKIP:
                values[name] = found
        if oneofs:
            _check_oneofs(oneofs, values, prefix, report)
        return values

    return convert


def enum_problem(enum: EnumDescriptor) -> tuple[str, str]:
    """What to write for an enum, in Chinese and in English; UNSPECIFIED is no choice."""
    choices = [value for value in enum.values if value.number] or list(enum.values)
    zh = "、".join(f"{value.name}({title})" if (title := term(value)) else value.name for value in choices)
    return f"请填写以下名称之一:{zh}", "write one of " + ", ".join(value.name for value in choices)


def shown_name(name: str) -> str:
    """A name of the caller's, repeated only when it looks like a field's name: else it may be anything."""
    return name if _NAME(name) else "?"


def suggestion(name: str, known: list[str]) -> tuple[str, str]:
    """What somebody who wrote `name` may have meant, in Chinese and in English."""
    near = difflib.get_close_matches(name[:64], known, 1) if _NAME(name) else []
    if near:
        return f"没有此项,是否想写 {near[0]}", f"is not known; did you mean {near[0]}"
    listed = ", ".join(known)
    if not known:
        return "没有此项,这里不接受任何内容", "is not known; nothing is taken here"
    return f"没有此项,可填:{listed}", f"is not known; there are {listed}"


def _is_rare_field(field: FieldDescriptor) -> bool:
    is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
    return bool(is_map) or field.type in _RARE_TYPES


def _field(field: FieldDescriptor) -> Convert:
    one = _single(field)
    if not field.is_repeated:
        return one

    def many(value: Any, path: str, report: Report, depth: int) -> Any:
        if not isinstance(value, list):
            return _wrong(report, path, "应为列表 […]", "must be a list […]")
        found = [one(item, f"{path}[{i}]", report, depth) for i, item in enumerate(value) if not report.full]
        return SKIP if SKIP in found else found

    return many


def _single(field: FieldDescriptor) -> Convert:
    if field.message_type is not None:
        return converter(field.message_type)
    if field.enum_type is not None:
        return _enum(field.enum_type)
    if field.type in INTEGERS:
        return _integer(*INTEGERS[field.type])
    return {_F.TYPE_STRING: _text, _F.TYPE_BOOL: _boolean, _F.TYPE_BYTES: _bytes}[field.type]


def _text(value: Any, path: str, report: Report, _: int) -> Any:
    if type(value) is not str:
        return _wrong(report, path, "应为带引号的文本", 'must be a text in quotes, "…"')
    if not value.isascii() and _SURROGATE(value):
        return _wrong(report, path, "含有不完整的字符,请重新填写", "holds half a character (a lone surrogate)")
    return value


def _boolean(value: Any, path: str, report: Report, _: int) -> Any:
    return value if type(value) is bool else _wrong(report, path, "应为 true 或 false", "must be true or false")


def _integer(low: int, high: int) -> Convert:
    def integer(value: Any, path: str, report: Report, _: int) -> Any:
        number: Any = value
        if (type(value) is str and _INTEGER(value)) or (type(value) is float and value.is_integer()):
            number = int(value)
        if type(number) is int and low <= number <= high:
            return number
        return _wrong(report, path, f"应为 {low} 到 {high} 之间的整数", f"must be a whole number from {low} to {high}")

    return integer


def _enum(enum: EnumDescriptor) -> Convert:
    numbers = {value.name: value.number for value in enum.values}
    known = set(numbers.values())

    def choice(value: Any, path: str, report: Report, _: int) -> Any:
        if type(value) is str and value in numbers:
            return numbers[value]
        if type(value) is int and value in known:
            return value
        return _wrong(report, path, *enum_problem(enum))

    return choice


def _bytes(value: Any, path: str, report: Report, _: int) -> Any:
    try:
        plain = value.encode("ascii").replace(b"-", b"+").replace(b"_", b"/").rstrip(b"=")
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (AttributeError, UnicodeError, binascii.Error):
        return _wrong(report, path, "应为 Base64 文本", "must be a text in Base64")


def _timestamp(value: Any, path: str, report: Report, _: int) -> Any:
    found = Timestamp()
    try:
        if type(value) is str:
            found.FromJsonString(value)
            return found
    except (ValueError, OverflowError):
        pass  # said below, without the value
    return _wrong(report, path, "应为时间,如 2026-01-31T08:00:00Z", "must be a time such as 2026-01-31T08:00:00Z")


def _by_json_format(message: Descriptor) -> Convert:
    def convert(value: Any, path: str, report: Report, _: int) -> Any:
        try:
            return json_format.ParseDict(value, GetMessageClass(message)())
        except (json_format.ParseError, ValueError, TypeError, AttributeError, RecursionError):
            name = message.name
            return _wrong(
                report, path or "(body)", f"不是有效的 {name},请对照接口文档", f"is no valid {name}; see /docs"
            )

    return convert


def _check_oneofs(oneofs: list[list[str]], values: dict[str, Any], prefix: str, report: Report) -> None:
    for group in oneofs:
        given = [name for name in group if name in values]
        if len(given) > 1:
            listed = "、".join(given)
            _wrong(report, prefix + given[1], f"{listed} 只能填写一项", f"give only one of {', '.join(given)}")


def _unknown(report: Report, prefix: str, key: str, message: Descriptor) -> None:
    report.add(prefix + shown_name(key), *suggestion(key, [field.name for field in message.fields]))


def _wrong(report: Report, path: str, zh: str, en: str) -> Any:
    report.add(path, zh, en)
    return SKIP


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _no_constant(_: str) -> Any:
    raise ValueError("NaN and Infinity are not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
