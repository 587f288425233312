"""Our compiled JSON is protobuf's JSON: whatever we write or take, `json_format` writes or takes alike."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, struct_pb2, timestamp_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import json_in, json_out
from protos.petition.v1 import petition_pb2
from services.chassis import access

F = FieldDescriptor
MESSAGES = sorted(
    {m for method in access.methods() for m in (method.input_type, method.output_type)}, key=lambda m: m.full_name
)
texts = st.text(st.characters(codec="utf-8"), max_size=8)


def by_json_format(message: Any) -> Any:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def values_of(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.message_type is not None and field.message_type.full_name == "google.protobuf.Timestamp":
        return st.builds(
            timestamp_pb2.Timestamp,
            seconds=st.integers(-62135596800, 253402300799),
            nanos=st.sampled_from([0, 5, 5000, 5_000_000]),
        )
    if field.message_type is not None:
        return messages_of(field.message_type)
    if field.enum_type is not None:
        return st.sampled_from([*(value.number for value in field.enum_type.values), 77])
    if field.type == F.TYPE_STRING:
        return texts
    if field.type == F.TYPE_BYTES:
        return st.binary(max_size=5)
    return st.booleans() if field.type == F.TYPE_BOOL else st.integers(*json_in.INTEGERS[field.type])


def messages_of(message: Descriptor) -> st.SearchStrategy[Any]:
    fields = {
        field.name: st.lists(values_of(field), max_size=2) if field.is_repeated else values_of(field)
        for field in message.fields
    }
    return st.fixed_dictionaries({}, optional=fields).map(lambda values: GetMessageClass(message)(**values))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.name)
@settings(max_examples=6, deadline=None, derandomize=True)
@given(data=st.data())
def test_every_message_is_written_as_json_format_writes_it(message: Descriptor, data: st.DataObject) -> None:
    drawn = data.draw(messages_of(message))
    assert json.loads(json_out.dumps(drawn)) == by_json_format(drawn)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.name)
@settings(max_examples=6, deadline=None, derandomize=True)
@given(data=st.data())
def test_every_message_is_read_as_json_format_reads_it(message: Descriptor, data: st.DataObject) -> None:
    drawn = data.draw(messages_of(message))
    document = by_json_format(drawn)
    report = json_in.Report()
    found = json_in.parse(GetMessageClass(message), document, report)
    if "77" in json.dumps(document) and report.violations:
        return
    assert not report.violations
    assert found == drawn


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=5)
    | st.sampled_from(["CHANNEL_VISIT", "1", "2026-01-01T00:00:00Z", "=", "AAAA"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["subject", "channel", "personCount", "representatives", "name", "seq"]), inner),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    document=st.dictionaries(
        st.sampled_from(["subject", "channel", "person_count", "representatives", "x"]), json_values
    )
)
def test_what_we_take_json_format_takes_alike_and_a_refusal_names_a_field(document: dict[str, Any]) -> None:
    report = json_in.Report()
    found = json_in.parse(petition_pb2.RegisterPetitionRequest, document, report)
    if found is None:
        assert all(one.field and one.zh and one.en for one in report.violations)
        assert report.violations
    else:
        assert json_format.ParseDict(document, petition_pb2.RegisterPetitionRequest()) == found


def _exotic() -> Any:
    """Field types that today's contracts do not use and tomorrow's may."""
    file = descriptor_pb2.FileDescriptorProto(
        name="gateway_test_exotic.proto", package="test.exotic.v1", syntax="proto3"
    )
    file.dependency.append("google/protobuf/struct.proto")
    message = file.message_type.add(name="Exotic")
    kinds = {
        "long": F.TYPE_INT64,
        "whole": F.TYPE_UINT64,
        "raw": F.TYPE_BYTES,
        "yes": F.TYPE_BOOL,
        "maybe": F.TYPE_STRING,
    }
    for number, (name, kind) in enumerate(kinds.items(), start=1):
        message.field.add(name=name, number=number, type=kind, label=F.LABEL_OPTIONAL)
    message.oneof_decl.add(name="_maybe")
    message.field[4].proto3_optional, message.field[4].oneof_index = True, 0
    message.field.add(
        name="self", number=8, type=F.TYPE_MESSAGE, type_name=".test.exotic.v1.Exotic", label=F.LABEL_OPTIONAL
    )
    message.field.add(
        name="free", number=9, type=F.TYPE_MESSAGE, type_name=".google.protobuf.Struct", label=F.LABEL_OPTIONAL
    )
    pool = descriptor_pool.Default()
    with contextlib.suppress(TypeError):  # it was added by an earlier test
        pool.AddSerializedFile(file.SerializeToString())
    return GetMessageClass(pool.FindMessageTypeByName("test.exotic.v1.Exotic"))


@pytest.mark.parametrize(
    "document",
    [
        {"long": "-9223372036854775808", "whole": 18446744073709551615, "raw": "-_-_", "yes": True, "maybe": ""},
        {"self": {"self": {"long": 5.0}}, "free": {"a": [1, None, {"b": "c"}]}},
        {"maybe": None, "raw": "AA"},
    ],
)
def test_rarer_field_types_are_read_and_written_alike(document: dict[str, Any]) -> None:
    kind, report = _exotic(), json_in.Report()
    found = json_in.parse(kind, document, report)
    assert found == json_format.ParseDict(document, kind())
    assert json.loads(json_out.dumps(found)) == by_json_format(found)


def test_messages_inside_messages_end_somewhere() -> None:
    document: dict[str, Any] = {}
    for _ in range(100):
        document = {"self": document}
    report = json_in.Report()
    assert json_in.parse(_exotic(), document, report) is None
    assert len(report.violations) == 1


def test_struct_is_left_to_json_format() -> None:
    struct: Any = getattr(struct_pb2.Struct, "DESCRIPTOR")  # noqa: B009  # its stub says two types
    assert json_in.is_rare(struct)
    petition: Any = petition_pb2.Petition.DESCRIPTOR
    assert not json_in.is_rare(petition)
