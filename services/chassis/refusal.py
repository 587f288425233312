"""Every way in which zongzhi says no, with a reason for programs and a sentence for people.

    Refusal
    ├── Invalid           a field is wrong: which one, and what to write instead
    ├── Unauthenticated   nobody we know is asking
    ├── Forbidden         somebody we know asks for what is not theirs to do
    ├── NotFound          there is none, or none that the caller may see
    ├── AlreadyExists     the same request id was used for something else
    ├── IllegalMove       the case is in a state from which this step does not lead on
    ├── StaleEpoch        the case changed hands since the writer last looked
    ├── Conflict          somebody else was faster; trying again may help
    ├── Exhausted         a limit is reached
    ├── TooLate           the caller's deadline has passed; nothing was written
    └── Unavailable       a part that is needed does not answer; trying again later helps

Raise a refusal where the rule lives. `rpc.py` turns it into a gRPC status once, the gateway into a problem document.
"""

from __future__ import annotations

from dataclasses import dataclass


class Refusal(Exception):
    """A no for the caller. `reason` is for programs, `zh` and `en` are for people; none holds personal data."""

    default_reason = "REFUSED"

    def __init__(self, reason: str, zh: str, en: str, **details: str) -> None:
        super().__init__(f"{zh} {en}")
        self.reason = reason or self.default_reason
        self.zh = zh
        self.en = en
        self.details = details

    @property
    def message(self) -> str:
        """The sentence that a person reads: Chinese first, English second."""
        return f"{self.zh} {self.en}"


@dataclass(frozen=True)
class Violation:
    """One field that is wrong: its path, what is wrong with it and what to write instead."""

    field: str
    zh: str
    en: str

    @property
    def message(self) -> str:
        """Chinese first, English second."""
        return f"{self.zh} {self.en}"


class Invalid(Refusal):
    """One or more fields are wrong. Nothing was written."""

    def __init__(
        self, field: str, zh: str, en: str, *more: Violation, reason: str = "FIELD_INVALID", **details: str
    ) -> None:
        self.violations = (Violation(field, zh, en), *more)
        super().__init__(
            reason, "".join(v.zh for v in self.violations), " ".join(v.en for v in self.violations), **details
        )

    @classmethod
    def of(cls, violations: list[Violation]) -> Invalid:
        """All wrong fields at once, so that a person corrects the form once."""
        first, *rest = violations
        return cls(first.field, first.zh, first.en, *rest)


class Unauthenticated(Refusal):
    """Nobody we know is asking: no token, an expired one, or one that another tier signed."""


class Forbidden(Refusal):
    """The caller's roles do not hold the permission."""


class NotFound(Refusal):
    """There is no such thing, or none that the caller may see; the two are not told apart."""

    @classmethod
    def thing(cls, zh: str, en: str, identifier: str) -> NotFound:
        """The usual sentence for a thing that is not there or not the caller's to see."""
        return cls("NOT_FOUND", f"没有找到{zh},或您无权查看。", f"No such {en}, or not yours to see.", id=identifier)


class AlreadyExists(Refusal):
    """The same request id came with another body."""


class IllegalMove(Refusal):
    """The state does not allow this step. Details name `state` and `allowed_states`."""


class StaleEpoch(Refusal):
    """The case changed hands since the writer last looked (`owner_epoch`)."""


class Conflict(Refusal):
    """Two did the same at once and this one lost; reading again and retrying may help."""


class Exhausted(Refusal):
    """A limit is reached: calls at once, numbers in a day, attempts in an hour."""


class TooLate(Refusal):
    """The caller's deadline passed before the commit. Nothing was written."""


class Unavailable(Refusal):
    """A part that is needed does not answer. Nothing was written; trying again later helps."""
