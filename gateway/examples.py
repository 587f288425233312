"""Bodies to copy from the documentation. They obey the field rules, so that the first try succeeds."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway import declared

# Texts for fields whose rules are a pattern: the first that fits is taken. Invented persons and numbers only.
SPECIMENS = (
    "018f6f2e-7c1a-7d3b-8a4e-0123456789ab", "13800000000", "341702001008", "2026-01-31", "341702", "110101199001010015",
    "0123-4567-89AB-C", "1", "A",
)  # fmt: skip
BY_NAME = {"name": "张三", "phone": "13800000000", "id_no": "110101199001010015", "address": "某某路 1 号"}
_QUOTED = re.compile(r"`([A-Za-z0-9_.:-]+)`")
_INSTANCE = re.compile(r"for instance (\S+?)[.,]?(?:\s|$)")
_SUCH_AS = re.compile(r"such as (\S+)")
_F = FieldDescriptor


def of(message: Descriptor, comments: dict[str, str], without: Collection[str] = ()) -> dict[str, Any]:
    """A body: what is required, one entry of each list of messages, and something where nothing is required at all."""
    fields = [field for field in message.fields if field.name not in without]
    chosen = [one for one in fields if declared.is_required(one) or (one.is_repeated and one.message_type is not None)]
    if not chosen and not any(declared.is_required(field) for field in message.fields):
        chosen = fields[:1]
    return {field.name: _value(field, comments) for field in chosen}


def text(field: FieldDescriptor, comments: dict[str, str]) -> str:
    """A text that the field's rules accept, as far as they tell."""
    rules = declared.rules(field)
    comment = comments.get(field.full_name, "")
    told = [found[1] for pattern in (_QUOTED, _INSTANCE) for found in [pattern.search(comment)] if found]
    if rules.pattern:
        candidates = [*_SUCH_AS.findall(rules.hint_en), *told, *SPECIMENS]
        return next((one for one in candidates if re.fullmatch(rules.pattern, one)), "")
    words = BY_NAME.get(field.name) or (told[0] if told else rules.zh or field.name)
    return words if len(words) >= rules.min_length else words + "," + words * rules.min_length


def _value(field: FieldDescriptor, comments: dict[str, str]) -> Any:
    one = _one(field, comments)
    return [one] if field.is_repeated else one


def _one(field: FieldDescriptor, comments: dict[str, str]) -> Any:
    if field.message_type is not None:
        return of(field.message_type, comments)
    if field.enum_type is not None:
        names = [value.name for value in field.enum_type.values if value.number]
        mentioned = [name for name in names if name in comments.get(field.full_name, "")]
        return (mentioned or names or [field.enum_type.values[0].name])[0]
    if field.type == _F.TYPE_STRING:
        return text(field, comments)
    return {_F.TYPE_BOOL: True, _F.TYPE_BYTES: "", _F.TYPE_DOUBLE: 1.5, _F.TYPE_FLOAT: 1.5}.get(field.type, 1)
