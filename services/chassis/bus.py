"""What carries events to the services of this tier: RabbitMQ, or the neighbours in this process. One contract.

On either, an event is confirmed when the receiver's side holds it durably, may come twice, and may come in any order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from services.chassis.database import forbid_inside_transaction
from services.chassis.rabbit_publisher import RabbitBus
from services.chassis.streams import LOCAL, Bus, Mailbox, Parcel

__all__ = ["Bus", "LocalBus", "Mailbox", "Parcel", "RabbitBus"]

log = logging.getLogger(__name__)

Receive = Callable[[list[bytes]], object]


class LocalBus:
    """Hands events to neighbours in this process: their inbox is the queue."""

    system = LOCAL

    def __init__(self) -> None:
        self._receivers: dict[str, Receive] = {}

    def register(self, service: str, receive: Receive) -> None:
        """From now on mail for `service` is stored by `receive`, which returns when it is committed."""
        self._receivers[service] = receive

    def publish(self, parcels: Sequence[Parcel]) -> set[str]:
        """Gives each neighbour its mail. What one of them cannot store now is not confirmed and comes again."""
        forbid_inside_transaction("a hand-over to a neighbour")
        confirmed: set[str] = set()
        for service in {parcel.to.service for parcel in parcels}:
            mail = [parcel for parcel in parcels if parcel.to.service == service]
            if self._hand_over(service, mail):
                confirmed |= {parcel.event_id for parcel in mail}
        return confirmed

    def when_ready(self, tell: Callable[[], None]) -> None:
        """A neighbour in this process is always there."""

    def _hand_over(self, service: str, mail: list[Parcel]) -> bool:
        receive = self._receivers.get(service)
        if receive is None:
            log.warning("nobody receives", extra={"fields": {"service": service}})
            return False
        try:
            receive([parcel.body for parcel in mail])
        except Exception as error:
            log.warning(
                "neighbour cannot receive", extra={"fields": {"service": service, "error": type(error).__name__}}
            )
            return False
        return True
