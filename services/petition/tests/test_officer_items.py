"""A leaving officer's cases: listed without personal data, moved to a colleague, each move told and audited."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protos.petition.v1 import petition_pb2 as pb
from services.chassis.identity import Identity
from services.petition.tests.hall import COMMAND, HALL, TIER, an_officer, refused

GATEWAY = Identity(
    "system:gateway", TIER, "341702", permissions=frozenset({"petition.hand_over", "petition.read_all"}),
    on_behalf_of="admin",
)  # fmt: skip


def items(hall, officer="clerk", caller=GATEWAY, **more):
    with hall.as_(caller):
        return hall.call("ListOfficerItems", pb.ListOfficerItemsRequest(officer=officer, **more))


def move(hall, caller=GATEWAY, to="colleague"):
    request = pb.HandOverItemsRequest(from_officer="clerk", to_officer=to, reason="调离岗位")
    with hall.as_(caller):
        return hall.call("HandOverItems", request)


def accepted(hall):
    return hall.accept(hall.register().id)


def test_what_is_accepted_and_not_concluded_is_in_the_officers_hands(hall):
    hall.register()
    case, done = accepted(hall), accepted(hall)
    hall.conclude(done.id)
    (item,) = items(hall).items
    assert (item.id, item.case_number, item.unit) == (case.id, case.case_number, HALL)
    assert (item.state, item.state_zh) == ("PETITION_STATE_ACCEPTED", "已受理")
    assert item.due_on == next(clock.due_on for clock in case.clocks if clock.kind == "conclude")
    assert "王" not in str(item)


def test_the_list_pages(hall):
    made = sorted(accepted(hall).id for _ in range(3))
    first = items(hall, page_size=2)
    second = items(hall, page_size=2, page_token=first.next_page_token)
    assert [item.id for item in (*first.items, *second.items)] == made
    assert not second.next_page_token


def test_handing_over_changes_the_officer_and_says_so(hall):
    case = accepted(hall)
    answer = move(hall)
    assert (answer.moved, answer.left) == (1, 0)
    assert hall.get(case.id).officer == "colleague"
    last = hall.timeline(case.id)[-1]
    assert (last.kind, last.actor) == ("petition.handed_over", "system:gateway")
    written = hall.audited("petition.hand_over")[-1]
    assert (written.on_behalf_of, written.subject_id) == ("admin", case.id)
    assert "调离岗位" in written.details


def test_a_repeated_hand_over_moves_nothing_more(hall):
    accepted(hall)
    move(hall)
    again = move(hall)
    assert (again.moved, again.left) == (0, 0)
    assert len(hall.audited("petition.hand_over")) == 1


def test_handing_over_to_oneself_moves_nothing(hall):
    accepted(hall)
    answer = move(hall, to="clerk")
    assert (answer.moved, answer.left) == (0, 1)


@pytest.mark.parametrize(
    "stranger",
    [replace(an_officer(COMMAND, more="hand_over"), permissions=frozenset({"petition.hand_over"})),
     replace(GATEWAY, scope=""), replace(GATEWAY, scope="341721")],
    ids=["another unit", "no scope", "another scope"],
)  # fmt: skip
def test_who_may_not_see_a_case_neither_lists_nor_moves_it(hall, stranger):
    accepted(hall)
    assert not items(hall, caller=stranger).items
    assert move(hall, caller=stranger).moved == 0


def test_a_damaged_page_token_is_refused(hall):
    with refused("FIELD_INVALID"):
        items(hall, page_token="damaged")
