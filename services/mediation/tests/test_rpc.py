"""The RPCs over real gRPC on loopback: tokens, permissions, field rules, and what a client gets back."""

from __future__ import annotations

from dataclasses import replace

import grpc
import pytest
from google.protobuf.message import Message

from protos.mediation.v1 import mediation_pb2 as pb
from services.mediation.tests.centre import a_mediator
from services.mediation.tests.wire import Wire

NEEDS = {
    "GetMediation": (pb.GetMediationRequest(id="m"), "mediation.read"),
    "ListMediations": (pb.ListMediationsRequest(), "mediation.read"),
    "ListMediationTimeline": (pb.ListMediationTimelineRequest(id="m"), "mediation.read"),
    "RecordConsent": (pb.RecordConsentRequest(id="m", party_id="p", consent=pb.CONSENT_GIVEN), "mediation.handle"),
    "SettleMediation": (
        pb.SettleMediationRequest(id="m", form=pb.AGREEMENT_FORM_ORAL, terms="拆墙"),
        "mediation.handle",
    ),
    "FailMediation": (pb.FailMediationRequest(id="m", reason="分歧太大"), "mediation.handle"),
    "RevealMediation": (pb.RevealMediationRequest(id="m", fields=["name"], reason="核对身份"), "mediation.reveal"),
}
WRONG = [
    ("GetMediation", pb.GetMediationRequest(), ["id"]),
    ("RecordConsent", pb.RecordConsentRequest(), ["id", "party_id", "consent"]),
    ("RecordConsent", pb.RecordConsentRequest(id="m", party_id="p", consent=9), ["consent"]),  # type: ignore[arg-type]
    ("SettleMediation", pb.SettleMediationRequest(id="m"), ["form", "terms"]),
    ("FailMediation", pb.FailMediationRequest(id="m", reason=" "), ["reason"]),
    ("RevealMediation", pb.RevealMediationRequest(id="m", reason="短"), ["fields", "reason"]),
    (
        "ListMediations",
        pb.ListMediationsRequest(page_size=-1, division_prefix="贵池"),
        ["page_size", "division_prefix"],
    ),
    ("ListMediations", pb.ListMediationsRequest(page_token="x"), ["page_token"]),
    *(
        (
            "SettleMediation",
            pb.SettleMediationRequest(id="m", form=pb.AGREEMENT_FORM_ORAL, terms="拆墙", perform_by=day),
            ["perform_by"],
        )
        for day in ("2026-2-3", "2026-02-30", "明天")
    ),
]


@pytest.fixture
def backend() -> str:
    """What these tests ask is the same on every database, and one of its own for each case takes time on PostgreSQL."""
    return "sqlite"


class TestTheWire:
    def test_a_mediation_goes_from_the_question_to_the_agreement(self, wire: Wire):
        opened = wire.centre.open()
        for party in opened.parties:
            request = pb.RecordConsentRequest(id=opened.id, party_id=party.id, consent=pb.CONSENT_GIVEN)
            reply = wire.call("RecordConsent", request)
        assert reply.state == pb.MEDIATION_STATE_MEDIATING
        settling = pb.SettleMediationRequest(
            id=opened.id, form=pb.AGREEMENT_FORM_WRITTEN, terms="拆墙", perform_by="2099-01-01"
        )
        settled = wire.call("SettleMediation", settling)
        assert settled == wire.call("GetMediation", pb.GetMediationRequest(id=opened.id))
        assert (settled.form, settled.perform_by, settled.mediator) == (
            pb.AGREEMENT_FORM_WRITTEN,
            "2099-01-01",
            "mediator",
        )
        lines = wire.call("ListMediationTimeline", pb.ListMediationTimelineRequest(id=opened.id)).entries
        assert [(line.seq, line.actor) for line in lines] == [
            (1, "system:mediation"),
            *((n, "mediator") for n in (2, 3, 4)),
        ]
        assert lines[-1].unit == "341702-SFJ"

    @pytest.mark.parametrize("method", NEEDS)
    def test_each_call_needs_its_permission(self, wire: Wire, method: str):
        request, permission = NEEDS[method]
        every = {needed for _, needed in NEEDS.values()} | {"mediation.read_all"}
        without = replace(a_mediator(), permissions=frozenset(every - {permission}))
        error = wire.error(method, request, without)
        assert (error.code, error.metadata) == ("PERMISSION_DENIED", {"permission": permission})
        only = replace(a_mediator(), permissions=frozenset({permission}))
        if method == "ListMediations":
            assert list(wire.call(method, request, only).mediations) == []
        else:
            assert wire.error(method, request, only).code == "NOT_FOUND"

    @pytest.mark.parametrize(("method", "request_", "fields"), WRONG)
    def test_wrong_fields_are_named_all_at_once_in_both_languages(
        self, wire: Wire, method: str, request_: Message, fields: list[str]
    ):
        error = wire.error(method, request_)
        assert (error.code, [path for path, _ in error.violations]) == ("INVALID_ARGUMENT", fields)
        for _, text in error.violations:
            assert any("\u4e00" <= sign <= "\u9fff" for sign in text)
            assert any(sign.isascii() and sign.isalpha() for sign in text)

    def test_without_a_token_nobody_is_answered(self, wire: Wire):
        with pytest.raises(grpc.RpcError) as info:
            wire.stub.ListMediations(pb.ListMediationsRequest())
        assert info.value.code() is grpc.StatusCode.UNAUTHENTICATED

    def test_a_token_for_another_service_is_not_taken(self, wire: Wire):
        assert wire.error("ListMediations", pb.ListMediationsRequest(), audience="petition").code == "UNAUTHENTICATED"

    def test_a_token_of_another_tier_is_not_taken(self, wire: Wire):
        stranger = replace(a_mediator(), tier="341703000000")
        assert wire.error("ListMediations", pb.ListMediationsRequest(), stranger).code == "UNAUTHENTICATED"

    def test_a_step_that_the_state_forbids_says_which_ones_it_allows(self, wire: Wire):
        opened = wire.centre.open()
        error = wire.error("FailMediation", pb.FailMediationRequest(id=opened.id, reason="分歧太大"))
        assert (error.code, error.reason) == ("FAILED_PRECONDITION", "ILLEGAL_MOVE")
        assert error.metadata == {"state": "applied", "allowed_states": "mediating,refused,withdrawn"}
        assert "征询意愿" in error.message
        assert "waiting for the parties" in error.message
