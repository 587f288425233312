"""A mediation and every move it may make. The drawing in the README is the same; a test holds the two together.

APPLIED ── consent ──▶ MEDIATING ── settle ──▶ SETTLED
   │                       └─────── fail ────▶ FAILED
   ├────── refuse ──▶ REFUSED
   └───── withdraw ─▶ WITHDRAWN
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from services.chassis.refusal import IllegalMove, Invalid, NotFound

APPLICANT, RESPONDENT = "applicant", "respondent"


class State(StrEnum):
    """Where a mediation stands."""

    APPLIED = "applied"
    MEDIATING = "mediating"
    REFUSED = "refused"
    SETTLED = "settled"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


# A move that is not listed is refused; a state without a row is an end.
MOVES: dict[State, frozenset[State]] = {
    State.APPLIED: frozenset({State.MEDIATING, State.REFUSED, State.WITHDRAWN}),
    State.MEDIATING: frozenset({State.SETTLED, State.FAILED}),
}
# States in which an officer has it in hand.
IN_HAND = frozenset({State.APPLIED, State.MEDIATING})

NAMES = {
    State.APPLIED: ("征询意愿", "waiting for the parties' consent"),
    State.MEDIATING: ("调解中", "being mediated"),
    State.REFUSED: ("当事人不同意", "refused by a party"),
    State.SETTLED: ("达成协议", "settled"),
    State.FAILED: ("调解不成", "ended without agreement"),
    State.WITHDRAWN: ("已撤回", "withdrawn"),
}


class Consent(StrEnum):
    """A party's answer to the question whether to mediate (人民调解法 art. 3, 17)."""

    ASKED = "asked"
    GIVEN = "given"
    REFUSED = "refused"


class Form(StrEnum):
    """How the agreement was made (人民调解法 art. 28)."""

    ORAL = "oral"
    WRITTEN = "written"


@dataclass
class Party:
    """A party to the dispute: applicant 申请人 or respondent 被申请人."""

    id: str
    side: str
    name: str
    phone: str = ""
    id_no: str = ""
    address: str = ""
    consent: Consent = Consent.ASKED


@dataclass(frozen=True)
class Accepted:
    """All parties agreed; the centre takes the case over."""


@dataclass(frozen=True)
class Refused:
    """A party does not agree, or nobody can be asked; the case goes back with the reason."""

    reason: str


@dataclass(frozen=True)
class Settled:
    """The parties reached an agreement."""

    agreement_no: str
    form: Form


@dataclass(frozen=True)
class Failed:
    """It ended without agreement; the case goes back with the reason."""

    reason: str


@dataclass(frozen=True)
class Returned:
    """A request that had not been accepted is given back as the hall asked."""


@dataclass(frozen=True)
class ClockCrossed:
    """A clock of the mediation turned amber or red."""

    kind: str
    colour: str
    due_on: date


Fact = Accepted | Refused | Settled | Failed | Returned | ClockCrossed


