"""The parts of the measurement, raw limits first. Each module has a TITLE and `measure(ground) -> list[Figure]`."""

from __future__ import annotations

from typing import Protocol

from bench.figures import Figure
from bench.ground import Ground
from bench.parts import apply, collector, commit, fleet, gateway, imports, lag, raw, reads, receive, uploads, village


class Part(Protocol):
    """A module of this package."""

    TITLE: str

    def measure(self, ground: Ground) -> list[Figure]:
        """Measures and prints as it goes."""


PARTS: dict[str, Part] = {
    "raw": raw, "commit": commit, "gateway": gateway, "lag": lag, "receive": receive, "apply": apply, "reads": reads,
    "village": village, "uploads": uploads, "imports": imports, "collector": collector, "fleet": fleet,
}  # fmt: skip
