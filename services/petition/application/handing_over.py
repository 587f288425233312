"""When an officer leaves: the open cases go to a colleague, each with a line in its story."""

from __future__ import annotations

from collections.abc import Iterable

from services.petition.application.ports import Work


def hand_over(work: Work, petition_ids: Iterable[str], from_officer: str, to_officer: str, reason: str) -> int:
    """Moves these cases; one that left the officer's hands meanwhile stays as it is. Returns how many moved."""
    moved = 0
    for petition_id in petition_ids:
        petition = work.petitions.get(petition_id)
        if petition.officer != from_officer or not petition.is_in_hand:
            continue
        petition.change_officer(to_officer)
        work.petitions.save(petition)
        zh, en = f"承办人由 {from_officer} 移交 {to_officer}", f"Handed over from {from_officer} to {to_officer}"
        work.tell(petition.id, "petition.handed_over", zh, en)
        work.record(
            "petition.hand_over", petition.id, from_officer=from_officer, to_officer=to_officer, reason=reason
        )  # fmt: skip
        moved += 1
    return moved
