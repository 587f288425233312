"""Requests from one service to another: every move, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from services.chassis import referrals
from services.chassis.database import Database
from services.chassis.referral import Referral, ReferralState
from services.chassis.refusal import IllegalMove, StaleEpoch

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
S = ReferralState
ASKED = {
    "referral_id": "r-1",
    "subject_id": "s-1",
    "from_service": "petition",
    "from_tier": "341702000000",
    "to_service": "mediation",
    "to_tier": "341702000000",
    "owner_epoch": 3,
    "reason": "双方愿意调解",
}


def a_referral(state: ReferralState = S.SENT) -> Referral:
    return Referral("r-1", "out", "s-1", "petition", "t", "mediation", "t", 3, "reason", NOON, state)


MOVES: dict[str, tuple[Callable[[Referral], None], ReferralState, set[ReferralState]]] = {
    "accept": (lambda r: r.accept(NOON, 4), S.ACCEPTED, {S.SENT, S.WITHDRAWING}),
    "refuse": (lambda r: r.refuse(NOON, "no"), S.REFUSED, {S.SENT, S.WITHDRAWING}),
    "finish": (lambda r: r.finish(NOON, "settled"), S.DONE, {S.ACCEPTED}),
    "ask_back": (lambda r: r.ask_back(), S.WITHDRAWING, {S.SENT}),
    "give_back": (lambda r: r.give_back(NOON), S.WITHDRAWN, {S.SENT, S.WITHDRAWING}),
}


@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("move", MOVES)
def test_a_referral_moves_only_as_it_is_drawn(move: str, state: ReferralState) -> None:
    deed, to, allowed_from = MOVES[move]
    referral = a_referral(state)
    if state in allowed_from:
        deed(referral)
        assert referral.state is to
        return
    with pytest.raises(IllegalMove) as refused:
        deed(referral)
    assert refused.value.details["state"] == state.value
    assert referral == a_referral(state)


@pytest.mark.parametrize(("state", "is_open"), [*((s, True) for s in (S.SENT, S.ACCEPTED, S.WITHDRAWING)),
                                                *((s, False) for s in (S.REFUSED, S.DONE, S.WITHDRAWN))])  # fmt: skip
def test_a_closed_referral_waits_for_no_answer(state: ReferralState, is_open: bool) -> None:
    assert a_referral(state).is_open is is_open


def test_an_acceptance_already_given_wins_over_a_withdrawal() -> None:
    referral = a_referral()
    referral.ask_back()
    referral.accept(NOON, 4)
    with pytest.raises(IllegalMove):
        referral.give_back(NOON)
    assert (referral.state, referral.owner_epoch) == (S.ACCEPTED, 4)


def test_an_acceptance_of_an_earlier_epoch_is_void() -> None:
    referral = a_referral()
    with pytest.raises(StaleEpoch):
        referral.accept(NOON, 2)
    assert referral == a_referral()


class TestReferralStore:
    def test_a_request_is_kept_as_it_was_sent(self, db: Database) -> None:
        with db.transaction() as tx:
            sent = referrals.send(tx, **ASKED)  # type: ignore[arg-type]
        with db.transaction() as tx:
            assert referrals.find(tx, "r-1") == sent
            assert referrals.find(tx, "r-2") is None
        assert (sent.direction, sent.state) == ("out", S.SENT)

    def test_a_move_is_kept(self, db: Database) -> None:
        with db.transaction() as tx:
            referrals.send(tx, **ASKED)  # type: ignore[arg-type]
        with db.transaction() as tx:
            referral = referrals.find(tx, "r-1")
            assert referral
            referral.accept(NOON, 4)
            referral.finish(NOON, "达成协议")
            referrals.save(tx, referral)
        with db.transaction() as tx:
            assert referrals.find(tx, "r-1") == referral

    def test_the_same_request_twice_is_the_one_that_is_there(self, db: Database) -> None:
        with db.transaction() as tx:
            taken = referrals.take_in(tx, **ASKED)  # type: ignore[arg-type]
            taken.accept(NOON, 4)
            referrals.save(tx, taken)
        with db.transaction() as tx:
            again = referrals.take_in(tx, **{**ASKED, "reason": "again"})  # type: ignore[arg-type]
        assert again == taken
        assert (again.direction, again.state) == ("in", S.ACCEPTED)

    def test_each_cases_referrals_are_listed_newest_last(self, db: Database) -> None:
        for number, subject in enumerate(["s-1", "s-2", "s-1"]):
            with db.transaction() as tx:
                referrals.send(tx, **{**ASKED, "referral_id": f"r-{9 - number}", "subject_id": subject})  # type: ignore[arg-type]
        with db.reading() as conn:
            found = referrals.of_subjects(conn, ["s-1", "s-2", "s-3"])
            assert [r.id for r in found["s-1"]] == ["r-9", "r-7"]
            assert [r.id for r in found["s-2"]] == ["r-8"]
            assert found["s-3"] == []
            assert referrals.of_subjects(conn, []) == {}
