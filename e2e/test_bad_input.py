"""Wrong input at every door: a sentence that names the field in both languages, and nothing written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import requests
from sqlalchemy import func, select

from e2e import broker
from e2e.books import at_rest, rows
from e2e.conftest import LOCAL_SQLITE, RABBIT_POSTGRES, on
from e2e.post import build, count, crafted, deliver
from e2e.refusals import assert_for_people, assert_nothing_of_the_inside, assert_refused
from e2e.story import COMMAND, DIVISION, HALL, Story
from e2e.system import TIER, System, eventually, new_request_id
from protos.mediation.v1.events_pb2 import MediationAccepted
from protos.petition.v1 import petition_pb2 as pb
from protos.petition.v1 import petition_pb2_grpc
from services.chassis import ids, inbox, statuses, tokens
from services.chassis.identity import Identity
from services.chassis.tables import metadata

pytestmark = pytest.mark.e2e

FORM: dict[str, Any] = {
    "request_id": "018f6f2e-7c1a-7d3b-8a4e-0123456789ab", "channel": "CHANNEL_VISIT", "division_code": DIVISION,
    "representatives": [{"name": "闻人知远"}], "subject": "路灯不亮", "content": "两盏路灯不亮",
}  # fmt: skip
# What is changed in a form that is right, and the field that the answer must name.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"request_id": ""}, "request_id"),
    ({"request_id": "一号"}, "request_id"),
    ({"channel": "CHANNEL_UNSPECIFIED"}, "channel"),
    ({"channel": "CHANNEL_PIGEON"}, "channel"),
    ({"channel": 99}, "channel"),
    ({"division_code": "34170"}, "division_code"),
    ({"division_code": "999999999999"}, "division_code"),
    ({"person_count": -1}, "person_count"),
    ({"person_count": 1.5}, "person_count"),
    ({"representatives": [{"name": "甲"}] * 6}, "representatives"),
    ({"representatives": []}, "representatives"),
    ({"representatives": [{"phone": "13800000000"}]}, "representatives[0].name"),
    ({"representatives": [{"name": "甲", "phone": "110"}]}, "representatives[0].phone"),
    ({"representatives": [{"name": "甲", "id_no": "341702199001011234"}]}, "representatives[0].id_no"),
    ({"representatives": "闻人知远"}, "representatives"),
    ({"subject": "   "}, "subject"),
    ({"subject": "字" * 201}, "subject"),
    ({"subject": ["路灯"]}, "subject"),
    ({"content": "带\u0000的文字"}, "content"),
    ({"content": "字" * 20001}, "content"),
    ({"received_on": "2026-02-30"}, "received_on"),
    ({"received_on": "2999-01-01"}, "received_on"),
    ({"received_on": "昨天"}, "received_on"),
    ({"accused_unit": COMMAND}, "accused_unit"),
    ({"earlier_case_number": "12345"}, "earlier_case_number"),
    ({"nickname": "小明"}, "nickname"),
]


@pytest.fixture
def nothing_written(district: System) -> Iterator[None]:
    """Every table of every service has as many rows afterwards as before."""
    before = at_rest(district)
    yield
    assert rows(district) == before


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
@pytest.mark.usefixtures("nothing_written")
def test_a_wrong_form_is_told_field_by_field(district: System) -> None:
    district.sign_in()
    for change, field in WRONG:
        problem = assert_refused(district.call("POST", "/v1/petitions", FORM | change), 400, field=field)
        assert "闻人知远" not in str(problem), problem


@on(LOCAL_SQLITE)
@pytest.mark.usefixtures("nothing_written")
def test_all_that_is_wrong_is_told_at_once(district: System) -> None:
    district.sign_in()
    problem = assert_refused(district.call("POST", "/v1/petitions", {"received_on": "x", "person_count": 100001}), 400)
    named = {one["field"] for one in problem["violations"]}
    assert named >= {"request_id", "channel", "division_code", "subject", "content", "received_on", "person_count"}


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
@pytest.mark.usefixtures("nothing_written")
def test_what_is_no_form_at_all_is_refused(district: System) -> None:
    district.sign_in()
    url, kind = f"{district.gateway}/v1/petitions", {"Content-Type": "application/json"}

    def post(data: bytes, **headers: str) -> requests.Response:
        return district.http.post(url, data=data, headers=kind | headers, timeout=30)

    assert_refused(post(b"{"), 400, "JSON_INVALID")
    assert_refused(post(b"[]"), 400, "JSON_INVALID")
    assert_refused(post(b'{"subject": NaN}'), 400, "JSON_INVALID")
    assert_refused(post(b"\xff\xfe\x00"), 400, "JSON_INVALID")
    assert_refused(post(b'{"a":' * 5000), 400, "JSON_INVALID")
    assert_refused(post(b'{"subject": "' + b"x" * 2_000_000 + b'"}'), 413)
    assert_refused(post(b"<a/>", **{"Content-Type": "text/xml"}), 415)
    assert_refused(district.call("PUT", "/v1/petitions", FORM), 405)
    assert_refused(district.call("GET", "/v1/nothing"), 404)
    assert_refused(district.call("GET", "/v1/petitions/%00"), 400, field="id")
    assert_refused(district.call("GET", f"/v1/petitions/{ids.uuid7()}"), 404, "NOT_FOUND")
    assert_refused(district.call("GET", "/v1/petitions", params={"page_token": "x"}), 400, field="page_token")
    assert_refused(district.call("GET", "/v1/petitions", params={"page_sise": "1"}), 400, field="page_sise")
    assert_refused(district.call("GET", "/v1/petitions", params={"states": "DONE"}), 400, field="states[0]")


@on(LOCAL_SQLITE)
def test_without_a_token_nobody_gets_in(district: System) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic ZGVtbzpkZW1v"}):
        answer = requests.get(f"{district.gateway}/v1/petitions", headers=headers, timeout=30)
        assert_refused(answer, 401)
    login = district.login() | {"password": "falsch"}
    assert_refused(requests.post(f"{district.gateway}/v1/session", json=login, timeout=30), 401, "LOGIN_FAILED")
    assert_refused(requests.post(f"{district.gateway}/v1/session", json={}, timeout=30), 400)


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
@pytest.mark.usefixtures("nothing_written")
def test_a_direct_grpc_call_hears_the_same(district: System) -> None:
    key = tokens.load_private(district.settings.token_private_key_file)
    clerk = Identity("clerk", TIER, scope="341702", units=frozenset({HALL}), unit=HALL,
                     permissions=frozenset({"petition.register"}))  # fmt: skip
    metadata = (("authorization", f"Bearer {tokens.sign(key, clerk, ['petition'])}"),)
    wrong = pb.RegisterPetitionRequest(
        request_id=new_request_id(), channel=pb.CHANNEL_VISIT, division_code="1", subject="路灯"
    )
    with grpc.insecure_channel(district.settings.address_of("petition")) as channel:
        with pytest.raises(grpc.RpcError) as refused:
            petition_pb2_grpc.PetitionServiceStub(channel).RegisterPetition(wrong, metadata=metadata, timeout=30)
        rich = statuses.parse(refused.value)
        assert (refused.value.code(), rich.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
        assert {path for path, _ in rich.violations} == {"division_code", "content"}
        for sentence in (rich.message, *(said for _, said in rich.violations)):
            assert_for_people(sentence)
        garbage: Any = channel.unary_unary("/zongzhi.petition.v1.PetitionService/RegisterPetition")
        with pytest.raises(grpc.RpcError) as undecodable:
            garbage(b"\xff\xff\xff", metadata=metadata, timeout=30)
        assert undecodable.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        said = str(undecodable.value.details())
        assert_for_people(said)
        assert_nothing_of_the_inside(said)


@on(RABBIT_POSTGRES)
def test_a_body_that_is_no_event_goes_to_the_dead_letters(district: System) -> None:
    before = dead_letters(district)
    stranger = crafted(MediationAccepted(mediation_id="m"), "mediation", "341721000000", ids.uuid7(), 1)
    broker.publish(district.bus_url, "petition", [b"garbage \xff", b"", stranger])
    eventually(lambda: dead_letters(district) == before + 3, "three dead letters are counted")
    assert f"死信 dead letters {before + 3}" in district.command("status")
    story = Story(district).referred()
    story.one_refuses()
    story.becomes("ACCEPTED")


def dead_letters(district: System) -> int:
    """As `zongzhi status` counts them for petition."""
    return int(json.loads(district.command("status", "--json"))["services"]["petition"]["dead_letters"])


@on(LOCAL_SQLITE)
def test_on_the_local_bus_it_is_held_for_people(district: System) -> None:
    service = build("petition", district.settings)
    assert inbox.receive(service, [b"garbage \xff"]).poisoned == {0: "not an envelope"}
    service.db.close()


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_an_answer_about_nothing_is_refused_and_holds_nobody(district: System) -> None:
    aggregate = ids.uuid7()
    unknown = MediationAccepted(referral_id=ids.uuid7(), mediation_id=aggregate, petition_id=ids.uuid7(), owner_epoch=2)
    deliver(district, "petition", [crafted(unknown, "mediation", TIER, aggregate, 1)])
    inbox_rows = metadata.tables["inbox"].c
    outcome = select(func.count()).where(inbox_rows.aggregate_id == aggregate, inbox_rows.outcome == "refused")
    eventually(lambda: count(district, "petition", outcome) == 1, "the refusal is recorded")
    assert "petition" not in {json.loads(line)["service"] for line in district.command("held", "list").splitlines()}


WRONG_COMMANDS = [
    (["fly"], "fly"),
    (["serve"], "NAME"),
    (["serve", "nothing"], "nothing"),
    (["serve", "petition"], "BUS_URL"),
    (["work", "petition"], "BUS_URL"),
    (["gateway"], "GATEWAY_PORT"),
    (["migrate", "nothing"], "nothing"),
    (["held", "retry", "petition", "no-such-id", "--by", "demo"], "held"),
    (["held", "retry", "nothing", "x", "--by", "demo"], "nothing"),
    (["held", "discard", "petition", "x", "--by", "demo"], "--reason"),
    (["outbox", "resend", "petition", "--since", "yesterday"], "--since"),
    (["audit", "verify", "--head", "x"], "--head"),
]


@on(LOCAL_SQLITE)
@pytest.mark.usefixtures("nothing_written")
def test_a_wrong_command_is_one_sentence_and_exit_2(district: System) -> None:
    for words, named in WRONG_COMMANDS:
        done = district.attempt(*words)
        assert done.returncode == 2, f"{words}: {done.returncode} {done.stderr}"
        assert named in done.stderr, f"{words}: {done.stderr}"
        last = done.stderr.strip().splitlines()[-1]
        assert_for_people(last)
        assert "Traceback" not in done.stderr, f"{words}: {done.stderr}"


@on(LOCAL_SQLITE)
def test_wrong_settings_are_all_named_at_once(district: System) -> None:
    before = dict(district.env)
    district.env |= {"ZONGZHI_TIER": "34", "BUS_URL": "carrier-pigeon", "GRPC_PORT": "99999"}
    try:
        done = district.attempt("status")
    finally:
        district.env.clear()
        district.env.update(before)
    assert done.returncode == 2
    assert all(name in done.stderr for name in ("ZONGZHI_TIER", "BUS_URL", "GRPC_PORT"))
    assert "Traceback" not in done.stderr
