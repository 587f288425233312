"""Every RPC of every contract, called by those who may not: nothing is seen. By those who may: nothing in clear."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from e2e.conftest import LOCAL_SQLITE, RABBIT_POSTGRES, on
from e2e.people import OnePerson, Typed
from e2e.post import crafted, deliver
from e2e.refusals import assert_for_people, assert_nothing_of_the_inside
from e2e.requests_by_contract import personal_fields, requests_for
from e2e.story import COMMAND, DIVISION, HALL, MEDIATION, Story
from e2e.system import SERVICES, TIER, System, eventually
from gateway import inside
from gateway.routes import neighbour
from protos.petition.v1.events_pb2 import MediationRequested, Party
from services.chassis import access, ids, statuses, tokens
from services.chassis.identity import Identity

pytestmark = pytest.mark.e2e

NOTHING_SEEN = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND}
# An answer of which nobody learns whether the case exists, and what a valid call of a stranger may get instead.
ALLOWED_TO_STRANGERS = NOTHING_SEEN | {grpc.StatusCode.OK}
# What the gateway answers itself is not on gRPC.
METHODS = {m.full_name: m for m in access.methods() if neighbour(m.containing_service) not in inside.NAMES}
DECLARED = {access.access_of(f"/{m.containing_service.full_name}/{m.name}") or "" for m in METHODS.values()}
EVERYTHING = frozenset(DECLARED | {f"{name}.read_all" for name in SERVICES})
BOTH = frozenset({HALL, MEDIATION})
OFFICER = Identity("walker", TIER, scope="341702", units=BOTH, permissions=EVERYTHING, unit=HALL)


class Doors:
    """The gRPC doors of a running district, and cases behind them in every state."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.typed = Typed()
        self.key = tokens.load_private(system.settings.token_private_key_file)
        self.channels = {name: grpc.insecure_channel(system.settings.address_of(name)) for name in SERVICES}
        self.cases: list[dict[str, Any]] = []
        self.more_cases()

    def more_cases(self) -> None:
        """One more case in each state that a case can be in."""
        told = [Story(self.system, self.typed) for _ in range(6)]
        told[0].filed()
        told[1].filed()
        told[2].accepted()
        told[3].referred()
        told[4].referred().consent_all()
        # The hall hears of it a moment later; what strangers must not change must have come to rest.
        told[4].becomes("MEDIATING", owner_epoch=2)
        told[5].accepted().conclude()
        found = [known for story in told for known in self._known(story)]
        self.cases = found + self.cases

    @staticmethod
    def _known(story: Story) -> Iterator[dict[str, Any]]:
        # The same officer gives and takes, so that a case stays where the other tests look for it.
        officer = {name: "demo" for name in ("officer", "from_officer", "to_officer")}
        yield {"id": story.id, "phone": story.petitioner["phone"], "service": "petition", **officer}
        for mediation in story.mediations():
            yield {"id": mediation["id"], "party_id": mediation["parties"][-1]["id"], "service": "mediation"} | officer

    def token(self, who: Identity, **more: Any) -> str:
        """A token that the district's own gateway could have signed."""
        return tokens.sign(self.key, who, list(SERVICES), **more)

    def call(self, method: MethodDescriptor, request: Message, token: str | None) -> tuple[grpc.StatusCode, Any]:
        """One call on the wire: the code, and the reply or the error."""
        stub = self.channels[neighbour(method.containing_service)].unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        metadata = (("authorization", f"Bearer {token}"),) if token is not None else ()
        try:
            return grpc.StatusCode.OK, stub(request, timeout=30, metadata=metadata)
        except grpc.RpcError as error:
            return error.code(), error

    def cases_for(self, method: MethodDescriptor) -> list[dict[str, Any]]:
        """The cases that an RPC of this service could be about."""
        return [case for case in self.cases if case["service"] == neighbour(method.containing_service)]

    def everything_seen(self) -> str:
        """All that the right token reads of all cases: what a stranger's call must not change."""
        return json.dumps([MessageToDict(self._read(case)) for case in self.cases], sort_keys=True, ensure_ascii=False)

    def _read(self, case: dict[str, Any]) -> Message:
        service = "PetitionService" if case["service"] == "petition" else "MediationService"
        get = METHODS[f"zongzhi.{case['service']}.v1.{service}.Get{service.removesuffix('Service')}"]
        reply: Message
        code, reply = self.call(get, GetMessageClass(get.input_type)(id=case["id"]), self.token(OFFICER))
        assert code is grpc.StatusCode.OK, reply
        return reply


@pytest.fixture(scope="module")
def doors(district: System) -> Iterator[Doors]:
    """The doors of the district that runs now."""
    doors = Doors(district)
    yield doors
    for channel in doors.channels.values():
        channel.close()


def strangers(doors: Doors, folder: Path) -> dict[str, str | None]:
    """Everybody who must see nothing, and what they hold in their hands."""
    tokens.create_keys(folder)
    foreign = tokens.load_private(folder / tokens.PRIVATE_FILE)
    other_tier = replace(OFFICER, tier="341721000000")
    return {
        "nobody": None,
        "an empty token": "",
        "a made-up token": "eyJhbGciOiJub25lIn0.e30.",
        "no permission": doors.token(replace(OFFICER, permissions=frozenset())),
        "another unit": doors.token(replace(OFFICER, units=frozenset({COMMAND}), unit=COMMAND, permissions=own_work())),
        "no unit": doors.token(replace(OFFICER, units=frozenset(), unit="", permissions=own_work())),
        "another scope": doors.token(replace(OFFICER, scope="341721")),
        "a neighbouring town": doors.token(replace(OFFICER, scope="341702102")),
        "no scope": doors.token(replace(OFFICER, scope="")),
        "another tier's key": tokens.sign(foreign, OFFICER, list(SERVICES)),
        "another tier": doors.token(other_tier),
        "another service's token": tokens.sign(doors.key, OFFICER, ["gateway"]),
        "an expired token": doors.token(OFFICER, ttl_s=-60),
    }


