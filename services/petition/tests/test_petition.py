"""The petition's moves, held against the drawing in the README: what is drawn happens, what is not drawn is refused."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.refusal import Forbidden, IllegalMove, Invalid, StaleEpoch
from services.petition.domain.petition import MEDIATION, PETITION, RESPONDENT, Person, Petition
from services.petition.domain.terms import Channel, Outcome, PetitionClass, Route, Satisfaction, State

README = Path(__file__).parent.parent / "README.md"
NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
NEIGHBOUR = Person("李大河", side=RESPONDENT)


def drawn() -> dict[tuple[str, str], str]:
    """The arrows of the README's drawing: (state, verb) → state."""
    block = next(b for b in re.findall(r"```\n(.*?)```", README.read_text("utf-8"), re.S) if "▶" in b)
    arrows = {}
    for line in block.splitlines():
        words = [word for word in re.split(r"[─▶\s]+", line) if word]
        assert len(words) % 2 == 1, line
        for before, verb, after in zip(words[::2], words[1::2], words[2::2], strict=False):
            arrows[before, verb] = after
    return arrows


DRAWING = drawn()
# How each verb of the drawing is said to the aggregate.
SAY: dict[str, Callable[[Petition], None]] = {
    "accept": lambda p: p.accept("341702-XFJ", "clerk"),
    "decline": lambda p: p.decline("属于诉讼事项", Route.JUDICIAL),
    "void": lambda p: p.void("重复登记"),
    "refer": lambda p: p.refer([NEIGHBOUR]),
    "conclude": lambda p: p.conclude(Outcome.SUPPORTED, "支持", "民法典"),
    "hand_over": lambda p: p.hand_over(p.owner_epoch + 1),
    "come_back": lambda p: p.come_back("当事人不同意"),
    "settle": lambda p: p.settle("达成协议", "条例", p.owner_epoch + 1),
    "evaluate": lambda p: p.evaluate(Satisfaction.SATISFIED, ""),
}


def a_petition(**over: object) -> Petition:
    values: dict[str, object] = {
        "id": "p-1", "case_number": "n", "channel": Channel.VISIT, "petition_class": PetitionClass.CLAIM,
        "division_code": "341702102000", "person_count": 1, "subject": "界址", "content": "越界砌墙",
        "received_on": date(2026, 3, 2), "registered_at": NOON, "registered_unit": "341702-XFJ",
        "owner_tier": "341702000000", "origin_tier": "341702000000", "persons": [Person("王小明")],
    }  # fmt: skip
    return Petition(**{**values, **over})  # type: ignore[arg-type]


def test_the_readme_draws_every_state_and_every_verb():
    assert {state for state, _ in DRAWING} | set(DRAWING.values()) == set(State)
    assert {verb for _, verb in DRAWING} == set(SAY)


@given(verbs=st.lists(st.sampled_from(sorted(SAY)), max_size=12))
def test_any_sequence_of_moves_follows_the_drawing(verbs):
    petition, expected = a_petition(), "REGISTERED"
    for verb in verbs:
        if (expected, verb) in DRAWING:
            SAY[verb](petition)
            expected = DRAWING[expected, verb]
        else:
            assert_refused(petition, verb, expected)
        assert petition.state == expected


def assert_refused(petition: Petition, verb: str, state: str) -> None:
    before = copy.deepcopy(petition)
    with pytest.raises(IllegalMove) as info:
        SAY[verb](petition)
    assert petition == before
    assert info.value.details["state"] == state
    assert set(info.value.details["allowed_states"].split(",")) == {s for s, v in DRAWING if v == verb}


@given(verbs=st.lists(st.sampled_from(sorted(SAY)), max_size=12))
def test_the_owner_epoch_never_falls_and_only_mediation_raises_it(verbs):
    petition, epoch = a_petition(), 1
    for verb in verbs:
        moved = (petition.state, verb) in DRAWING
        if moved:
            SAY[verb](petition)
        grown = moved and verb in ("hand_over", "settle")
        assert petition.owner_epoch == epoch + grown
        epoch = petition.owner_epoch


def test_a_refusal_speaks_to_people_in_both_languages():
    with pytest.raises(IllegalMove, match="已登记,不能办结;只有已受理的信访件可以办结。 The petition is REGISTERED"):
        a_petition().conclude(Outcome.SUPPORTED, "支持", "民法典")


def test_the_unit_complained_of_never_handles_the_complaint():
    petition = a_petition(petition_class=PetitionClass.ACCUSATION, accused_unit="341702-RSJ")
    with pytest.raises(Forbidden):
        petition.accept("341702-RSJ", "clerk")
    assert petition.state is State.REGISTERED


def test_a_settlement_is_never_recorded_by_hand():
    petition = a_petition(state=State.ACCEPTED)
    with pytest.raises(Invalid) as info:
        petition.conclude(Outcome.SETTLED, "调解", "条例")
    assert info.value.violations[0].field == "outcome"
    assert petition == a_petition(state=State.ACCEPTED)


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        ({"petition_class": PetitionClass.ACCUSATION}, "ACCUSATION_NOT_REFERRED"),
        ({"persons": []}, "ANONYMOUS_NOT_REFERRED"),
    ],
)
def test_what_is_no_dispute_between_named_parties_is_not_mediated(over, reason):
    petition = a_petition(state=State.ACCEPTED, **over)
    with pytest.raises(IllegalMove) as info:
        petition.refer([NEIGHBOUR])
    assert (info.value.reason, petition.state) == (reason, State.ACCEPTED)


def test_mediation_owns_the_case_from_its_acceptance_until_its_answer():
    petition = a_petition(state=State.MEDIATING)
    assert petition.owner_service == PETITION
    petition.hand_over(2)
    assert (petition.owner_service, petition.owner_epoch, petition.state) == (MEDIATION, 2, State.MEDIATING)
    petition.come_back("调解不成", 3)
    assert (petition.owner_service, petition.owner_epoch, petition.state) == (PETITION, 3, State.ACCEPTED)


@pytest.mark.parametrize("epoch", [0, 1, 3, 99])
@pytest.mark.parametrize("verb", ["hand_over", "come_back", "settle"])
def test_an_answer_whose_epoch_does_not_follow_changes_nothing(verb, epoch):
    petition = a_petition(state=State.MEDIATING)
    say = {
        "hand_over": lambda: petition.hand_over(epoch),
        "come_back": lambda: petition.come_back("", epoch),
        "settle": lambda: petition.settle("", "", epoch),
    }
    with pytest.raises(StaleEpoch):
        say[verb]()
    assert petition == a_petition(state=State.MEDIATING)
