"""A petition and every move it may make.

REGISTERED ── accept ───▶ ACCEPTED ──── refer ────▶ MEDIATING
REGISTERED ── decline ──▶ DECLINED
REGISTERED ── void ─────▶ VOIDED
ACCEPTED ──── conclude ─▶ CONCLUDED ─── evaluate ─▶ EVALUATED
ACCEPTED ──── void ─────▶ VOIDED
MEDIATING ─── hand_over ▶ MEDIATING     the mediation centre took the case over
MEDIATING ─── come_back ▶ ACCEPTED      refused, failed, or given back
MEDIATING ─── settle ───▶ CONCLUDED
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

from services.chassis.refusal import IllegalMove
from services.petition.domain import refusals
from services.petition.domain.terms import Channel, Outcome, PetitionClass, Route, Satisfaction, State

PETITION, MEDIATION = "petition", "mediation"
APPLICANT, RESPONDENT = "applicant", "respondent"

# A move that is not listed is refused.
MOVES: dict[tuple[State, str], State] = {
    (State.REGISTERED, "accept"): State.ACCEPTED,
    (State.REGISTERED, "decline"): State.DECLINED,
    (State.REGISTERED, "void"): State.VOIDED,
    (State.ACCEPTED, "void"): State.VOIDED,
    (State.ACCEPTED, "refer"): State.MEDIATING,
    (State.ACCEPTED, "conclude"): State.CONCLUDED,
    (State.MEDIATING, "hand_over"): State.MEDIATING,
    (State.MEDIATING, "come_back"): State.ACCEPTED,
    (State.MEDIATING, "settle"): State.CONCLUDED,
    (State.CONCLUDED, "evaluate"): State.EVALUATED,
}

# States in which an officer has the case in hand.
IN_HAND = frozenset({State.ACCEPTED, State.MEDIATING})


@dataclass(frozen=True)
class Person:
    """A petitioner, a representative of petitioners, or the other side of a dispute. Personal data."""

    name: str
    phone: str = ""
    id_no: str = ""
    address: str = ""
    id: str = ""
    side: str = APPLICANT


@dataclass(frozen=True)
class MediationRequested:
    """The hall asks the mediation centre to mediate; it keeps the case until the centre accepts."""

    referral_id: str
    petition: Petition
    parties: tuple[Person, ...]
    dispute_type: str
    reason: str
    due_on: date | None


@dataclass(frozen=True)
class MediationWithdrawn:
    """The hall asks a referral back."""

    referral_id: str
    petition_id: str
    owner_epoch: int
    reason: str


@dataclass(frozen=True)
class PetitionClockCrossed:
    """A statutory clock of a referred petition turned amber or red."""

    petition_id: str
    deadline_id: str
    kind: str
    colour: str
    due_on: date


Fact = MediationRequested | MediationWithdrawn | PetitionClockCrossed


@dataclass
class Petition:
    """One registered matter: who came, what is asked, where it stands and who owns it."""

    id: str
    case_number: str
    channel: Channel
    petition_class: PetitionClass
    division_code: str
    person_count: int
    subject: str
    content: str
    received_on: date
    registered_at: datetime
    registered_unit: str
    owner_tier: str
    origin_tier: str
    persons: list[Person] = field(default_factory=list)
    accused_unit: str = ""
    earlier_case_number: str = ""
    state: State = State.REGISTERED
    responsible_unit: str = ""
    officer: str = ""
    outcome: Outcome | None = None
    opinion: str = ""
    legal_basis: str = ""
    reason: str = ""
    route: Route | None = None
    satisfaction: Satisfaction | None = None
    evaluation_comment: str = ""
    owner_service: str = PETITION
    # Counts transfers of ownership, so that an answer from before one is recognised.
    owner_epoch: int = 1
    batch_no: str = ""
    leader_reception: bool = False
    # The same matter again, as the register says.
    repeated: bool = False
    external_no: str = ""
    source_system: str = ""
    import_job_id: str = ""
    # Case number of one of the same day, batch and name.
    suspected_duplicate_of: str = ""

    @property
    def representatives(self) -> list[Person]:
        """The petitioner, or the representatives of a joint visit."""
        return [person for person in self.persons if person.side == APPLICANT]

    @property
    def names(self) -> list[str]:
        """Every name that the case knows, the other side's included; masked wherever they stand in a text."""
        return [person.name for person in self.persons]

    def accept(self, unit: str, officer: str) -> None:
        """A unit takes the matter on, never the one complained of (信访工作条例 art. 30)."""
        after = self._after("accept")
        if self.accused_unit and unit == self.accused_unit:
            raise refusals.accused()
        self.state, self.responsible_unit, self.officer = after, unit, officer

    @property
    def is_in_hand(self) -> bool:
        """Whether an officer answers for it now."""
        return bool(self.officer) and self.state in IN_HAND

    def change_officer(self, to: str) -> None:
        """Another officer answers for it from now on, because the one before leaves."""
        if not self.is_in_hand:
            raise refusals.illegal(self.state, "change_officer", sorted(IN_HAND))
        self.officer = to

    def decline(self, reason: str, route: Route) -> None:
        """The matter belongs to another lawful route, which is named with the reason."""
        self.state = self._after("decline")
        self.reason, self.route = reason, route

    def void(self, reason: str) -> None:
        """The registration was a mistake; it is kept with the reason."""
        self.state = self._after("void")
        self.reason = reason

    def conclude(self, outcome: Outcome, opinion: str, legal_basis: str) -> None:
        """The office gives its written opinion; a settlement is recorded by the mediation centre's answer alone."""
        after = self._after("conclude")
        if outcome is Outcome.SETTLED:
            raise refusals.settled_by_hand()
        self.state, self.outcome = after, outcome
        self.opinion, self.legal_basis = opinion, legal_basis

    def evaluate(self, satisfaction: Satisfaction, comment: str) -> None:
        """The petitioner rates the office's work, once."""
        self.state = self._after("evaluate")
        self.satisfaction, self.evaluation_comment = satisfaction, comment

    def refer(self, respondents: list[Person]) -> None:
        """The mediation centre is asked; an accusation is no dispute between parties (信访工作条例 art. 30)."""
        after = self._after("refer")
        if self.petition_class is PetitionClass.ACCUSATION:
            raise refusals.not_a_dispute(self.state)
        if not self.representatives:
            raise refusals.nobody_to_ask(self.state)
        self.state = after
        # Whoever the petition was referred against before stays known, so that old texts stay masked.
        self.persons = [*self.persons, *respondents]

    def hand_over(self, epoch: int) -> None:
        """The mediation centre took the case over and owns it from now on."""
        self._next_epoch("hand_over", epoch)
        self.owner_service, self.owner_epoch = MEDIATION, epoch

    def come_back(self, reason: str, epoch: int | None = None) -> None:
        """The case is the hall's again, with the reason; an epoch is given when the mediation centre had owned it."""
        after = self._after("come_back")
        if epoch is not None:
            self._next_epoch("come_back", epoch)
            self.owner_epoch = epoch
        self.state, self.reason, self.owner_service = after, reason, PETITION

    def settle(self, opinion: str, legal_basis: str, epoch: int) -> None:
        """The parties agreed (信访工作条例 art. 33): the case is the hall's again, and concluded."""
        self.state = self._next_epoch("settle", epoch)
        self.outcome, self.opinion, self.legal_basis = Outcome.SETTLED, opinion, legal_basis
        self.owner_service, self.owner_epoch = PETITION, epoch

    def check_epoch(self, epoch: int) -> None:
        """Raises StaleEpoch unless this is the transfer that follows the last one."""
        if epoch != self.owner_epoch + 1:
            raise refusals.stale(self.owner_epoch, epoch)

    def check_untransferred(self, epoch: int) -> None:
        """An answer before acceptance carries the request's epoch, or the one that accepting would have given."""
        if epoch not in (self.owner_epoch, self.owner_epoch + 1):
            raise refusals.stale(self.owner_epoch, epoch)

    def refuse_withdrawal(self) -> IllegalMove:
        """The sentence for a withdrawal when nothing unanswered is out."""
        return refusals.illegal(self.state, "withdraw", [State.MEDIATING])

    def _next_epoch(self, verb: str, epoch: int) -> State:
        after = self._after(verb)
        self.check_epoch(epoch)
        return after

    def _after(self, verb: str) -> State:
        after = MOVES.get((self.state, verb))
        if after is None:
            raise refusals.illegal(self.state, verb, [before for before, known in MOVES if known == verb])
        return after
