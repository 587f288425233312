"""Names of streams and queues, and where an event goes. A stream is all mail from one tier to one service of a tier.

On RabbitMQ:   exchange `gov.events` (topic) ── <from_tier>.<to_tier>.<service> ──▶ quorum queue `q.<to_tier>.<service>`
               what cannot be decoded ──▶ exchange `gov.dead` ──▶ `q.<to_tier>.<service>.dead`
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

EVENTS = "gov.events"
DEAD = "gov.dead"
LOCAL = "local"
UP = "up"
# What is said in spans about steps that touch our own outbox and inbox and no broker.
SYSTEM = "zongzhi"
CONTENT_TYPE = "application/x-protobuf"
# RabbitMQ 4 drops after 20 deliveries when nothing is said, and a lost connection counts as one. -1 would mean "no
# limit" there, but makes 3.10 drop at the first. So: a number that no outage reaches.
DELIVERY_LIMIT = 1_000_000
# Division codes (GB/T 10114): digits that name the district, the town, the village.
_LEVELS = (6, 9, 12)


@dataclass(frozen=True)
class Mailbox:
    """Where one service of one tier receives."""

    tier: str
    service: str

    @property
    def queue(self) -> str:
        """Its queue, also the name of its stream in spans."""
        return f"q.{self.tier}.{self.service}"

    @property
    def dead_queue(self) -> str:
        """Where bodies go that it cannot decode."""
        return f"{self.queue}.dead"

    @property
    def address(self) -> str:
        """Its part of every routing key."""
        return f"{self.tier}.{self.service}"

    @property
    def binding(self) -> str:
        """Mail from any tier."""
        return f"*.{self.address}"

    @property
    def arguments(self) -> dict[str, Any]:
        """How the queue is declared; publisher and consumers must say the same. Dead letters do not get lost."""
        return {
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-overflow": "reject-publish",
            "x-dead-letter-exchange": DEAD,
            "x-dead-letter-routing-key": self.address,
            "x-dead-letter-strategy": "at-least-once",
        }

    @property
    def dead_arguments(self) -> dict[str, Any]:
        """How the dead-letter queue is declared."""
        return {"x-queue-type": "quorum"}


@dataclass(frozen=True)
class Parcel:
    """One outbox row on its way: the envelope as it is stored, and what stands on it."""

    event_id: str
    from_tier: str
    to: Mailbox
    body: bytes
    traceparent: str

    @property
    def routing_key(self) -> str:
        """The topic under which RabbitMQ routes it."""
        return f"{self.from_tier}.{self.to.address}"


class Bus(Protocol):
    """What carries events to the services of this tier."""

    # Its name in spans.
    system: str

    def publish(self, parcels: Sequence[Parcel]) -> set[str]:
        """Hands parcels over and returns the ids of the events that are safely stored at the other end."""

    def when_ready(self, tell: Callable[[], None]) -> None:
        """Calls `tell` each time the way is open again, so that nobody waits longer than needed."""


def destination(from_tier: str, to_tier: str) -> str:
    """`local`, `up`, or `down:<child>`: the neighbour in the tree of tiers through which the receiver is reached."""
    if to_tier == from_tier:
        return LOCAL
    own = next(level for level in _LEVELS if not from_tier[level:].strip("0"))
    if to_tier[:own] != from_tier[:own]:
        return UP
    child = next(level for level in _LEVELS if level > own)
    return f"down:{to_tier[:child].ljust(12, '0')}"
