"""JSON Schemas of the contracts' messages: one for what is sent, with its rules, and one for what comes back."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from gateway import declared
from gateway.declared import is_required, term
from gateway.json_in import INTEGERS
from services.chassis.validation import DATE_PATTERN, MAX_ITEMS, MAX_LENGTH

Schema = dict[str, Any]
_F = FieldDescriptor
_LONG = {_F.TYPE_INT64, _F.TYPE_UINT64, _F.TYPE_SINT64, _F.TYPE_FIXED64, _F.TYPE_SFIXED64}
_WELL_KNOWN: dict[str, Schema] = {
    "Timestamp": {"type": "string", "format": "date-time", "examples": ["2026-01-31T08:00:00Z"]},
    "Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
    "FieldMask": {"type": "string"},
    "Empty": {"type": "object", "maxProperties": 0},
    "Struct": {"type": "object"},
    "ListValue": {"type": "array"},
    "Any": {"type": "object", "required": ["@type"], "properties": {"@type": {"type": "string"}}},
    "Value": {},
    "StringValue": {"type": ["string", "null"]},
    "BytesValue": {"type": ["string", "null"], "contentEncoding": "base64"},
    "BoolValue": {"type": ["boolean", "null"]},
    "Int64Value": {"type": ["string", "null"]},
    "UInt64Value": {"type": ["string", "null"]},
}
# What validation refuses in any text (`services/chassis/validation.py`); a required one is more than blanks.
_CONTROLS = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"
NO_CONTROLS = f"^[^{_CONTROLS}]*$"
SAYS_SOMETHING = rf"^(?!\s*$)[^{_CONTROLS}]*$"
_FLOAT: Schema = {"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]}


class Schemas:
    """Collects the components that operations refer to."""

    def __init__(self, comments: dict[str, str]) -> None:
        self.components: dict[str, Schema] = {}
        self._comments = comments

    def comment(self, full_name: str) -> str:
        """What the contract says about a thing, "" when nothing."""
        return self._comments.get(full_name, "")

    def reply(self, message: Descriptor) -> Schema:
        """A message that comes back: no rules, and every field that has no presence is always there."""
        return self._reference(message, sent=False)

    def body(self, message: Descriptor, without: set[str]) -> Schema:
        """A message that is sent, but for the fields that stand in the path."""
        return {"title": message.name, **self._object(message, sent=True, without=without)}

    def field(self, field: FieldDescriptor, *, sent: bool) -> Schema:
        """A field's schema, with its comment, its Chinese name and, when sent, its rules."""
        rules = declared.rules(field)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            schema = {
                "type": "object",
                "additionalProperties": self._type(field.message_type.fields_by_name["value"], sent),
            }
        elif field.is_repeated:
            items = self._type(field, sent) | (_value_rules(field, rules) if sent else {})
            schema = {"type": "array", "items": items} | (_list_rules(rules) if sent else {})
        else:
            schema = self._type(field, sent) | (_value_rules(field, rules) if sent else {})
        return schema | self._told(field, rules)

    def _told(self, field: FieldDescriptor, rules: Any) -> Schema:
        hint = " ".join(part for part in (rules.hint_zh, rules.hint_en) if part)
        said = " ".join(part for part in (self.comment(field.full_name), f"({hint})" if hint else "") if part)
        told: Schema = {"title": rules.zh} if rules.zh else {}
        if said:
            told["description"] = said
        if declared.is_personal(field):
            told["x-personal"] = True
        return told

    def _reference(self, message: Descriptor, *, sent: bool) -> Schema:
        package, _, name = message.full_name.rpartition(".")
        if package == "google.protobuf":
            return dict(_WELL_KNOWN.get(name, {"type": ["number", "null"]}))
        key = _key(message.full_name) + ("-sent" if sent else "")
        if key not in self.components:
            self.components[key] = {}  # so that a message may contain itself
            self.components[key] = self._object(message, sent=sent)
        return {"$ref": f"#/components/schemas/{key}"}

    def _object(self, message: Descriptor, *, sent: bool, without: set[str] | None = None) -> Schema:
        fields = [field for field in message.fields if field.name not in (without or ())]
        schema: Schema = {"type": "object"}
        if said := self.comment(message.full_name):
            schema["description"] = said
        schema["properties"] = {field.name: self.field(field, sent=sent) for field in fields}
        required = [field.name for field in fields if (is_required(field) if sent else not field.has_presence)]
        if required:
            schema["required"] = required
        return schema | ({"additionalProperties": False} if sent else {})

    def _type(self, field: FieldDescriptor, sent: bool) -> Schema:
        if field.message_type is not None:
            return self._reference(field.message_type, sent=sent)
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        if field.type in _LONG:
            return {"type": ["string", "integer"] if sent else "string", "format": "int64", "pattern": "^-?[0-9]+$"}
        if field.type in INTEGERS:
            low, high = INTEGERS[field.type]
            return {"type": "integer", "minimum": low, "maximum": high}
        if field.type in (_F.TYPE_DOUBLE, _F.TYPE_FLOAT):
            return dict(_FLOAT)
        kinds: dict[int, Schema] = {
            _F.TYPE_BOOL: {"type": "boolean"},
            _F.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
        }
        return kinds.get(field.type, {"type": "string"})

    def _enum(self, enum: EnumDescriptor) -> Schema:
        key = _key(enum.full_name)
        if key not in self.components:
            lines = [self.comment(enum.full_name), *(self._choice(enum, value) for value in enum.values)]
            self.components[key] = {
                "type": "string",
                "enum": [value.name for value in enum.values],
                "description": "\n".join(line for line in lines if line),
                "x-enum-titles": {value.name: term(value) for value in enum.values if term(value)},
            }
        return {"$ref": f"#/components/schemas/{key}"}

    def _choice(self, enum: EnumDescriptor, value: Any) -> str:
        told = " ".join(part for part in (term(value), self.comment(f"{enum.full_name}.{value.name}")) if part)
        return f"- `{value.name}` {told}" if told else ""


def _key(full_name: str) -> str:
    return full_name.removeprefix("zongzhi.")


def _list_rules(rules: Any) -> Schema:
    fewest = rules.min_items or int(rules.required)
    return ({"minItems": fewest} if fewest else {}) | {"maxItems": rules.max_items or MAX_ITEMS}


def _value_rules(field: FieldDescriptor, rules: Any) -> Schema:
    if field.type == _F.TYPE_STRING:
        return _text_rules(rules)
    if field.enum_type is not None and rules.required:
        return {"not": {"enum": [value.name for value in field.enum_type.values if not value.number]}}
    return {"minimum": rules.min, "maximum": rules.max} if rules.bounded and field.type not in _LONG else {}


def _text_rules(rules: Any) -> Schema:
    schema: Schema = {"maxLength": rules.max_length or MAX_LENGTH}
    if rules.required:
        schema["minLength"] = max(1, rules.min_length)
    if rules.pattern:
        # Rules match the whole text, JSON Schema any part of it; an empty text means "not given".
        schema["pattern"] = f"^(?:{rules.pattern})$" if rules.required else f"^(?:{rules.pattern})?$"
    else:
        schema["pattern"] = SAYS_SOMETHING if rules.required else NO_CONTROLS
    if rules.pattern == DATE_PATTERN and rules.required:
        schema["format"] = "date"
    return schema
