"""What the contracts declare beside their fields: rules, permissions, terms, personal data (`protos/options/v1`)."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import EnumValueDescriptor, FieldDescriptor, MethodDescriptor

from protos.options.v1 import options_pb2

# The generated stubs give extensions a type that indexes nothing.
_options: Any = options_pb2


def rules(field: FieldDescriptor) -> Any:
    """The values that the field takes in a request."""
    return field.GetOptions().Extensions[_options.rules]


def is_required(field: FieldDescriptor) -> bool:
    """Whether a request must hold the field."""
    declared = rules(field)
    return bool(declared.required or declared.min_items)


def is_personal(field: FieldDescriptor) -> bool:
    """Whether the field is a name, phone, identity number or address of a person."""
    return bool(field.GetOptions().Extensions[_options.personal])


def access(method: MethodDescriptor) -> Any:
    """The permission that the RPC demands, with its Chinese name."""
    return method.GetOptions().Extensions[_options.access]


def transfer(method: MethodDescriptor) -> Any:
    """How the RPC carries a file; None when it carries none."""
    options = method.GetOptions()
    return options.Extensions[_options.transfer] if options.HasExtension(_options.transfer) else None


def term(value: EnumValueDescriptor) -> str:
    """The official Chinese term of an enum value, "" when it has none."""
    return str(value.GetOptions().Extensions[_options.zh])
