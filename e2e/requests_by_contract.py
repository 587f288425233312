"""Requests filled from the descriptors, so that an RPC of tomorrow is walked by the tests of today."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from e2e.people import Typed
from e2e.system import new_request_id
from protos.files.v1 import files_pb2
from protos.options.v1 import options_pb2

Known = dict[str, Any]
# Fields that say the same in every contract.
FREE_TEXT = "一段足够长的说明文字"
FILE = b"%PDF-1.7\nthe well is dry\n%%EOF\n"
SPECIAL: dict[str, Any] = {
    "request_id": new_request_id,
    "fields": lambda: ["name", "phone", "id_no", "address", "content"],
}
PATTERNS: tuple[tuple[str, Any], ...] = (
    ("[0-9]{4}-[0-9]{2}-[0-9]{2}", lambda: date.today().isoformat()),
    ("[0-9]{12}", lambda: "341702001008"),
    ("[0-9]+", lambda: "341702"),
    # A proof that nobody set, or a PIN that somebody sets.
    ("[0-9]{4,8}", lambda: "2468"),
)
# One row of a hall's register, about somebody.
REGISTER = "来访日期,人次,渠道,姓名,电话,概况,诉求,属地\n{day},1,走访,{name},{phone},路灯不亮,请求修复,341702001008\n"


def requests_for(method: MethodDescriptor, known: Known, typed: Typed) -> Iterator[Any]:
    """What could be asked of a case: the required fields alone, with other terms, then with one optional field more.

    `known` holds what exists (`id`, `party_id`, `phone`, …); everything else is invented within the rules. A file is
    asked for by a list of messages, which travel as a stream.
    """
    if method.client_streaming:
        yield upload_of(known, register=typed.person() if method.name == "ImportPetitions" else None)
        return
    request, asked = GetMessageClass(method.input_type), method.input_type

    def least() -> dict[str, Any]:
        return _filled(asked, known, typed)

    yield request(**least())
    for field in asked.fields:
        if not _needed(field):
            yield request(**least(), **{field.name: _value(field, known, typed)})
        elif field.enum_type is not None:
            for term in field.enum_type.values[2:]:
                yield request(**least() | {field.name: term.number})


def upload_of(known: Known, register: dict[str, str] | None = None) -> list[Message]:
    """A file on its way up, whose name tells what must be masked; a register where one is expected."""
    content, ending = FILE, "pdf"
    if register is not None:
        content, ending = REGISTER.format(day=date.today(), **register).encode(), "csv"
    name = f"{known.get('phone', '')} 材料.{ending}"
    header = files_pb2.UploadHeader(id=known["id"], filename=name, size=len(content))
    return [files_pb2.Upload(header=header), files_pb2.Upload(data=content)]


def _filled(message: Descriptor, known: Known, typed: Typed) -> dict[str, Any]:
    if {field.name for field in message.fields} >= {"name", "phone", "id_no", "address"}:
        return typed.person()
    return {field.name: _value(field, known, typed) for field in message.fields if _needed(field)}


def _needed(field: FieldDescriptor) -> bool:
    rules = _rules(field)
    # A person who comes in person is named, whatever the rules of a field can say of it.
    named = field.is_repeated and field.message_type is not None
    # Which file is asked for depends on what it belongs to, so that the contract of all files cannot demand it.
    owner: Any = field.containing_type
    read = owner.full_name == "zongzhi.files.v1.ReadRequest" and field.name.endswith("id")
    return bool(rules.required or rules.min_items or named or read)


def _value(field: FieldDescriptor, known: Known, typed: Typed) -> Any:
    if field.is_repeated and field.name not in SPECIAL:
        return [_one(field, known, typed) for _ in range(max(1, _rules(field).min_items))]
    return _one(field, known, typed)


def _one(field: FieldDescriptor, known: Known, typed: Typed) -> Any:
    if field.name in known:
        return known[field.name]
    if field.name in SPECIAL:
        return SPECIAL[field.name]()
    if field.message_type is not None:
        return GetMessageClass(field.message_type)(**_filled(field.message_type, known, typed))
    if field.enum_type is not None:
        return next(value.number for value in field.enum_type.values if value.number)
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text(field)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return True
    if field.type == FieldDescriptor.TYPE_BYTES:
        return b"x"
    return _rules(field).min + 1


def _text(field: FieldDescriptor) -> str:
    rules = _rules(field)
    for pattern, make in PATTERNS:
        if rules.pattern == pattern:
            return str(make())
    if rules.pattern:
        raise AssertionError(f"{field.full_name}: no value is known for {rules.pattern}; add one to PATTERNS")
    # Unlike any other text, so that it can be told where it stands.
    return f"{FREE_TEXT}{random.randint(10, 99)}"[: rules.max_length or None]


def _rules(field: FieldDescriptor) -> options_pb2.FieldRules:
    options: Any = field.GetOptions()
    return options.Extensions[options_pb2.rules]  # type: ignore[no-any-return]  # the stubs do not know our extensions


def personal_fields(message: Descriptor, path: str = "", seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Paths of the fields that the contract declares personal."""
    if message.full_name in seen:
        return
    for field in message.fields:
        here = f"{path}{field.name}"
        options: Any = field.GetOptions()
        if options.Extensions[options_pb2.personal]:
            yield here
        if field.message_type is not None:
            yield from personal_fields(field.message_type, f"{here}.", seen | {message.full_name})
