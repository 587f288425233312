"""Mediation receiving in each of the ways there are: from the local bus, by pika on a thread, by nameko in its process.

What its listener does is said by the event itself (`reason`: refuse, break, stale), so that any process does the same.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

from services.chassis.applier import Applier
from services.chassis.bus import Bus, LocalBus, RabbitBus
from services.chassis.database import Tx
from services.chassis.listeners import Delivery
from services.chassis.refusal import IllegalMove, StaleEpoch
from services.chassis.tests.mail import Mediation
from services.chassis.worker_pika import PikaConsumer

MODULE = "services.chassis.tests.nameko_consumer"


class Telling(Mediation):
    """A receiver that fails where the event tells it to."""

    def act(self, tx: Tx, event: Any, delivery: Delivery) -> None:
        super().act(tx, event, delivery)
        if event.reason.startswith("refuse"):
            raise IllegalMove("CLOSED", "案件已办结。", "The case is closed.")
        if event.reason.startswith("stale"):
            raise StaleEpoch("STALE_EPOCH", "案件已移交。", "The case changed hands.")
        if event.reason.startswith("break"):
            raise KeyError(event.reason)


class Consumer(Protocol):
    """Brings what the bus carries to mediation."""

    @property
    def bus(self) -> Bus:
        """What the sender sends by."""

    def start(self) -> None:
        """Begins to receive and to apply."""

    def stop(self) -> None:
        """Ends in order."""


class OnLocalBus:
    """No broker: the sender's relay calls the receiver."""

    def __init__(self, mediation: Mediation) -> None:
        self.bus = LocalBus()
        self.applier = Applier(mediation.service)
        self.bus.register("mediation", self.applier.take)

    def start(self) -> None:
        self.applier.start()

    def stop(self) -> None:
        self.applier.stop()


class WithPika:
    """A thread of this process."""

    def __init__(self, mediation: Mediation, url: str) -> None:
        self.bus: RabbitBus = RabbitBus(url, mediation.service.settings.tier)
        self.applier = Applier(mediation.service)
        self.consumer = PikaConsumer(mediation.service, url)

    def start(self) -> None:
        self.applier.start()
        self.consumer.start()

    def stop(self) -> None:
        self.consumer.stop()
        self.applier.stop()


class WithNameko:
    """A process of its own, as eventlet patches what it runs in."""

    def __init__(self, mediation: Mediation, url: str, folder: Path) -> None:
        self.bus = RabbitBus(url, mediation.service.settings.tier)
        self.log = folder / "nameko.log"
        database = mediation.db.url.render_as_string(hide_password=False)
        self._words = [sys.executable, "-m", MODULE, database, url, mediation.service.settings.tier]
        self._process: subprocess.Popen[bytes] | None = None
        self.environment: dict[str, str] = {}

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own module
                self._words, stdout=log, stderr=log, env=os.environ | self.environment
            )

    def stop(self) -> None:
        self.end(signal.SIGTERM)

    def end(self, number: signal.Signals) -> int:
        """Sends a signal and waits for the end; the exit code."""
        return self.wait() if self.send(number) else 0

    def send(self, number: signal.Signals) -> bool:
        """Sends a signal; False when it does not run."""
        if self._process is not None:
            self._process.send_signal(number)
        return self._process is not None

    def wait(self) -> int:
        """Waits for the end; the exit code."""
        process, self._process = self._process, None
        return process.wait(timeout=60) if process else 0
