"""Personal data leaves by Reveal alone: every other reply, over the wire and byte for byte, holds none."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message

from protos.mediation.v1 import mediation_pb2 as pb
from services.chassis.timeline import page
from services.mediation.tests.centre import Centre, a_crossing, a_party, a_request, a_withdrawal
from services.mediation.tests.wire import Wire

NAMES = ("王小明", "欧阳若兰")
SECRETS = (
    *NAMES, "13800001234", "138 0000 1234", "13900005678", "11010519491231002X", "11010519491231002x", "十组7号",
    "九组3号",
)  # fmt: skip
# What a person types into every free text: both names, with spaces too, phones, and an identity number.
TYPED = "王小明、王 小 明(13800001234,138 0000 1234,11010519491231002X)与欧阳若兰(139-0000-5678)有纠纷"


@pytest.fixture
def backend() -> str:
    """What these tests ask is the same on every database, and one of its own for each case takes time on PostgreSQL."""
    return "sqlite"


def a_typed_request(**over: Any) -> Any:
    """A request whose every free text holds personal data."""
    parties = [a_party(), a_party("respondent", name="欧阳若兰", address="贵池区墩上街道河口村九组3号")]
    values = {"subject": TYPED, "content": TYPED, "reason": TYPED, "dispute_type": "邻里(王小明)", "parties": parties}
    return a_request(**{**values, **over})


def holds_nothing(reply: Message) -> None:
    """No text of the reply holds a name, phone, identity number or house that somebody typed."""
    texts = list(texts_of(reply))
    plain = "\n".join((*texts, *("".join(text.split()).replace("-", "") for text in texts)))
    assert plain
    for secret in SECRETS:
        assert secret not in plain, secret


def texts_of(message: Message) -> Any:
    """Every text in a message, those in its parts too."""
    for field, value in message.ListFields():
        for one in value if field.is_repeated else [value]:
            if isinstance(one, Message):
                yield from texts_of(one)
            elif isinstance(one, str):
                yield one


class TestEveryReply:
    def test_but_that_of_reveal_holds_no_personal_data(self, wire: Wire):
        centre, request, gone, back = wire.centre, a_typed_request(), a_typed_request(), a_typed_request()
        centre.hear(request, gone, back, a_crossing(request), a_withdrawal(back, reason=TYPED))
        opened, refusing, withdrawn = (centre.of(one) for one in (request, gone, back))
        first, second = opened.parties
        given: dict[str, Any] = {"id": opened.id, "consent": pb.CONSENT_GIVEN, "reason": TYPED}
        said_no: dict[str, Any] = {"id": refusing.id, "consent": pb.CONSENT_REFUSED, "reason": TYPED}
        replies = [
            wire.call("GetMediation", pb.GetMediationRequest(id=withdrawn.id)),
            wire.call("RecordConsent", pb.RecordConsentRequest(**given, party_id=first.id)),
            wire.call("RecordConsent", pb.RecordConsentRequest(**given, party_id=second.id)),
            wire.call("RecordConsent", pb.RecordConsentRequest(**said_no, party_id=refusing.parties[0].id)),
        ]
        wire.call("RevealMediation", pb.RevealMediationRequest(id=opened.id, fields=["name", "content"], reason=TYPED))
        settling = pb.SettleMediationRequest(id=opened.id, form=pb.AGREEMENT_FORM_ORAL, terms=TYPED)
        replies += [
            wire.call("SettleMediation", settling),
            wire.call("ListMediations", pb.ListMediationsRequest()),
            *(wire.call("GetMediation", pb.GetMediationRequest(id=m.id)) for m in (opened, refusing)),
            *(wire.call("ListMediationTimeline", pb.ListMediationTimelineRequest(id=m.id)) for m in (opened, refusing)),
        ]
        assert replies[3].reason
        assert replies[4].terms
        assert len(replies[5].mediations) == 3
        for reply in replies:
            holds_nothing(reply)

    def test_of_a_failure_neither(self, wire: Wire):
        request = a_typed_request()
        wire.centre.hear(request)
        accepted = wire.centre.accept(wire.centre.of(request))
        reply = wire.call("FailMediation", pb.FailMediationRequest(id=accepted.id, reason=TYPED))
        assert "有纠纷" in reply.reason
        holds_nothing(reply)

    def test_shows_enough_to_recognise_a_person_at_the_counter(self, centre: Centre):
        first, second = centre.open().parties
        assert (first.name, first.phone, second.name) == ("王**", "138****1234", "李**")
        assert first.id_no.startswith("1101")
        assert first.address == "贵池区墩上街道河口村****"

    def test_refusals_repeat_nothing_that_was_typed(self, wire: Wire):
        opened = wire.centre.open()
        long = TYPED * 100
        errors = [
            wire.error("FailMediation", pb.FailMediationRequest(id=opened.id, reason=TYPED)),
            wire.error("FailMediation", pb.FailMediationRequest(id=opened.id, reason=long)),
            wire.error("RevealMediation", pb.RevealMediationRequest(id=opened.id, fields=[TYPED], reason=TYPED)),
            wire.error("ListMediations", pb.ListMediationsRequest(division_prefix="13800001234x")),
        ]
        for error in errors:
            for secret in SECRETS:
                assert secret not in repr(error), error.reason


class TestReveal:
    @pytest.mark.parametrize("field", ["name", "phone", "id_no", "address"])
    def test_shows_one_field_and_hides_the_others(self, wire: Wire, field: str):
        opened = wire.centre.open()
        request = pb.RevealMediationRequest(id=opened.id, fields=[field], reason="核对当事人身份")
        shown = wire.call("RevealMediation", request)
        filled = {
            name for party in shown.parties for name in ("name", "phone", "id_no", "address") if getattr(party, name)
        }
        assert (filled, shown.content) == ({field}, "")
        assert "*" not in getattr(shown.parties[0], field)


def test_the_timeline_and_the_audit_hold_none_at_rest(centre: Centre):
    request = a_typed_request()
    centre.hear(request)
    opened = centre.of(request)
    centre.reveal(opened.id, "name", reason=TYPED)
    centre.refuse(opened, TYPED)
    with centre.db.reading() as conn:
        lines = [entry.text_zh + entry.text_en for entry in page(conn, opened.id, 0, 50)]
    rows = [row.details for kind in ("applied", "reveal", "refused") for row in centre.audited(f"mediation.{kind}")]
    assert (len(lines), len(rows)) == (3, 3)
    for secret in SECRETS:
        assert secret not in "".join((*lines, *rows)), secret
