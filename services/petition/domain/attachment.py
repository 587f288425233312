"""A file of a case: there, or removed with a reason. What a case may hold is limited, so that one does not fill a hall.

there ── remove ──▶ removed
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from services.chassis.identity import Identity
from services.chassis.refusal import IllegalMove, Invalid
from services.petition.domain.petition import Petition
from services.petition.domain.terms import STATE_ZH, State

LONGEST_NOTE = 200
_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Quota:
    """How many files a case may hold, and how many bytes together."""

    files: int
    bytes: int


@dataclass(frozen=True)
class Usage:
    """What a case holds by now."""

    files: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Removal:
    """Who took a file out of the case, when and why."""

    at: datetime
    by: str
    unit: str
    reason: str


@dataclass(frozen=True)
class Attachment:
    """One file of a case. Its name and note may hold personal data."""

    id: str
    petition_id: str
    filename: str
    content_type: str
    size: int
    sha256: str
    note: str
    uploaded_at: datetime
    uploaded_by: str
    uploaded_unit: str
    request_id: str
    blob: str
    # The small picture's bytes; "" when there is none.
    thumbnail: str = ""
    thumbnail_size: int = 0
    thumbnail_sha256: str = ""
    removal: Removal | None = None

    def removed(self, caller: Identity, reason: str, now: datetime) -> Attachment:
        """The file as it stands in the list from now on; who removed it first stays."""
        if self.removal is not None:
            return self
        return replace(self, removal=Removal(now, caller.account, caller.unit, reason))


def check_open(petition: Petition) -> None:
    """A voided registration was a mistake; nothing is added to it."""
    if petition.state is State.VOIDED:
        raise IllegalMove(
            "PETITION_STATE",
            f"该信访件{STATE_ZH[petition.state]},不能添加附件。",
            "The petition is voided, so no file can be added.",
            state=petition.state.value,
            allowed_states=",".join(state for state in State if state is not State.VOIDED),
        )


def check_room(usage: Usage, quota: Quota, size: int) -> None:
    """Refuses a file for which the case has no room."""
    if usage.files >= quota.files:
        raise _full(
            f"该信访件已有 {usage.files} 个附件,最多 {quota.files} 个,请先移除不需要的。",
            f"The petition has {usage.files} files, at most {quota.files}; remove what is not needed.",
        )
    if usage.bytes + size > quota.bytes:
        room = max(0, quota.bytes - usage.bytes) / _MEBIBYTE
        raise _full(
            f"该信访件的附件合计最多 {quota.bytes // _MEBIBYTE} MiB,只剩 {room:.1f} MiB,请先移除不需要的或压缩文件。",
            f"The petition's files take at most {quota.bytes // _MEBIBYTE} MiB together and {room:.1f} MiB are left; "
            "remove what is not needed, or compress the file.",
        )


def check_note(note: str) -> str:
    """The note, trimmed. Raises Invalid when it is too long or holds signs that nobody types."""
    bare = note.strip()
    if len(bare) > LONGEST_NOTE:
        zh, en = f"附件说明:最多 {LONGEST_NOTE} 个字,请缩短。", f"note: at most {LONGEST_NOTE} characters; shorten it."
        raise Invalid("note", zh, en)
    if any(not letter.isprintable() for letter in bare):
        zh, en = "附件说明:含有不可见的控制字符,请删除。", "note: holds control characters; remove them."
        raise Invalid("note", zh, en)
    return bare


def _full(zh: str, en: str) -> IllegalMove:
    return IllegalMove("CASE_FILES_FULL", zh, en)
