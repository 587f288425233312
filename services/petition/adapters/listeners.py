"""Events in: what the mediation centre answers. One function per event; the decorator is the subscription."""

from __future__ import annotations

from collections.abc import Callable

from protos.mediation.v1.events_pb2 import (
    MediationAccepted,
    MediationClockCrossed,
    MediationFailed,
    MediationRefused,
    MediationReturned,
    MediationSettled,
)
from services.chassis import directory
from services.chassis.database import Tx
from services.chassis.listeners import Delivery, Listeners
from services.petition.adapters import messages
from services.petition.application import answers
from services.petition.application.ports import Work


def listen(work: Callable[[Tx], Work]) -> Listeners:
    """The table of petition's listeners."""
    listeners = Listeners()
    directory.listen(listeners)

    @listeners.on("mediation", MediationAccepted)
    def hand_over(tx: Tx, event: MediationAccepted, _: Delivery) -> None:
        """All parties agreed, so the mediation centre owns the case."""
        answers.mediation_accepted(work(tx), messages.answer(event))

    @listeners.on("mediation", MediationRefused)
    def take_refused_back(tx: Tx, event: MediationRefused, _: Delivery) -> None:
        """A party does not agree, so the case is the hall's again."""
        answers.mediation_refused(work(tx), messages.answer(event))

    @listeners.on("mediation", MediationSettled)
    def conclude_settled(tx: Tx, event: MediationSettled, _: Delivery) -> None:
        """The parties reached an agreement, so the petition is concluded."""
        answers.mediation_settled(work(tx), messages.answer(event), event.agreement_no, event.form)

    @listeners.on("mediation", MediationFailed)
    def take_failed_back(tx: Tx, event: MediationFailed, _: Delivery) -> None:
        """Mediation ended without agreement, so the case is the hall's again."""
        answers.mediation_failed(work(tx), messages.answer(event))

    @listeners.on("mediation", MediationReturned)
    def take_withdrawn_back(tx: Tx, event: MediationReturned, _: Delivery) -> None:
        """The withdrawn request came back before anybody had accepted it."""
        answers.mediation_returned(work(tx), messages.answer(event))

    @listeners.on("mediation", MediationClockCrossed)
    def note_mediation_clock(tx: Tx, event: MediationClockCrossed, _: Delivery) -> None:
        """The mediation centre's own clock turned amber or red."""
        answers.mediation_clock_crossed(work(tx), event.petition_id, event.colour, event.due_on)

    return listeners
