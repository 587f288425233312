"""What the hall says when a petition cannot take a step, and why."""

from __future__ import annotations

from services.chassis.refusal import Forbidden, IllegalMove, Invalid, StaleEpoch
from services.petition.domain.terms import STATE_ZH, State

VERBS = {
    "accept": ("受理", "accepted"),
    "decline": ("不予受理", "declined"),
    "void": ("作废", "voided"),
    "refer": ("转调解", "referred to mediation"),
    "conclude": ("办结", "concluded"),
    "hand_over": ("移交调解", "handed over to mediation"),
    "come_back": ("由调解退回", "given back by mediation"),
    "settle": ("以调解协议办结", "settled"),
    "evaluate": ("评价", "evaluated"),
    "change_officer": ("移交承办人", "given to another officer"),
    "withdraw": ("撤回转办", "asked back from mediation"),
}


def illegal(state: State, verb: str, allowed: list[State]) -> IllegalMove:
    """Says which state the petition is in and in which ones the step is possible."""
    zh, en = VERBS[verb]
    return IllegalMove(
        "PETITION_STATE",
        f"该信访件{STATE_ZH[state]},不能{zh};只有{'、'.join(STATE_ZH[s] for s in allowed)}的信访件可以{zh}。",
        f"The petition is {state}, so it cannot be {en}; only one that is {' or '.join(allowed)} can.",
        state=state.value,
        allowed_states=",".join(allowed),
    )


def accused() -> Forbidden:
    """The unit complained of never handles the complaint."""
    return Forbidden(
        "ACCUSED_UNIT",
        "被检举控告的单位不得承办该信访件(信访工作条例第三十条),请另选承办单位。",
        "The unit complained of must not handle the petition (信访工作条例 art. 30); name another unit.",
    )


def settled_by_hand() -> Invalid:
    """A settlement comes from the mediation centre."""
    return Invalid(
        "outcome",
        "“调解达成协议”只能由调解中心的答复登记,请选择支持、解释说明或不支持。",
        "The mediation centre's answer alone records OUTCOME_SETTLED; choose SUPPORTED, EXPLAINED or NOT_SUPPORTED.",
    )


def not_a_dispute(state: State) -> IllegalMove:
    """An accusation has no two sides that could agree."""
    return IllegalMove(
        "ACCUSATION_NOT_REFERRED",
        "检举控告不属于当事人之间的纠纷,不能转调解(信访工作条例第三十条),请依法转送有权处理的机关。",
        "An accusation is no dispute between parties, so it cannot be mediated (信访工作条例 art. 30); "
        "send it to the competent organ.",
        state=state.value,
        allowed_states="",
    )


def nobody_to_ask(state: State) -> IllegalMove:
    """Mediation needs the consent of both sides."""
    return IllegalMove(
        "ANONYMOUS_NOT_REFERRED",
        "匿名信访没有可征询意愿的当事人,不能转调解(人民调解法第三条、第十七条)。",
        "An anonymous petition has nobody to agree to mediation (人民调解法 art. 3, 17), so it cannot be referred.",
        state=state.value,
        allowed_states="",
    )


def stale(current: int, given: int) -> StaleEpoch:
    """The case changed hands since the writer last looked."""
    return StaleEpoch(
        "STALE_EPOCH",
        f"案件归属已变更:当前为第 {current} 次,来件为第 {given} 次,应为第 {current + 1} 次。",
        f"The case changed hands: its epoch is {current}, the event carries {given} instead of {current + 1}.",
        owner_epoch=str(current),
        given_epoch=str(given),
    )
