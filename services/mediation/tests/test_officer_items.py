"""A leaving mediator's cases: who has one in hand, listed without personal data, moved to a colleague."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protos.mediation.v1 import mediation_pb2 as pb
from services.chassis.identity import Identity
from services.mediation.tests.centre import COMMAND, JUSTICE, TIER, a_mediator

GATEWAY = Identity(
    "system:gateway", TIER, "341702", permissions=frozenset({"mediation.hand_over", "mediation.read_all"}),
    on_behalf_of="admin",
)  # fmt: skip


def items(centre, caller=GATEWAY, **more):
    with centre.as_(caller):
        return centre.call("ListOfficerItems", pb.ListOfficerItemsRequest(officer="mediator", **more))


def move(centre, caller=GATEWAY, to="colleague"):
    request = pb.HandOverItemsRequest(from_officer="mediator", to_officer=to, reason="调离岗位")
    with centre.as_(caller):
        return centre.call("HandOverItems", request)


def test_who_records_the_first_answer_has_it_in_hand(centre):
    case = centre.open()
    assert centre.get(case.id).officer == ""
    centre.answer(case.id, case.parties[0])
    with centre.as_(a_mediator(account="another")):
        centre.answer(case.id, case.parties[1])
    assert centre.get(case.id).officer == "mediator"


def test_open_mediations_are_listed_with_state_and_due_date_and_no_name(centre):
    case, done = centre.accept(centre.open()), centre.accept(centre.open())
    centre.settle(done.id)
    (item,) = items(centre).items
    assert (item.id, item.case_number, item.unit) == (case.id, case.case_number, JUSTICE)
    assert (item.state, item.state_zh) == ("MEDIATION_STATE_MEDIATING", "调解中")
    assert item.due_on == centre.get(case.id).clocks[0].due_on
    assert "王" not in str(item)


def test_the_list_pages(centre):
    made = sorted(centre.accept(centre.open()).id for _ in range(3))
    first = items(centre, page_size=2)
    second = items(centre, page_size=2, page_token=first.next_page_token)
    assert [item.id for item in (*first.items, *second.items)] == made


def test_handing_over_is_told_audited_and_done_once(centre):
    case = centre.accept(centre.open())
    answer = move(centre)
    assert (answer.moved, answer.left) == (1, 0)
    assert move(centre).moved == 0
    assert centre.get(case.id).officer == "colleague"
    assert centre.kinds(case.id).count("mediation.handed_over") == 1
    (written,) = centre.audited("mediation.hand_over")
    assert (written.on_behalf_of, written.subject_id) == ("admin", case.id)


@pytest.mark.parametrize(
    "stranger",
    [replace(a_mediator(COMMAND), permissions=frozenset({"mediation.hand_over"})), replace(GATEWAY, scope="")],
    ids=["another unit", "no scope"],
)
def test_who_may_not_see_a_mediation_neither_lists_nor_moves_it(centre, stranger):
    centre.accept(centre.open())
    assert not items(centre, caller=stranger).items
    assert move(centre, caller=stranger).moved == 0
