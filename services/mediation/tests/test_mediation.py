"""The moves of a mediation, held against the drawing in README.md."""

from __future__ import annotations

import re
from copy import deepcopy
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.refusal import IllegalMove, Invalid, NotFound
from services.mediation.domain import mediation as domain
from services.mediation.domain.mediation import (
    Accepted,
    Consent,
    Failed,
    Form,
    Mediation,
    Party,
    Refused,
    Returned,
    Settled,
    State,
)

NOON = datetime(2026, 11, 24, 4, tzinfo=UTC)
TODAY = date(2026, 11, 24)
HALL, CENTRE = "341702102000", "341702000000"
README = Path(domain.__file__).parent.parent / "README.md"
ARROW = re.compile(r"─+ (?P<verb>\w+) ─*▶ (?P<to>[A-Z]+)")
NAME = re.compile(r"[A-Z]{2,}")


def drawing() -> str:
    """The first code block of the README."""
    found = re.search(r"```\n(.*?)```", README.read_text(), re.DOTALL)
    assert found
    return found[1]


def arrows(picture: str) -> dict[tuple[str, str], str]:
    """(state, verb) → state of every arrow. A branch belongs to the state above its corner."""
    above: dict[int, str] = {}
    found = {}
    for line in picture.splitlines():
        for arrow in ARROW.finditer(line):
            left = [name[0] for name in NAME.finditer(line[: arrow.start()])]
            found[left[-1] if left else above[arrow.start() - 1], arrow["verb"]] = arrow["to"]
        above |= {column: name[0] for name in NAME.finditer(line) for column in range(*name.span())}
    return found


ARROWS = arrows(drawing())


def a_mediation(parties: int = 2, accused_unit: str = "") -> Mediation:
    sides = ["applicant", *["respondent"] * (parties - 1)]
    return Mediation(
        id="m-1", referral_id="r-1", petition_id="p-1", case_number="341702X26112400001A", round=2,
        division_code=HALL, dispute_type="邻里", subject="界址", content="界址不清", referral_reason="愿意协商",
        unit="341702-SFJ", accused_unit=accused_unit, applied_at=NOON, owner_epoch=3, owner_tier=HALL,
        origin_tier=HALL, from_tier=HALL, to_tier=CENTRE,
        parties=[Party(f"party-{n}", side, f"张甲{n}") for n, side in enumerate(sides)],
    )  # fmt: skip


def do(mediation: Mediation, verb: str, party: int) -> None:
    """One deed of a mediator or of the hall."""
    party_id = mediation.parties[party % len(mediation.parties)].id
    match verb:
        case "consent":
            mediation.consent(party_id, True, "", NOON)
        case "refuse":
            mediation.consent(party_id, False, "已起诉", NOON)
        case "settle":
            mediation.settle(Form.ORAL, "拆墙", None, "mediator", TODAY, NOON)
        case "fail":
            mediation.fail("分歧太大", "mediator", NOON)
        case _:
            mediation.withdraw("另有安排", NOON)


def expected(before: Mediation, verb: str, party: int) -> State | None:
    """What the drawing says of a deed; None when it forbids it."""
    asked = before.parties[party % len(before.parties)]
    if verb == "consent" and asked.consent is Consent.GIVEN:
        return before.state
    if verb == "refuse" and asked.consent is Consent.REFUSED:
        return before.state
    to = ARROWS.get((before.state.name, verb))
    if to is None:
        # A withdrawal loses to an answer, which is no error.
        return before.state if verb == "withdraw" else None
    others = (p for p in before.parties if p is not asked)
    if verb == "consent" and any(p.consent is not Consent.GIVEN for p in others):
        return before.state
    return State[to]


DEEDS = st.lists(
    st.tuples(st.sampled_from(["consent", "consent", "refuse", "settle", "fail", "withdraw"]), st.integers(0, 3)),
    max_size=9,
)


class TestTheDrawing:
    def test_it_draws_all_states_and_five_moves(self):
        assert {state for state, _ in ARROWS} | set(ARROWS.values()) == {state.name for state in State}
        assert len(ARROWS) == 5

    def test_it_stands_above_the_table_in_the_code_too(self):
        assert domain.__doc__ is not None
        assert arrows(domain.__doc__) == ARROWS

    def test_the_table_of_moves_says_the_same(self):
        table = {(before.name, after.name) for before, afters in domain.MOVES.items() for after in afters}
        assert table == {(before, after) for (before, _), after in ARROWS.items()}

    @given(parties=st.integers(2, 4), deeds=DEEDS)
    def test_every_way_through_a_mediation_follows_the_arrows(self, parties: int, deeds: list[tuple[str, int]]):
        mediation = a_mediation(parties)
        for verb, party in deeds:
            before = deepcopy(mediation)
            to = expected(before, verb, party)
            if to is None:
                with pytest.raises(IllegalMove):
                    do(mediation, verb, party)
                assert mediation == before
            else:
                do(mediation, verb, party)
                assert mediation.state is to
            holds(mediation, before)


def holds(now: Mediation, before: Mediation) -> None:
    """What is true after every deed, allowed or not."""
    ends = {State[name] for name in ARROWS.values()} - {State[state] for state, _ in ARROWS}
    assert (now.closed_at is not None) == (now.state in ends)
    assert now.owner_tier == (CENTRE if now.state is State.MEDIATING else HALL)
    moved = now.state is not before.state
    transferred = moved and now.state in (State.MEDIATING, State.SETTLED, State.FAILED)
    assert now.owner_epoch == before.owner_epoch + (1 if transferred else 0)
    assert len(now.facts) == len(before.facts) + (1 if moved else 0)


