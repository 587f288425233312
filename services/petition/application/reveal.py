"""Personal data in clear, for one officer, for a reason that the case remembers (个人信息保护法 art. 6, 28)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from services.chassis.masking import mask_text
from services.chassis.refusal import Invalid
from services.petition.application.ports import Work
from services.petition.application.use_cases import seen
from services.petition.domain.petition import Person, Petition

REVEALABLE = ("name", "phone", "id_no", "address", "content")
SHORTEST_REASON = 4


@dataclass(frozen=True)
class Revealed:
    """Personal data in clear; only the fields that were asked for are filled."""

    representatives: tuple[Person, ...] = ()
    content: str = ""


def reveal_petition(work: Work, petition_id: str, fields: Iterable[str], reason: str) -> Revealed:
    """An officer looks at personal data in clear, and the case remembers who looked, at what and why."""
    petition = seen(work, petition_id)
    wanted = _wanted(fields)
    if len(reason.strip()) < SHORTEST_REASON:
        raise Invalid("reason", "请填写查看理由(至少 4 个字)。", "Write why you need to see it, at least 4 characters.")
    told = mask_text(reason.strip(), petition.names)
    work.record("petition.reveal", petition.id, fields=wanted, reason=told)
    zh = f"查看个人信息明文({'、'.join(wanted)}),理由:{told}"
    work.tell(petition.id, "petition.revealed", zh, f"Revealed {', '.join(wanted)}: {told}")
    return _revealed(petition, wanted)


def _wanted(fields: Iterable[str]) -> list[str]:
    asked = set(fields)
    unknown = sorted(asked - set(REVEALABLE))
    if unknown or not asked:
        raise Invalid(
            "fields",
            f"可查看的字段为 {'、'.join(REVEALABLE)}。",
            f"The fields that can be revealed are {', '.join(REVEALABLE)}.",
        )
    return [name for name in REVEALABLE if name in asked]


def _revealed(petition: Petition, wanted: list[str]) -> Revealed:
    of_persons = [name for name in wanted if name != "content"]
    shown = tuple(
        Person(**{"name": "", **{name: getattr(person, name) for name in of_persons}})
        for person in petition.representatives
    )
    return Revealed(shown if of_persons else (), petition.content if "content" in wanted else "")
