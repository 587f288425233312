"""Files of a case: added, listed, read, removed. Who may do what with the petition may do it with its files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from services.chassis import file_kinds, paging
from services.chassis.identity import Identity
from services.chassis.masking import mask_text
from services.chassis.refusal import AlreadyExists, Invalid, NotFound
from services.petition.application.ports import Reads, Work
from services.petition.application.queries import Page, PageRequest
from services.petition.application.use_cases import no_petition, seen
from services.petition.domain.attachment import (
    Attachment,
    Quota,
    Removal,
    Usage,
    check_note,
    check_open,
    check_room,
)
from services.petition.domain.petition import Petition
from services.petition.domain.visibility import may_see

OPTIONS = ("note",)


class Files(Protocol):
    """The files of cases, inside of one transaction or one reading."""

    def find(self, petition_id: str, file_id: str) -> Attachment | None:
        """One file of this petition."""

    def by_request(self, petition_id: str, account: str, request_id: str) -> Attachment | None:
        """The file that this account added with this request id."""

    def usage(self, petition_id: str) -> Usage:
        """What the petition holds, without what was removed."""

    def page(self, petition_id: str, before: str, limit: int, *, present_only: bool) -> list[Attachment]:
        """Files whose id is smaller than `before` ("": the newest), newest first."""


class KeptFiles(Files, Protocol):
    """The files of cases, to be changed."""

    def add(self, attachment: Attachment) -> None:
        """Keeps a new file, its bytes and its small picture."""

    def remove(self, attachment: Attachment, bytes_until: datetime) -> None:
        """Keeps the removal; the bytes are deleted when that time has come."""


@dataclass(frozen=True)
class Told:
    """What is known of a file before its bytes have come."""

    petition_id: str
    filename: str
    request_id: str
    note: str
    size: int = 0


@dataclass(frozen=True)
class Stored:
    """What is known of it once they have."""

    content_type: str
    size: int
    sha256: str
    blob: str
    thumbnail: str = ""
    thumbnail_size: int = 0
    thumbnail_sha256: str = ""


def told(petition_id: str, filename: str, request_id: str, options: dict[str, str], size: int) -> Told:
    """What the form says, checked. Raises Invalid for a field that nobody knows."""
    for name in sorted(set(options) - set(OPTIONS)):
        known = "、".join(("sha256", "size", "request_id", *OPTIONS))
        shown = name if name.isascii() and name.isidentifier() else "(form)"
        zh, en = f"表单中没有 {shown} 项,可填 {known}。", f"The form has no field {shown}; known are {known}."
        raise Invalid(shown, zh, en)
    return Told(petition_id, filename, request_id, check_note(options.get("note", "")), size)


def expect(reads: Reads, files: Files, caller: Identity, draft: Told, quota: Quota) -> Attachment | None:
    """Refuses a file that cannot be added before its bytes are taken; the first one when the request is a repeat."""
    petition = _read(reads, caller, draft.petition_id)
    if draft.request_id and (earlier := files.by_request(petition.id, caller.account, draft.request_id)):
        return earlier
    check_open(petition)
    check_room(files.usage(petition.id), quota, max(draft.size, 1))
    return None


def attach(
    work: Work, files: KeptFiles, file_id: str, draft: Told, stored: Stored, quota: Quota
) -> tuple[Attachment, Petition]:
    """The file becomes part of the case, in one step with its line on the timeline."""
    petition = seen(work, draft.petition_id)
    caller = work.identity
    if draft.request_id and (earlier := files.by_request(petition.id, caller.account, draft.request_id)):
        return repeated(earlier, stored.sha256), petition
    check_open(petition)
    check_room(files.usage(petition.id), quota, stored.size)
    attachment = Attachment(
        id=file_id, petition_id=petition.id, filename=draft.filename, note=draft.note, request_id=draft.request_id,
        uploaded_at=work.now, uploaded_by=caller.account, uploaded_unit=caller.unit, **vars(stored),
    )  # fmt: skip
    files.add(attachment)
    kind, weight = file_kinds.zh(stored.content_type), _weight(stored.size)
    zh, en = f"已添加附件({kind},{weight})", f"File added ({stored.content_type}, {weight})"
    work.tell(petition.id, "petition.file_added", zh, en)
    work.record(
        "petition.attach", petition.id, file_id=file_id, content_type=stored.content_type, size=stored.size,
        sha256=stored.sha256,
    )  # fmt: skip
    return attachment, petition


def repeated(earlier: Attachment, sha256: str) -> Attachment:
    """The file that a repeated request added; AlreadyExists when these are other bytes."""
    if earlier.sha256 != sha256:
        raise AlreadyExists(
            "REQUEST_ID_REUSED",
            "该 request_id 已用于另一文件,请换用新的 request_id。",
            "This request_id was used for another file; send a new one.",
            request_id=earlier.request_id,
        )
    return earlier


def list_attachments(
    reads: Reads, files: Files, caller: Identity, petition_id: str, wanted: PageRequest, *, present_only: bool
) -> Page[Attachment]:
    """The files of a case, newest first, masked."""
    petition = _read(reads, caller, petition_id)
    size, narrowed = paging.page_size(wanted.size), f"{petition_id}|{present_only}"
    after = paging.decode_token(wanted.token, narrowed)
    found = files.page(petition_id, after[0] if after else "", size + 1, present_only=present_only)
    token = paging.encode_token((found[size - 1].id,), narrowed) if len(found) > size else ""
    return Page([masked(one, petition) for one in found[:size]], token)


def look(reads: Reads, files: Files, caller: Identity, petition_id: str, file_id: str) -> tuple[Attachment, Petition]:
    """A file that the caller may read. NotFound when there is none, none for them, or it was removed."""
    petition = _read(reads, caller, petition_id)
    found = files.find(petition_id, file_id)
    if found is None or found.removal is not None:
        raise no_file(file_id)
    return found, petition


def note_reading(work: Work, attachment: Attachment, what: str) -> None:
    """Who looked at a file is kept."""
    work.record("petition.read_file", attachment.petition_id, file_id=attachment.id, what=what)


def remove(
    work: Work, files: KeptFiles, petition_id: str, file_id: str, reason: str, keep: timedelta
) -> tuple[Attachment, Petition]:
    """A file leaves the case, and the case remembers that it was there, who removed it and why."""
    petition = seen(work, petition_id)
    found = files.find(petition_id, file_id)
    if found is None:
        raise no_file(file_id)
    if found.removal is not None:
        return found, petition
    gone = found.removed(work.identity, reason.strip(), work.now)
    files.remove(gone, work.now + keep)
    said = mask_text(reason.strip(), petition.names)
    work.tell(petition.id, "petition.file_removed", f"已移除附件,理由:{said}", f"File removed: {said}")
    work.record("petition.remove_file", petition.id, file_id=file_id, sha256=found.sha256)
    return gone, petition


def masked(attachment: Attachment, petition: Petition) -> Attachment:
    """The file as it may be shown: names of the case's persons and numbers in its name, note and reason are masked."""
    removal = attachment.removal

    def hide(text: str) -> str:
        return mask_text(text, petition.names)

    return replace(
        attachment,
        filename=hide(attachment.filename),
        note=hide(attachment.note),
        removal=Removal(removal.at, removal.by, removal.unit, hide(removal.reason)) if removal else None,
    )


def no_file(file_id: str) -> NotFound:
    """There is none, or none for this caller; the two are not told apart."""
    return NotFound.thing("该附件", "file", file_id)


def _read(reads: Reads, caller: Identity, petition_id: str) -> Petition:
    petition = reads.petition(petition_id)
    if petition is None or not may_see(caller, petition):
        raise no_petition(petition_id)
    return petition


def _weight(size: int) -> str:
    return f"{size / (1 << 20):.1f} MB" if size >= 1 << 20 else f"{max(1, size >> 10)} KB"
