"""The service over real gRPC with real tokens: permissions, statuses, and no personal data in clear in any reply."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf import text_format
from google.protobuf.message import Message

from protos.petition.v1 import petition_pb2 as pb
from protos.petition.v1.petition_pb2_grpc import PetitionServiceStub
from services.chassis import clients, statuses, tokens
from services.chassis.identity import Identity
from services.chassis.ids import uuid7
from services.chassis.refusal import Forbidden, IllegalMove, Invalid, NotFound, Unauthenticated
from services.chassis.rpc import GrpcServer
from services.petition.adapters.messages import CONTRACT
from services.petition.tests.hall import ANSWERS, COMMAND, NEIGHBOUR, PETITIONER, TIER, Hall, a_registration, an_officer

# Everything about persons that the tests type in, also inside of texts.
TYPED = [
    "王小明", "李大河", "13800001234", "138 0000 1234", "13900005678", "11010519491231002X", "十组", "九组",
]  # fmt: skip


@dataclass
class Counter:
    """A window of the hall: calls with a token, and remembers every reply."""

    stub: Any
    key: Any
    replies: list[tuple[str, Message]]

    def call(self, method: str, request: Message, who: Identity | None = None) -> Any:
        token = tokens.sign(self.key, who or an_officer(), ["petition"])
        try:
            reply = clients.call(getattr(self.stub, method), request, token=token, timeout=10)
        except grpc.RpcError as error:
            raise statuses.from_rpc_error(error) from error
        self.replies.append((method, reply))
        return reply


@pytest.fixture
def counter(hall: Hall, tmp_path: Any) -> Iterator[Counter]:
    """The hall behind a gRPC server on a free port of loopback."""
    tokens.create_keys(tmp_path)
    server = GrpcServer(hall.service, tokens.Verifier(tmp_path / tokens.PUBLIC_FILE, TIER))
    port = server.start()
    with clients.channel(f"127.0.0.1:{port}") as channel:
        yield Counter(PetitionServiceStub(channel), tokens.load_private(tmp_path / tokens.PRIVATE_FILE), [])
    server.stop(0)


def test_no_reply_but_reveal_holds_personal_data_that_was_typed_in(hall, counter):
    everything(hall, counter)
    called = {method for method, _ in counter.replies}
    assert called == {method.name for method in pb.DESCRIPTOR.services_by_name["PetitionService"].methods}
    for method, reply in counter.replies:
        leaked = [typed for typed in TYPED if typed in str_of(reply)]
        assert method == "RevealPetition" or not leaked, (method, leaked)
    assert any("王小明" in str_of(reply) for method, reply in counter.replies if method == "RevealPetition")


def everything(hall: Hall, counter: Counter) -> None:
    """Every RPC once and more, with names and phones in every field that takes text."""
    told = "王小明(电话 138 0000 1234,身份证 11010519491231002X),对方电话 13900005678"
    texts = {"subject": f"关于{told}", "content": told}
    made = [counter.call("RegisterPetition", a_registration(**texts)).petition.id for _ in range(3)]
    conclude, decline, void = made
    counter.call("AcceptPetition", pb.AcceptPetitionRequest(id=conclude))
    # The other side's name is known, and so masked, from the first referral on.
    both = f"{told},李大河"
    for name, answer in (("refused", 1), ("", 0)):
        referred = refer(counter, conclude, both)
        if name:
            hall.hear(ANSWERS[name](referred, answer))
    counter.call("WithdrawReferral", pb.WithdrawReferralRequest(id=conclude, reason=both))
    hall.hear(ANSWERS["returned"](referred, 1))
    hall.hear(ANSWERS["refused"](referred, 1))
    opinion = pb.ConcludePetitionRequest(id=conclude, outcome=pb.OUTCOME_EXPLAINED, opinion=both, legal_basis=both)
    counter.call("ConcludePetition", opinion)
    rating = pb.EvaluatePetitionRequest(id=conclude, satisfaction=pb.SATISFACTION_SATISFIED, comment=both)
    counter.call("EvaluatePetition", rating)
    counter.call("DeclinePetition", pb.DeclinePetitionRequest(id=decline, reason=told, route=pb.ROUTE_JUDICIAL))
    counter.call("VoidPetition", pb.VoidPetitionRequest(id=void, reason=told))
    mover = an_officer(more="hand_over")
    moved = pb.HandOverItemsRequest(from_officer="clerk", to_officer="colleague", reason=told)
    counter.call("ListOfficerItems", pb.ListOfficerItemsRequest(officer="clerk"), mover)
    counter.call("HandOverItems", moved, mover)
    fields = ["name", "phone", "id_no", "address", "content"]
    counter.call("RevealPetition", pb.RevealPetitionRequest(id=conclude, fields=fields, reason=both))
    for petition_id in made:
        counter.call("GetPetition", pb.GetPetitionRequest(id=petition_id))
        counter.call("ListTimeline", pb.ListTimelineRequest(id=petition_id))
    assert len(counter.call("ListPetitions", pb.ListPetitionsRequest()).petitions) == 3
    assert len(counter.call("FindPetitions", pb.FindPetitionsRequest(name="王小明")).petitions) == 3


def refer(counter: Counter, petition_id: str, told: str) -> pb.Petition:
    request = pb.ReferPetitionRequest(
        id=petition_id, request_id=uuid7(), reason=told, dispute_type="邻里", respondents=[NEIGHBOUR]
    )
    return counter.call("ReferPetition", request)


def str_of(message: Message) -> str:
    """All texts of a message, as they are read by people."""
    return text_format.MessageToString(message, as_utf8=True)


def test_a_name_that_becomes_known_later_is_masked_in_older_texts_too(hall, counter):
    petition = counter.call("RegisterPetition", a_registration()).petition
    assert "李大河" in petition.content
    counter.call("AcceptPetition", pb.AcceptPetitionRequest(id=petition.id))
    assert "李**" in refer(counter, petition.id, "协商").content


def test_what_is_masked_is_still_recognised_at_the_counter(counter):
    (person,) = counter.call("RegisterPetition", a_registration()).petition.representatives
    assert (person.name, person.phone) == ("王**", "138****1234")
    assert PETITIONER["id_no"][:4] == person.id_no[:4]


def test_a_case_may_be_followed_from_the_registration_to_the_evaluation(hall, counter):
    registered = counter.call("RegisterPetition", a_registration()).petition
    counter.call("AcceptPetition", pb.AcceptPetitionRequest(id=registered.id))
    referred = refer(counter, registered.id, "双方愿意协商")
    hall.hear(ANSWERS["accepted"](referred, 2))
    hall.hear(ANSWERS["settled"](referred, 3))
    rating = pb.EvaluatePetitionRequest(id=registered.id, satisfaction=pb.SATISFACTION_SATISFIED)
    assert counter.call("EvaluatePetition", rating).state == pb.PETITION_STATE_EVALUATED
    entries = counter.call("ListTimeline", pb.ListTimelineRequest(id=registered.id)).entries
    assert [entry.kind for entry in entries] == [
        "petition.registered", "petition.accepted", "petition.referred", "mediation.accepted", "mediation.settled",
        "petition.evaluated",
    ]  # fmt: skip


SATISFIED = pb.SATISFACTION_SATISFIED


@pytest.mark.parametrize(
    ("make", "method", "kind"),
    [
        (lambda p: pb.GetPetitionRequest(id="none"), "GetPetition", NotFound),
        (lambda p: pb.EvaluatePetitionRequest(id=p, satisfaction=SATISFIED), "EvaluatePetition", IllegalMove),
        (lambda p: a_registration(channel=0), "RegisterPetition", Invalid),
        (lambda p: a_registration(received_on="2999-01-01"), "RegisterPetition", Invalid),
        (lambda p: pb.RevealPetitionRequest(id=p, fields=["name"], reason="看"), "RevealPetition", Invalid),
        (lambda p: pb.ListPetitionsRequest(page_size=-1), "ListPetitions", Invalid),
    ],
)  # fmt: skip
def test_a_refusal_reaches_the_caller_as_what_it_is_and_in_both_languages(counter, make, method, kind):
    petition = counter.call("RegisterPetition", a_registration()).petition
    with pytest.raises(kind) as info:
        counter.call(method, make(petition.id))
    assert info.value.zh
    assert info.value.en
    assert counter.call("GetPetition", pb.GetPetitionRequest(id=petition.id)) == petition


def test_an_illegal_move_carries_the_state_and_the_allowed_states(counter):
    petition = counter.call("RegisterPetition", a_registration()).petition
    with pytest.raises(IllegalMove) as info:
        refer(counter, petition.id, "协商")
    assert info.value.details["state"] == "REGISTERED"
    assert info.value.details["allowed_states"] == "ACCEPTED"


def test_every_rpc_wants_its_permission_and_a_token(counter):
    nobody = Identity("guest", TIER, "341702", frozenset({COMMAND}))
    for method in pb.DESCRIPTOR.services_by_name["PetitionService"].methods:
        request = getattr(pb, method.input_type.name)()
        with pytest.raises(Forbidden):
            counter.call(method.name, request, nobody)
        with pytest.raises(grpc.RpcError) as info:
            getattr(counter.stub, method.name)(request, timeout=10)
        assert isinstance(statuses.from_rpc_error(info.value), Unauthenticated)


def test_another_unit_finds_nothing(counter):
    petition = counter.call("RegisterPetition", a_registration()).petition
    stranger = an_officer(COMMAND)
    for method, request in (
        ("GetPetition", pb.GetPetitionRequest(id=petition.id)),
        ("ListTimeline", pb.ListTimelineRequest(id=petition.id)),
        ("RevealPetition", pb.RevealPetitionRequest(id=petition.id, fields=["name"], reason="核对身份")),
        ("AcceptPetition", pb.AcceptPetitionRequest(id=petition.id)),
    ):
        with pytest.raises(NotFound):
            counter.call(method, request, stranger)
    assert not counter.call("ListPetitions", pb.ListPetitionsRequest(), stranger).petitions
    assert not counter.call("FindPetitions", pb.FindPetitionsRequest(name="王小明"), stranger).petitions


@pytest.mark.parametrize("kind", sorted(CONTRACT, key=str))
def test_every_term_has_its_number_in_the_contract_and_the_other_way_round(kind):
    enum, prefix = CONTRACT[kind]
    assert {f"{prefix}_{term.name}" for term in kind} | {f"{prefix}_UNSPECIFIED"} == set(enum.keys())