@dataclass
class Mediation:
    """One request to mediate, from the question to the parties to the agreement or the end without one."""

    id: str
    referral_id: str
    petition_id: str
    case_number: str
    # 1 for the case's first mediation, 2 for its second.
    round: int
    division_code: str
    dispute_type: str
    subject: str
    content: str
    referral_reason: str
    unit: str
    accused_unit: str
    applied_at: datetime
    # Counts transfers of ownership, so that an answer from before one is recognised.
    owner_epoch: int
    owner_tier: str
    origin_tier: str
    # Who asked and who was asked: answers go to the first.
    from_tier: str
    to_tier: str
    parties: list[Party]
    state: State = State.APPLIED
    mediator: str = ""
    closed_at: datetime | None = None
    withdrawal_asked_at: datetime | None = None
    petition_due_on: date | None = None
    # `amber` or `red` as the hall last told; empty until it tells.
    petition_colour: str = ""
    reason: str = ""
    form: Form | None = None
    agreement_no: str = ""
    terms: str = ""
    perform_by: date | None = None
    # Who has it in hand: who recorded the first answer, or whom it was handed over to.
    officer: str = ""
    facts: list[Fact] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Every name that the mediation knows; masked wherever they stand in a text."""
        return [party.name for party in self.parties]

    @property
    def obstacle(self) -> str:
        """Why the parties cannot be asked, as told to the hall; empty when they can."""
        sides = {party.side for party in self.parties if party.name.strip()}
        if APPLICANT not in sides:
            return "申请人信息不全,无法征询意愿"
        if RESPONDENT not in sides:
            return "被申请人信息不全,无法征询意愿"
        if self.accused_unit == self.unit:
            return "被检举控告的单位不得办理本件(信访工作条例第三十条)"
        return ""

    @property
    def is_in_hand(self) -> bool:
        """Whether an officer answers for it now."""
        return bool(self.officer) and self.state in IN_HAND

    def take_in_hand(self, officer: str) -> None:
        """Who does the first thing with it answers for it from then on."""
        self.officer = self.officer or officer

    def change_officer(self, to: str) -> None:
        """Another officer answers for it, because the one before leaves."""
        if not self.is_in_hand:
            (zh, en) = NAMES[self.state]
            raise IllegalMove(
                "ILLEGAL_MOVE",
                f"调解案件当前为“{zh}”,没有在办人可移交。",
                f"The mediation is {en}; nobody has it in hand.",
                state=self.state.value,
                allowed_states=",".join(sorted(IN_HAND)),
            )
        self.officer = to

    def refuse_request(self, reason: str, now: datetime) -> None:
        """The centre gives the request back at once, because nobody can be asked; the case stays the hall's."""
        self._may(State.REFUSED)
        self._close(State.REFUSED, now)
        self.reason = reason
        self.facts.append(Refused(reason))

    def consent(self, party_id: str, given: bool, reason: str, now: datetime) -> bool:
        """A party answers: all must agree, one refusing sends the case back. False when the answer was known."""
        party = self._party(party_id)
        if party.consent is (Consent.GIVEN if given else Consent.REFUSED):
            return False
        if given:
            self._give(party)
        else:
            self._refuse(party, reason, now)
        return True

    def settle(
        self, form: Form, terms: str, perform_by: date | None, mediator: str, today: date, now: datetime
    ) -> None:
        """The agreement takes effect (人民调解法 art. 29, 30)."""
        self._may(State.SETTLED)
        if perform_by is not None and perform_by < today:
            raise Invalid("perform_by", "履行期限(perform_by)不能早于今天。", "perform_by must not lie before today.")
        self._close(State.SETTLED, now)
        self._give_back()
        self.form, self.terms, self.perform_by, self.mediator = form, terms, perform_by, mediator
        self.agreement_no = f"{self.case_number}-{self.round}"
        self.facts.append(Settled(self.agreement_no, form))

    def fail(self, reason: str, mediator: str, now: datetime) -> None:
        """Mediation ends without agreement; the parties are told their legal routes (人民调解法 art. 26)."""
        self._may(State.FAILED)
        self._close(State.FAILED, now)
        self._give_back()
        self.reason, self.mediator = reason, mediator
        self.facts.append(Failed(reason))

    def withdraw(self, reason: str, now: datetime) -> bool:
        """The hall asks it back, which an answer given before survives. False when it had asked before."""
        if self.withdrawal_asked_at is not None:
            return False
        self.withdrawal_asked_at = now
        if self.state is State.APPLIED:
            self._close(State.WITHDRAWN, now)
            self.reason = reason
            self.facts.append(Returned())
        return True

    def petition_clock(self, colour: str, due_on: date) -> bool:
        """The hall's clock turned. False when that was known, or comes too late to matter."""
        known = (self.petition_colour, self.petition_due_on) == (colour, due_on)
        if known or self.closed_at is not None:
            return False
        self.petition_colour, self.petition_due_on = colour, due_on
        return True

    def clock_crossed(self, kind: str, colour: str, due_on: date) -> None:
        """A clock of the mediation turned; the hall is told."""
        self.facts.append(ClockCrossed(kind, colour, due_on))

    def _give(self, party: Party) -> None:
        self._may(State.MEDIATING)
        party.consent = Consent.GIVEN
        if all(p.consent is Consent.GIVEN for p in self.parties):
            self.state = State.MEDIATING
            self.owner_tier = self.to_tier
            self.owner_epoch += 1
            self.facts.append(Accepted())

    def _refuse(self, party: Party, reason: str, now: datetime) -> None:
        self._may(State.REFUSED)
        if not reason.strip():
            zh, en = "当事人不同意调解时,请填写理由(reason)。", "Say in reason why the party does not agree."
            raise Invalid("reason", zh, en)
        party.consent = Consent.REFUSED
        self.refuse_request(reason, now)

    def _party(self, party_id: str) -> Party:
        for party in self.parties:
            if party.id == party_id:
                return party
        raise NotFound.thing("该当事人", "party of this mediation", party_id)

    def _close(self, state: State, now: datetime) -> None:
        self.state, self.closed_at = state, now

    def _give_back(self) -> None:
        # The case goes back to the hall: it concludes what was settled and decides anew what failed.
        self.owner_tier = self.from_tier
        self.owner_epoch += 1

    def _may(self, to: State) -> None:
        allowed = MOVES.get(self.state, frozenset())
        if to not in allowed:
            (zh, en), (to_zh, to_en) = NAMES[self.state], NAMES[to]
            raise IllegalMove(
                "ILLEGAL_MOVE",
                f"调解案件当前为“{zh}”,不能变为“{to_zh}”。",
                f"The mediation is {en}, so it cannot become {to_en}.",
                state=self.state.value,
                allowed_states=",".join(sorted(allowed)),
            )
