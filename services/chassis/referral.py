"""A request from one service or tier to another, as either end sees it.

    SENT ── accept ──▶ ACCEPTED ── finish ──▶ DONE
     │ │                  ▲
     │ └── ask_back ──▶ WITHDRAWING ── give_back ──▶ WITHDRAWN
     │                    │  ▲ an acceptance given before the withdrawal arrived wins
     ├──── refuse ────────┴──▶ REFUSED
     └──── give_back ──▶ WITHDRAWN        (at the receiver, which never saw it as being withdrawn)

The sender owns the case and its clocks until `accepted` arrives. Ownership carries an epoch that grows at every
transfer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.chassis.refusal import IllegalMove, StaleEpoch


class ReferralState(StrEnum):
    """Where a request stands."""

    SENT = "sent"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    DONE = "done"
    WITHDRAWING = "withdrawing"
    WITHDRAWN = "withdrawn"


S = ReferralState
# A move that is not listed is refused; a state without a row is an end.
MOVES: dict[ReferralState, frozenset[ReferralState]] = {
    S.SENT: frozenset({S.ACCEPTED, S.REFUSED, S.WITHDRAWING, S.WITHDRAWN}),
    S.WITHDRAWING: frozenset({S.ACCEPTED, S.REFUSED, S.WITHDRAWN}),
    S.ACCEPTED: frozenset({S.DONE}),
}
STATE_ZH = {
    S.SENT: "已转出", S.ACCEPTED: "对方已接收", S.REFUSED: "对方已退回", S.DONE: "已办回", S.WITHDRAWING: "撤回中",
    S.WITHDRAWN: "已撤回",
}  # fmt: skip


@dataclass
class Referral:
    """One request. `direction` is `out` at the end that asked and `in` at the end that was asked."""

    id: str
    direction: str
    subject_id: str
    from_service: str
    from_tier: str
    to_service: str
    to_tier: str
    owner_epoch: int
    reason: str
    sent_at: datetime
    state: ReferralState = ReferralState.SENT
    answer: str = ""
    answered_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether an answer is still to come; one to a closed referral changes nothing."""
        return self.state in MOVES

    def accept(self, at: datetime, epoch: int) -> None:
        """The receiver takes the case over with this epoch. Wins over a withdrawal that is still on its way."""
        self._check(ReferralState.ACCEPTED)
        if epoch < self.owner_epoch:
            raise StaleEpoch(
                "STALE_EPOCH",
                "案件已转由他处办理,此次接收无效。",
                "The case has changed hands since; this acceptance is void.",
                epoch=str(epoch),
                owner_epoch=str(self.owner_epoch),
            )
        self.state, self.owner_epoch, self.answered_at = ReferralState.ACCEPTED, epoch, at

    def refuse(self, at: datetime, reason: str) -> None:
        """The receiver does not take the case, and says why."""
        self._check(ReferralState.REFUSED)
        self.state, self.answer, self.answered_at = ReferralState.REFUSED, reason, at

    def finish(self, at: datetime, answer: str) -> None:
        """The receiver has done its work, or ended it; the case goes back with the answer."""
        self._check(ReferralState.DONE)
        self.state, self.answer, self.answered_at = ReferralState.DONE, answer, at

    def ask_back(self) -> None:
        """The sender wants the case back while nobody has answered."""
        self._check(ReferralState.WITHDRAWING)
        self.state = ReferralState.WITHDRAWING

    def give_back(self, at: datetime) -> None:
        """The receiver gives back what it had not accepted. After an acceptance: IllegalMove, the acceptance stands."""
        self._check(ReferralState.WITHDRAWN)
        self.state, self.answered_at = ReferralState.WITHDRAWN, at

    def _check(self, to: ReferralState) -> None:
        allowed = MOVES.get(self.state, frozenset())
        if to not in allowed:
            raise IllegalMove(
                "REFERRAL_STATE",
                f"该转办件{STATE_ZH[self.state]},不能变为“{STATE_ZH[to]}”。",
                f"The referral is {self.state}, so it cannot become {to}.",
                state=self.state.value,
                allowed_states=",".join(sorted(allowed)),
            )
