"""Who sees a mediation: the same answer in the rule, in the list's SQL, and in every RPC over the wire."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from google.protobuf.message import Message

from protos.mediation.v1 import mediation_pb2 as pb
from services.chassis.identity import Identity
from services.mediation.domain.visibility import may_see
from services.mediation.tests.centre import COMMAND, HALL, JUSTICE, Centre, a_mediator
from services.mediation.tests.wire import Wire

TOWN, OTHER_TOWN = "341702102", "341702103"

BLIND = {
    "of another unit": a_mediator(HALL),
    "of no unit": Identity("nobody", a_mediator().tier, "341702", permissions=a_mediator().permissions),
    "of another town": a_mediator(scope=OTHER_TOWN),
    "of another town who reads all": a_mediator(COMMAND, scope=OTHER_TOWN, more="read_all"),
    "without a scope": a_mediator(scope=""),
    "of the unit complained of who reads all": a_mediator(HALL, more="read_all"),
}


def requests(opened: pb.Mediation) -> dict[str, Message]:
    """One call of each RPC that names a mediation."""
    key, party = opened.id, opened.parties[0].id
    return {
        "GetMediation": pb.GetMediationRequest(id=key),
        "RecordConsent": pb.RecordConsentRequest(id=key, party_id=party, consent=pb.CONSENT_GIVEN),
        "SettleMediation": pb.SettleMediationRequest(id=key, form=pb.AGREEMENT_FORM_ORAL, terms="拆墙"),
        "FailMediation": pb.FailMediationRequest(id=key, reason="分歧太大"),
        "ListMediationTimeline": pb.ListMediationTimelineRequest(id=key),
        "RevealMediation": pb.RevealMediationRequest(id=key, fields=["name"], reason="核对当事人身份"),
    }


class TestOverTheWire:
    @pytest.mark.parametrize("who", BLIND)
    def test_what_is_not_yours_to_see_does_not_exist(self, wire: Wire, who: str):
        opened = wire.centre.open(division_code="341702102001", accused_unit=HALL)
        story = wire.centre.timeline(opened.id)
        for method, request in requests(opened).items():
            refusal = wire.error(method, request, BLIND[who])
            missing = wire.error(method, changed(request, id="none"), BLIND[who])
            assert (refusal.code, refusal.reason) == ("NOT_FOUND", "NOT_FOUND"), method
            assert (refusal.code, refusal.message) == (missing.code, missing.message), method
        listed = wire.call("ListMediations", pb.ListMediationsRequest(), BLIND[who])
        assert (list(listed.mediations), listed.next_page_token) == ([], "")
        assert (wire.centre.timeline(opened.id), wire.centre.get(opened.id)) == (story, opened)

    @pytest.mark.parametrize(
        "who", [a_mediator(), a_mediator(scope=TOWN), a_mediator(COMMAND, more="read_all"), a_mediator(scope="34")]
    )
    def test_the_centre_and_readers_of_all_see_it(self, wire: Wire, who: Identity):
        opened = wire.centre.open(division_code="341702102001", accused_unit=HALL)
        assert wire.call("GetMediation", pb.GetMediationRequest(id=opened.id), who).id == opened.id
        assert [m.id for m in wire.call("ListMediations", pb.ListMediationsRequest(), who).mediations] == [opened.id]


def changed(request: Message, **fields: Any) -> Message:
    """The same request with other fields."""
    copy = type(request)()
    copy.CopyFrom(request)
    for name, value in fields.items():
        setattr(copy, name, value)
    return copy


def test_the_rule_and_its_sql_say_the_same_for_every_caller(centre: Centre):
    """Each unit, scope, permission and accused unit, with one another."""
    for division, accused in product(("341702102001", "341702103001"), ("", HALL, COMMAND)):
        centre.open(division_code=division, accused_unit=accused)
    listed = centre.find()
    with centre.store.transaction() as tx:
        everything = [tx.mediations.at_any_unit(m.id) for m in listed]
    assert len(everything) == 6
    units = (
        frozenset({JUSTICE}),
        frozenset({HALL}),
        frozenset({JUSTICE, HALL}),
        frozenset({COMMAND}),
        frozenset[str](),
    )
    for mine, scope, all_of_them in product(units, ("", "341702", TOWN, OTHER_TOWN, "35"), (True, False)):
        permissions = frozenset({"mediation.read_all"}) if all_of_them else frozenset[str]()
        caller = Identity("anyone", a_mediator().tier, scope, mine, permissions=permissions)
        with centre.as_(caller):
            seen = {m.id for m in centre.find()}
        assert seen == {m.id for m in everything if may_see(caller, m)}, caller
