"""What every contract in this folder keeps to, so that gateway, permission check and masking can be derived from it."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, MethodDescriptor

from gateway import roles
from protos.options.v1 import options_pb2
from services.chassis import access

RPCS = access.methods()
CONTRACTS = [contract for contract in access.contracts() if contract.package.startswith("zongzhi.")]
EVENT_FILES = [contract for contract in CONTRACTS if contract.name.endswith("/events.proto")]
looks_personal = re.compile("(.+_)?(name|phone|id_no|address)").fullmatch
# Names of places, not of people.
NOT_PERSONAL = {
    "zongzhi.petition.v1.Petition.division_name", "zongzhi.grid.v1.Division.name", "zongzhi.grid.v1.Unit.name",
    "zongzhi.grid.v1.Category.name", "zongzhi.grid.v1.CalendarDay.name", "zongzhi.grid.v1.UpsertDivisionRequest.name",
    "zongzhi.grid.v1.UpsertUnitRequest.name", "zongzhi.grid.v1.UpsertCategoryRequest.name",
}  # fmt: skip


def option(described: Any, extension: Any) -> Any:
    return described.GetOptions().Extensions[extension]


def reached(message: Descriptor, seen: set[str] | None = None) -> Iterator[Descriptor]:
    """The message and every message of ours inside it."""
    seen = set() if seen is None else seen
    if message.full_name in seen or not message.full_name.startswith("zongzhi."):
        return
    seen.add(message.full_name)
    yield message
    for field in message.fields:
        if field.message_type is not None:
            yield from reached(field.message_type, seen)


def fields_of(messages: Iterable[Descriptor]) -> dict[str, FieldDescriptor]:
    return {field.full_name: field for top in messages for message in reached(top) for field in message.fields}


def enums() -> list[EnumDescriptor]:
    return [enum for contract in CONTRACTS for enum in contract.enum_types_by_name.values()]


def events() -> list[Descriptor]:
    """The messages of events.proto that are no part of another one."""
    messages = [message for contract in EVENT_FILES for message in contract.message_types_by_name.values()]
    parts = {f.message_type.full_name for m in messages for f in m.fields if f.message_type is not None}
    return [message for message in messages if message.full_name not in parts]


def path_of(method: MethodDescriptor) -> tuple[str, str, str]:
    """Verb, path and body by which HTTP calls it."""
    transfer = transfer_of(method)
    if transfer is not None:
        return ("post", transfer.upload, "*") if transfer.upload else ("get", transfer.download, "")
    rule = option(method, annotations_pb2.http)
    verb = rule.WhichOneof("pattern")
    return verb or "", getattr(rule, verb) if verb else "", rule.body


def transfer_of(method: MethodDescriptor) -> Any:
    """How the RPC carries a file; None when it carries none."""
    options = method.GetOptions()
    return options.Extensions[options_pb2.transfer] if options.HasExtension(options_pb2.transfer) else None  # type: ignore[index]


def by_name(described: Any) -> str:
    return str(getattr(described, "full_name", described))


def service_name(full_name: str) -> str:
    return full_name.split(".")[1]


REPLY_FIELDS = fields_of(method.output_type for method in RPCS)
EVENT_FIELDS = fields_of(events())
REQUEST_FIELDS = fields_of(method.input_type for method in RPCS)
EVERY_FIELD = (REPLY_FIELDS | EVENT_FIELDS | REQUEST_FIELDS).values()
LISTS = [method for method in RPCS if "next_page_token" in method.output_type.fields_by_name]


def test_there_are_contracts_to_check() -> None:
    assert len(RPCS) > 20
    assert len(events()) > 8
    assert len(enums()) > 8


# Called by parts of zongzhi alone: no path leads there and no role may call it.
INTERNAL = {"zongzhi.petition.v1.FollowingService.WaitProgress"}


def test_only_these_rpcs_are_internal_and_they_have_no_path_and_are_open_to_nobody() -> None:
    internal = [method for method in RPCS if option(method, options_pb2.access).internal]
    assert {method.full_name for method in internal} == INTERNAL
    for method in internal:
        assert path_of(method)[:2] == ("", "")
        assert not option(method, options_pb2.access).open
        permission = option(method, options_pb2.access).permission
        assert not [role for role in roles.ROLES if permission in roles.permissions([role])]


@pytest.mark.parametrize("method", [m for m in RPCS if m.full_name not in INTERNAL], ids=by_name)
def test_every_rpc_has_a_path_of_its_own_whose_variables_are_fields(method: MethodDescriptor) -> None:
    verb, path, body = path_of(method)
    assert verb in {"get", "post", "put", "patch", "delete"}
    assert path.startswith("/v1/")
    assert (body == "*") == (verb != "get")
    assert set(re.findall(r"\{(\w+)\}", path)) <= set(filled_by_path(method).fields_by_name)
    assert [path_of(other)[:2] for other in RPCS].count((verb, path)) == 1


@pytest.mark.parametrize("method", RPCS, ids=by_name)
def test_no_personal_data_enters_a_path_or_a_query(method: MethodDescriptor) -> None:
    verb, path, _ = path_of(method)
    for field in fields_of([method.input_type]).values():
        if verb == "get" or f"{{{field.name}}}" in path:
            assert not option(field, options_pb2.personal), field.name
            assert not looks_personal(field.name), field.name


@pytest.mark.parametrize("method", RPCS, ids=by_name)
def test_every_rpc_demands_a_permission_of_its_own_service_and_names_the_deed(method: MethodDescriptor) -> None:
    rule = option(method, options_pb2.access)
    assert re.fullmatch(rf"{service_name(method.containing_service.full_name)}\.[a-z_]+", rule.permission)
    assert re.search("[\u4e00-\u9fff]", rule.title_zh)


@pytest.mark.parametrize("method", RPCS, ids=by_name)
def test_only_reveal_shows_personal_data_and_then_a_reason_is_required(method: MethodDescriptor) -> None:
    reveals = option(method, options_pb2.access).reveals
    assert reveals == method.name.startswith("Reveal")
    if reveals:
        reason = option(method.input_type.fields_by_name["reason"], options_pb2.rules)
        assert reason.required
        assert reason.min_length
        assert path_of(method)[0] == "post"


def filled_by_path(method: MethodDescriptor) -> Any:
    """The message whose fields the path's variables fill."""
    return method.input_type.fields_by_name["header"].message_type if method.client_streaming else method.input_type