class TestConsent:
    def test_when_all_agree_the_centre_owns_the_case_with_the_next_epoch(self):
        mediation = a_mediation()
        mediation.consent("party-0", True, "", NOON)
        assert (mediation.state, mediation.facts) == (State.APPLIED, [])
        mediation.consent("party-1", True, "", NOON)
        assert (mediation.state, mediation.owner_epoch, mediation.owner_tier) == (State.MEDIATING, 4, CENTRE)
        assert mediation.facts == [Accepted()]

    def test_when_one_refuses_the_case_goes_back_and_stays_the_halls(self):
        mediation = a_mediation()
        mediation.consent("party-0", True, "", NOON)
        mediation.consent("party-1", False, "已起诉", NOON)
        assert (mediation.state, mediation.owner_epoch, mediation.owner_tier) == (State.REFUSED, 3, HALL)
        assert (mediation.reason, mediation.facts) == ("已起诉", [Refused("已起诉")])

    def test_who_had_agreed_may_still_refuse_before_the_others_answered(self):
        mediation = a_mediation()
        mediation.consent("party-0", True, "", NOON)
        mediation.consent("party-0", False, "改变主意", NOON)
        assert mediation.state is State.REFUSED

    @pytest.mark.parametrize("reason", ["", "  "])
    def test_a_refusal_needs_a_reason(self, reason: str):
        mediation = a_mediation()
        with pytest.raises(Invalid) as wrong:
            mediation.consent("party-0", False, reason, NOON)
        assert wrong.value.violations[0].field == "reason"
        assert mediation == a_mediation()

    def test_somebody_else_cannot_answer(self):
        with pytest.raises(NotFound):
            a_mediation().consent("party-9", True, "", NOON)

    @pytest.mark.parametrize("given_before", [True, False])
    def test_the_same_answer_again_changes_nothing(self, given_before: bool):
        mediation = a_mediation()
        assert mediation.consent("party-0", given_before, "已起诉", NOON)
        before = deepcopy(mediation)
        assert not mediation.consent("party-0", given_before, "另一理由", NOON)
        assert mediation == before


class TestTheEnd:
    def test_an_agreement_bears_the_cases_number_and_its_round_and_gives_the_case_back(self):
        mediation = mediating()
        mediation.settle(Form.WRITTEN, "拆墙", TODAY, "mediator", TODAY, NOON)
        assert mediation.agreement_no == "341702X26112400001A-2"
        assert mediation.facts == [Settled("341702X26112400001A-2", Form.WRITTEN)]
        assert (mediation.owner_epoch, mediation.owner_tier, mediation.mediator) == (5, HALL, "mediator")

    def test_what_is_to_be_performed_cannot_lie_in_the_past(self):
        mediation = mediating()
        before = deepcopy(mediation)
        with pytest.raises(Invalid):
            mediation.settle(Form.WRITTEN, "拆墙", date(2026, 11, 23), "mediator", TODAY, NOON)
        assert mediation == before

    def test_a_failure_gives_the_case_back_with_its_reason(self):
        mediation = mediating()
        mediation.fail("分歧太大", "mediator", NOON)
        assert (mediation.facts, mediation.owner_epoch) == ([Failed("分歧太大")], 5)

    def test_a_withdrawal_before_the_answer_is_given_back(self):
        mediation = a_mediation()
        assert mediation.withdraw("另有安排", NOON)
        assert (mediation.state, mediation.owner_epoch, mediation.facts) == (State.WITHDRAWN, 3, [Returned()])

    def test_a_withdrawal_after_the_answer_is_only_noted(self):
        mediation = mediating()
        assert mediation.withdraw("另有安排", NOON)
        assert (mediation.state, mediation.facts, mediation.reason) == (State.MEDIATING, [], "")

    def test_a_second_withdrawal_says_nothing_new(self):
        mediation = a_mediation()
        mediation.withdraw("另有安排", NOON)
        assert not mediation.withdraw("另一理由", NOON)
        assert (mediation.reason, len(mediation.facts)) == ("另有安排", 1)


class TestWhoCanBeAsked:
    def test_two_named_sides_can_be_asked(self):
        assert a_mediation().obstacle == ""

    @pytest.mark.parametrize(
        ("parties", "reason"),
        [
            ([], "申请人信息不全,无法征询意愿"),
            ([Party("1", "respondent", "李大河")], "申请人信息不全,无法征询意愿"),
            ([Party("1", "applicant", " "), Party("2", "respondent", "李大河")], "申请人信息不全,无法征询意愿"),
            ([Party("1", "applicant", "王小明")], "被申请人信息不全,无法征询意愿"),
        ],
    )
    def test_a_side_without_a_name_cannot(self, parties: list[Party], reason: str):
        mediation = a_mediation()
        mediation.parties = parties
        assert mediation.obstacle == reason

    def test_the_unit_complained_of_cannot_mediate(self):
        assert "被检举控告" in a_mediation(accused_unit="341702-SFJ").obstacle


def mediating() -> Mediation:
    mediation = a_mediation()
    for party in mediation.parties:
        mediation.consent(party.id, True, "", NOON)
    mediation.facts.clear()
    return mediation