def own_work() -> frozenset[str]:
    """All permissions but those to read what other units have in hand."""
    return frozenset(permission for permission in EVERYTHING if not permission.endswith(".read_all"))


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_strangers_see_nothing_and_change_nothing(doors: Doors, tmp_path: Path) -> None:
    before, typed = doors.everything_seen(), OnePerson()
    for who, token in strangers(doors, tmp_path).items():
        for method in METHODS.values():
            for case in doors.cases_for(method):
                for request in requests_for(method, case, typed):
                    nothing_seen(doors, who, method, request, token)
    assert doors.everything_seen() == before


def nothing_seen(doors: Doors, who: str, method: MethodDescriptor, request: Message, token: str | None) -> None:
    """A refusal in both languages, or a reply in which no case of ours stands."""
    code, said = doors.call(method, request, token)
    what = f"{method.full_name} by {who}"
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return
    assert code in ALLOWED_TO_STRANGERS, f"{what}: {code} {said}"
    if code is not grpc.StatusCode.OK:
        rich = statuses.parse(said)
        assert_for_people(rich.message)
        assert_nothing_of_the_inside(rich.message)
        return
    assert who in ("another unit", "no unit", "another scope", "a neighbouring town", "no scope"), f"{what} was let in"
    shown = str(MessageToDict(said))
    assert not [case["id"] for case in doors.cases if case["id"] in shown], f"{what} sees a case"
    assert not doors.typed.found_in(shown), f"{what} sees personal data"


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_the_accused_unit_never_sees_the_case(doors: Doors) -> None:
    accusation = Story(doors.system, doors.typed)
    accusation.filed(petition_class="PETITION_CLASS_ACCUSATION", accused_unit=COMMAND)
    known = [{"id": accusation.id, "phone": accusation.petitioner["phone"], "service": "petition"}, mediated(doors)]
    doors.cases = known + doors.cases
    before = doors.everything_seen()
    accused = replace(OFFICER, units=OFFICER.units | {COMMAND})
    for method in METHODS.values():
        for case in known:
            if case["service"] != neighbour(method.containing_service):
                continue
            for request in requests_for(method, case, Typed()):
                code, said = doors.call(method, request, doors.token(accused))
                shown = str(MessageToDict(said)) if code is grpc.StatusCode.OK else ""
                assert case["id"] not in shown, f"{method.full_name} shows the accused unit its case"
                assert not doors.typed.found_in(shown)
    assert doors.everything_seen() == before


def mediated(doors: Doors) -> dict[str, Any]:
    """A mediation about a unit, as a hall of a later release may ask for it."""
    who = doors.typed.person()
    parties = [Party(id=ids.uuid7(), side=side, **who) for side in ("applicant", "respondent")]
    petition_id = ids.uuid7()
    request = MediationRequested(
        referral_id=ids.uuid7(), petition_id=petition_id, case_number="341702001008X2611240001A",
        division_code=DIVISION, owner_epoch=1, subject="与某单位的纠纷", content="与某单位的纠纷", dispute_type="邻里",
        reason="当事人要求", parties=parties, origin_tier=TIER, accused_unit=COMMAND,
    )  # fmt: skip
    deliver(doors.system, "mediation", [crafted(request, "petition", TIER, petition_id, 1)])
    arrived = Story(doors.system, doors.typed)
    arrived.id = petition_id
    (mediation,) = eventually(arrived.mediations, "the crafted request arrives")
    return {"id": mediation["id"], "party_id": mediation["parties"][0]["id"], "service": "mediation"}


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
@pytest.mark.parametrize("name", METHODS)
def test_the_right_token_is_answered_without_personal_data(doors: Doors, name: str) -> None:
    method = METHODS[name]
    reply = answered(doors, method)
    shown = str(MessageToDict(reply, preserving_proto_field_name=True))
    rule = access.rule_of(f"/{method.containing_service.full_name}/{method.name}")
    assert rule is not None
    assert rule.permission
    found = doors.typed.found_in(shown)
    if rule.reveals:
        assert len(found) >= 4, f"{name} reveals nothing: {found}"
    else:
        assert not found, f"{name} shows {found}"
        masked = list(personal_fields(method.output_type))
        assert not masked or "*" in shown, f"{name} declares {masked} and shows none of it masked"


def answered(doors: Doors, method: MethodDescriptor) -> Message:
    """The first good answer that any case in hand gets from this RPC."""
    heard: set[str] = set()
    for _ in range(2):
        for case in doors.cases_for(method):
            for request in requests_for(method, case, doors.typed):
                code, said = doors.call(method, request, doors.token(OFFICER))
                if code is grpc.StatusCode.OK and (said.ByteSize() or not method.output_type.fields):
                    return said  # type: ignore[no-any-return]  # the reply of whatever RPC it is
                heard.add("nothing" if code is grpc.StatusCode.OK else f"{code.name} {statuses.parse(said).message}")
        doors.more_cases()
    raise AssertionError(
        f"{method.full_name} could not be called with any case in hand. Bring a case into the state that it needs in "
        f"Doors.more_cases, or teach requests_by_contract a value. It said: {heard}"
    )