@pytest.mark.parametrize("method", RPCS, ids=by_name)
def test_every_rpc_is_one_request_and_one_answer_but_for_files_on_their_way_up(method: MethodDescriptor) -> None:
    """The gateway makes streams of files only, and no screen needs a server's stream."""
    transfer = transfer_of(method)
    uploads = transfer is not None and bool(transfer.upload)
    assert (method.client_streaming, method.server_streaming) == (uploads, False)


@pytest.mark.parametrize("method", [m for m in RPCS if transfer_of(m) is not None], ids=by_name)
def test_every_transfer_goes_one_way_with_the_messages_of_files_and_has_no_other_path(method: MethodDescriptor) -> None:
    transfer = transfer_of(method)
    assert bool(transfer.upload) != bool(transfer.download)
    assert not method.GetOptions().HasExtension(annotations_pb2.http)
    taken, given = method.input_type.full_name, method.output_type.full_name
    if transfer.upload:
        assert taken == "zongzhi.files.v1.Upload"
        assert transfer.max_bytes <= 1 << 30
    else:
        assert (taken, given) == ("zongzhi.files.v1.ReadRequest", "zongzhi.files.v1.Piece")
        assert (transfer.accepted, transfer.max_bytes) == (False, 0)


def test_only_transfers_carry_the_messages_of_files() -> None:
    for method in RPCS:
        if {method.input_type.full_name, method.output_type.full_name} & {
            "zongzhi.files.v1.Upload",
            "zongzhi.files.v1.ReadRequest",
            "zongzhi.files.v1.Piece",
        }:
            assert transfer_of(method) is not None, method.full_name


@pytest.mark.parametrize("method", [m for m in RPCS if m.name.startswith(("List", "Find"))], ids=by_name)
def test_every_list_pages(method: MethodDescriptor) -> None:
    assert method in LISTS
    fields = method.input_type.fields_by_name
    assert fields["page_size"].type == FieldDescriptor.TYPE_INT32
    assert option(fields["page_size"], options_pb2.rules).bounded
    assert fields["page_token"].type == FieldDescriptor.TYPE_STRING
    repeated = [field.name for field in method.output_type.fields if field.is_repeated]
    assert len(repeated) == 1


@pytest.mark.parametrize("method", [m for m in RPCS if "request_id" in m.input_type.fields_by_name], ids=by_name)
def test_every_request_id_is_required_and_a_uuid(method: MethodDescriptor) -> None:
    rules = option(method.input_type.fields_by_name["request_id"], options_pb2.rules)
    assert rules.required
    assert re.fullmatch(rules.pattern, "018f6f2e-7c1a-7d3b-8a4e-0123456789ab")


@pytest.mark.parametrize("field", REQUEST_FIELDS.values(), ids=by_name)
def test_every_request_field_has_its_chinese_name_and_a_pattern_has_its_hint(field: FieldDescriptor) -> None:
    rules = option(field, options_pb2.rules)
    assert re.search("[\u4e00-\u9fff]", rules.zh)
    if rules.pattern:
        assert rules.hint_zh
        assert rules.hint_en


@pytest.mark.parametrize("enum", enums(), ids=by_name)
def test_every_choice_has_its_official_chinese_term(enum: EnumDescriptor) -> None:
    assert enum.values_by_number[0].name.endswith("_UNSPECIFIED")
    for value in enum.values:
        assert bool(option(value, options_pb2.zh)) == bool(value.number), value.name
    terms = [option(value, options_pb2.zh) for value in enum.values]
    assert len(set(terms)) == len(terms)


@pytest.mark.parametrize("event", events(), ids=by_name)
def test_every_event_has_listeners_and_an_aggregate_that_orders_it(event: Descriptor) -> None:
    policy = option(event, options_pb2.event)
    known = {service_name(service.full_name) for service in access.services()}
    assert policy.listeners
    assert set(policy.listeners) <= known - {service_name(event.full_name)}
    assert event.fields_by_name[policy.aggregate].type == FieldDescriptor.TYPE_STRING


@pytest.mark.parametrize("field", [field for field in EVERY_FIELD if looks_personal(field.name)], ids=by_name)
def test_every_field_that_holds_a_name_phone_number_or_address_is_marked_personal(field: FieldDescriptor) -> None:
    assert option(field, options_pb2.personal) == (field.full_name not in NOT_PERSONAL)
