"""The comments of the contracts. Generated code has none; `make protos` writes them to protos/descriptors.binpb."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError

import protos

FILE = "descriptors.binpb"
# Field numbers in descriptor.proto, of which the paths of comments are made.
_MESSAGE, _ENUM, _SERVICE, _NESTED, _NESTED_ENUM, _FIELD_OR_VALUE_OR_METHOD = 4, 5, 6, 3, 4, 2


def load(file: Path | None = None) -> dict[str, str]:
    """Full name of a service, RPC, message, field, enum or value → its comment. Empty when the file is not there."""
    path = file or Path(next(iter(protos.__path__))) / FILE
    try:
        files = FileDescriptorSet.FromString(path.read_bytes()).file
    except (OSError, DecodeError):
        return {}
    return {name: text for one in files for name, text in _comments(one)}


def _comments(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    names = dict(_names(file))
    for location in file.source_code_info.location:
        name = names.get(tuple(location.path))
        text = location.leading_comments or location.trailing_comments
        if name and text.strip():
            yield name, _one_paragraph(text)


def _names(file: FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    for i, message in enumerate(file.message_type):
        yield from _of_message(message, (_MESSAGE, i), file.package)
    for i, enum in enumerate(file.enum_type):
        yield from _of_enum(enum, (_ENUM, i), file.package)
    for i, service in enumerate(file.service):
        yield from _with_parts(service, service.method, (_SERVICE, i), file.package)


def _of_message(message: DescriptorProto, path: tuple[int, ...], package: str) -> Iterator[tuple[tuple[int, ...], str]]:
    yield from _with_parts(message, message.field, path, package)
    inside = f"{package}.{message.name}"
    for i, nested in enumerate(message.nested_type):
        yield from _of_message(nested, (*path, _NESTED, i), inside)
    for i, enum in enumerate(message.enum_type):
        yield from _of_enum(enum, (*path, _NESTED_ENUM, i), inside)


def _of_enum(enum: EnumDescriptorProto, path: tuple[int, ...], package: str) -> Iterator[tuple[tuple[int, ...], str]]:
    yield path, f"{package}.{enum.name}"
    for i, value in enumerate(enum.value):
        # In protobuf an enum's values are its siblings; the enum's name tells them apart for people.
        yield (*path, _FIELD_OR_VALUE_OR_METHOD, i), f"{package}.{enum.name}.{value.name}"


def _with_parts(thing: Any, parts: Any, path: tuple[int, ...], package: str) -> Iterator[tuple[tuple[int, ...], str]]:
    yield path, f"{package}.{thing.name}"
    for i, part in enumerate(parts):
        yield (*path, _FIELD_OR_VALUE_OR_METHOD, i), f"{package}.{thing.name}.{part.name}"


def _one_paragraph(text: str) -> str:
    return re.sub(r"[ \t]*\n[ \t]*", " ", text.strip())
