"""A contract that nobody here has ever seen gets its route, its document entry and its permission: no gateway code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FieldDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway import routes
from gateway.accounts import wiring
from gateway.app import create_app
from gateway.paths import BadTemplate
from gateway.sessions import Signer
from gateway.tests.conftest import CLERK, session_for
from gateway.tests.fakes import FakeServices
from protos.options.v1 import options_pb2
from services.chassis import clients
from services.chassis.identity import Identity
from services.chassis.settings import Settings, SettingsMissing

F = FieldDescriptor
TYPES = {"id": F.TYPE_STRING, "tags": F.TYPE_STRING, "urgent": F.TYPE_BOOL, "since": F.TYPE_INT64}
_count = iter(range(1000))


def new_service(*rules: dict[str, Any], name: str = "patrol") -> ServiceDescriptor:
    """A service `Watch` with one RPC per rule, all with the same request and reply, made here and now."""
    package = f"zongzhi.{name}{next(_count)}.v1"
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    file.dependency.extend(["google/api/annotations.proto", "protos/options/v1/options.proto"])
    inner = file.message_type.add(name="Place")
    inner.field.add(name="code", number=1, type=F.TYPE_STRING, label=F.LABEL_OPTIONAL)
    request, reply = file.message_type.add(name="Request"), file.message_type.add(name="Reply")
    for number, (field, kind) in enumerate(TYPES.items(), start=1):
        label = F.LABEL_REPEATED if field == "tags" else F.LABEL_OPTIONAL
        for message in (request, reply):
            message.field.add(name=field, number=number, type=kind, label=label)
    request.field.add(
        name="place", number=9, type=F.TYPE_MESSAGE, type_name=f".{package}.Place", label=F.LABEL_OPTIONAL
    )
    service = file.service.add(name="Watch")
    for i, rule in enumerate(rules):
        method = service.method.add(name=f"Rpc{i}", input_type=f".{package}.Request", output_type=f".{package}.Reply")
        method.options.Extensions[annotations_pb2.http].CopyFrom(
            annotations_pb2.http.message_type._concrete_class(**rule)
        )
        access: Any = method.options.Extensions[options_pb2.access]  # type: ignore[index]
        access.permission, access.title_zh = f"{name}.walk", "巡查"
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindServiceByName(f"{package}.Watch")


PATROL = new_service(
    {"post": "/v1/patrols/{id}:begin", "body": "*"},
    {"get": "/v1/patrols/{id}", "additional_bindings": [{"get": "/v1/towns/{place.code}/patrols/{id}"}]},
    {"put": "/v1/patrols/{id}/place", "body": "place", "response_body": "tags"},
    {"delete": "/v1/{id=archive/*/patrols/**}"},
    {"get": "/v1/patrols/today"},
    {"custom": {"kind": "PURGE", "path": "/v1/patrols"}},
)


class Caller:
    """Calls the gateway of the new service."""

    def __init__(self, client: Any, token: str, fakes: FakeServices) -> None:
        self.client, self.token, self.fakes = client, token, fakes

    def __call__(self, method: str, path: str, **more: Any) -> Any:
        return self.client.open(path, method=method, headers={"Authorization": f"Bearer {self.token}"}, **more)

    @property
    def heard(self) -> Any:
        return self.fakes.last.request


@pytest.fixture(scope="module")
def patrol(settings: Settings) -> Iterator[Caller]:
    fakes = FakeServices([PATROL])
    fakes.start()
    reply = GetMessageClass(PATROL.methods_by_name["Rpc0"].output_type)
    fakes.answers["Rpc2"] = lambda _: reply(tags=["a", "b"])
    channels = {routes.neighbour(PATROL): clients.channel(fakes.address)}
    app = create_app(settings, services=[PATROL], channels=channels)
    signer = Signer(settings.token_private_key_file)
    db = wiring.open_database(settings)
    asking = Identity(CLERK.account, CLERK.tier, session=session_for(db, CLERK, {}))
    yield Caller(app.test_client(), signer.sign(asking, "gateway", 60), fakes)
    db.close()
    channels[routes.neighbour(PATROL)].close()
    fakes.stop()


def test_a_new_rpc_answers_at_its_path(patrol: Caller) -> None:
    answer = patrol("POST", "/v1/patrols/7:begin", json={"tags": ["x"], "urgent": True, "place": {"code": "p"}})
    assert answer.status_code == 200
    assert answer.json == {"id": "", "tags": [], "urgent": False, "since": "0"}
    assert (patrol.heard.id, patrol.heard.urgent, patrol.heard.place.code) == ("7", True, "p")


def test_queries_fill_scalars_lists_and_fields_of_messages(patrol: Caller) -> None:
    query = "tags=a&tags=b&urgent=true&since=-5&place.code=p"
    assert patrol("GET", f"/v1/patrols/7?{query}").status_code == 200
    assert (list(patrol.heard.tags), patrol.heard.urgent, patrol.heard.since) == (["a", "b"], True, -5)
    assert patrol.heard.place.code == "p"
    assert patrol("GET", "/v1/patrols/7?urgent=yes").json["violations"][0]["field"] == "urgent"


def test_further_paths_fields_as_bodies_and_deep_variables_work(patrol: Caller) -> None:
    assert patrol("GET", "/v1/towns/t/patrols/7").status_code == 200
    assert (patrol.heard.place.code, patrol.heard.id) == ("t", "7")
    assert patrol("PUT", "/v1/patrols/7/place?urgent=true", json={"code": "c"}).json == ["a", "b"]
    assert (patrol.heard.place.code, patrol.heard.id, patrol.heard.urgent) == ("c", "7", True)
    assert patrol("DELETE", "/v1/archive/9/patrols/1/2").status_code == 200
    assert patrol.heard.id == "archive/9/patrols/1/2"
    assert patrol("PURGE", "/v1/patrols").status_code == 200


def test_a_literal_path_wins_over_a_variable(patrol: Caller) -> None:
    patrol("GET", "/v1/patrols/today")
    assert patrol.fakes.last.method == "Rpc4"


def test_its_document_entry_appears_with_the_permission(patrol: Caller) -> None:
    document = patrol.client.get("/openapi.json").json
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    operation = document["paths"]["/v1/patrols/{id}:begin"]["post"]
    assert (operation["x-permission"], operation["summary"]) == ("patrol.walk", "巡查 Rpc0")
    assert "patrol.walk" in patrol.client.get("/docs").get_data(as_text=True)


def test_without_a_token_it_is_closed(patrol: Caller) -> None:
    assert patrol.client.get("/v1/patrols/7").status_code == 401


@pytest.mark.parametrize(
    "rule",
    [{"get": "v1/x"}, {"get": "/v1/{nobody}"}, {"get": "/v1/{id}/{id}"}, {"get": "/v1/{id"}, {"get": "/v1//x"},
     {"get": "/v1/{place.nothing}"}, {"post": "/v1/x", "body": "nothing"}],
)  # fmt: skip
def test_an_annotation_that_cannot_be_served_stops_the_start(rule: dict[str, Any]) -> None:
    with pytest.raises(BadTemplate):
        routes.routes_of([new_service(rule)])


def test_two_rpcs_at_one_address_stop_the_start(settings: Settings) -> None:
    service = new_service({"get": "/v1/same/{id}"}, {"get": "/v1/same/{id}"})
    with pytest.raises(BadTemplate, match="/v1/same"):
        create_app(settings, services=[service], channels={})


def test_a_service_without_an_address_is_named_at_the_start(settings: Settings) -> None:
    service = new_service({"get": "/v1/lost"}, name="lost")
    with pytest.raises(SettingsMissing, match="LOST"):
        create_app(settings, services=[service])
