"""What the person at the keyboard can put right."""

from __future__ import annotations


class FleetMistake(Exception):
    """A sentence in both languages that says what to do."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(f"{zh} {en}")
