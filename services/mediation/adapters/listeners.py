"""Events in: what the hall asks of the mediation centre. One function per event; the decorator is the subscription."""

from __future__ import annotations

from datetime import date

from protos.petition.v1.events_pb2 import MediationRequested, MediationWithdrawn, PetitionClockCrossed
from services.chassis import directory
from services.chassis.database import Tx
from services.chassis.listeners import Delivery, Listeners
from services.mediation.adapters import messages
from services.mediation.adapters.store import Store
from services.mediation.application import use_cases


def listen(store: Store) -> Listeners:
    """The table of mediation's listeners, acting on its store."""
    listeners = Listeners()
    directory.listen(listeners)

    @listeners.on("petition", MediationRequested)
    def open_requested_mediation(tx: Tx, event: MediationRequested, delivery: Delivery) -> None:
        """The hall asks; a mediation is opened and the parties will be asked."""
        mediation = messages.mediation_of(
            event, unit=store.unit, from_tier=delivery.from_tier, to_tier=store.tier, now=tx.now
        )
        use_cases.open_mediation(store.within(tx), mediation)

    @listeners.on("petition", MediationWithdrawn)
    def give_withdrawn_request_back(tx: Tx, event: MediationWithdrawn, _: Delivery) -> None:
        """The hall asks it back; an answer given before stands."""
        use_cases.withdraw(store.within(tx), event.referral_id, event.reason)

    @listeners.on("petition", PetitionClockCrossed)
    def show_petition_clock(tx: Tx, event: PetitionClockCrossed, _: Delivery) -> None:
        """The hall's clock turned; the mediator sees how much time is left."""
        due_on = date.fromisoformat(event.due_on)
        use_cases.note_petition_clock(store.within(tx), event.petition_id, event.colour, due_on)

    return listeners
