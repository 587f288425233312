"""The table of listeners: which function of this service acts on which event of which neighbour.

A listener is a plain function `(tx, event, delivery) -> None`. It knows neither nameko nor pika nor the relay, so
RabbitMQ, a neighbour in the same process and a test call it alike. Its effects, the inbox row and the cursor are one
transaction. Raising a Refusal from a listener is a recorded outcome (`refused`); any other exception holds the
aggregate, which is tried again; StaleEpoch holds it for a person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from google.protobuf.message import Message

from services.chassis.database import Tx

E = TypeVar("E", bound=Message)


@dataclass(frozen=True)
class Delivery:
    """What a listener may know about how an event reached it."""

    event_id: str
    source: str
    from_tier: str
    occurred_at: datetime
    on_behalf_of: str


Listener = Callable[[Tx, Any, Delivery], None]


@dataclass(frozen=True)
class Subscription:
    """One row of the table: the event's source and type, and the function that acts on it."""

    source: str
    event: type[Message]
    act: Listener

    @property
    def type_name(self) -> str:
        """Full name of the event, as the envelope carries it."""
        return str(self.event.DESCRIPTOR.full_name)


class Listeners:
    """The listeners of one service."""

    def __init__(self) -> None:
        self._table: dict[str, Subscription] = {}

    def on(
        self, source: str, event: type[E]
    ) -> Callable[[Callable[[Tx, E, Delivery], None]], Callable[[Tx, E, Delivery], None]]:
        """Subscribes a function to a neighbour's event. The decorator is the subscription, the type the contract."""

        def subscribe(act: Callable[[Tx, E, Delivery], None]) -> Callable[[Tx, E, Delivery], None]:
            subscription = Subscription(source, event, act)
            if subscription.type_name in self._table:
                raise ValueError(f"{subscription.type_name} has a listener already")
            self._table[subscription.type_name] = subscription
            return act

        return subscribe

    def of(self, type_name: str) -> Subscription | None:
        """The listener of an event type; None when this release knows none."""
        return self._table.get(type_name)

    def types(self) -> set[str]:
        """Full names of all events that are listened to."""
        return set(self._table)
