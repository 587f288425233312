"""Files of cases in and out. Bytes are written as they come; a file is there with the last transaction, or not at all.

An upload passes:  may it come? → bytes to the store, looked at on the way → small picture → one transaction
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import grpc

from protos.files.v1 import files_pb2
from protos.petition.v1 import attachments_pb2 as pb
from protos.petition.v1.attachments_pb2_grpc import AttachmentServiceServicer
from services.chassis import deadlines_of_calls, file_kinds, identity
from services.chassis.ids import uuid7
from services.chassis.uploads import LARGEST, Incoming
from services.petition.adapters import thumbnails
from services.petition.adapters.attachment_store import SqlFiles, SqlKeptFiles
from services.petition.adapters.file_room import FileRoom
from services.petition.adapters.messages import stamp
from services.petition.adapters.rpc import Office
from services.petition.application import attachments as use_cases
from services.petition.application.attachments import Stored, Told
from services.petition.application.queries import PageRequest
from services.petition.domain.attachment import Attachment
from services.petition.domain.petition import Petition

Context = grpc.ServicerContext

PIECE = 256 * 1024
THUMBNAIL_TYPE = "image/jpeg"
# Long enough for two children before this one, short enough that nobody waits for a picture only.
THUMBNAIL_WAIT_S = 30.0
# A range after a range is one look; a look later than this is another.
SAME_LOOK_S = 600.0
REMEMBERED_LOOKS = 4096


class AttachmentService(AttachmentServiceServicer):
    """The RPCs of a case's files."""

    def __init__(self, office: Office, room: FileRoom) -> None:
        self._office = office
        self._room = room
        self._looks = _Looks()

    def UploadAttachment(self, messages: Iterator[files_pb2.Upload], _: Context) -> pb.Attachment:
        incoming = Incoming(messages, LARGEST)
        draft = use_cases.told(incoming.id, incoming.name, incoming.request_id, incoming.options, incoming.said_size)
        earlier, petition = self._expect(draft)
        if earlier is not None:
            return message(use_cases.repeated(earlier, _digest(incoming)), petition)
        stored = self._store(incoming)
        try:
            with self._office.db.transaction() as tx:
                files = SqlKeptFiles(tx, self._room.blobs)
                attachment, petition = use_cases.attach(
                    self._office.work(tx), files, uuid7(), draft, stored, self._room.quota
                )
        except BaseException:
            self._forget(stored)
            raise
        if attachment.blob != stored.blob:
            # The same request was faster on another connection.
            self._forget(stored)
        return message(attachment, petition)

    def ListAttachments(self, request: pb.ListAttachmentsRequest, _: Context) -> pb.ListAttachmentsResponse:
        wanted, caller = PageRequest(request.page_size, request.page_token), identity.current()
        with self._office.db.reading() as conn:
            reads = self._office.reads(conn)
            page = use_cases.list_attachments(
                reads, SqlFiles(conn), caller, request.id, wanted, present_only=request.present_only
            )
        return pb.ListAttachmentsResponse(attachments=map(_shown, page.items), next_page_token=page.next_token)

    def ReadAttachment(self, request: files_pb2.ReadRequest, _: Context) -> files_pb2.Piece:
        found, petition = self._look(request, "file")
        shown = use_cases.masked(found, petition)
        return files_pb2.Piece(
            data=self._read(found.blob, found.size, request), total=found.size, content_type=found.content_type,
            filename=_saved_as(shown.filename), sha256=found.sha256,
        )  # fmt: skip

    def ReadThumbnail(self, request: files_pb2.ReadRequest, _: Context) -> files_pb2.Piece:
        found, petition = self._look(request, "thumbnail")
        if not found.thumbnail:
            raise use_cases.no_file(request.file_id)
        name = Path(_saved_as(use_cases.masked(found, petition).filename)).stem
        return files_pb2.Piece(
            data=self._read(found.thumbnail, found.thumbnail_size, request), total=found.thumbnail_size,
            content_type=THUMBNAIL_TYPE, filename=f"{name}-small.jpg", sha256=found.thumbnail_sha256,
        )  # fmt: skip

    def RemoveAttachment(self, request: pb.RemoveAttachmentRequest, _: Context) -> pb.Attachment:
        with self._office.db.transaction() as tx:
            files = SqlKeptFiles(tx, self._room.blobs)
            work, keep = self._office.work(tx), self._room.keep_removed
            gone, petition = use_cases.remove(work, files, request.id, request.file_id, request.reason, keep)
        return message(gone, petition)

    def _expect(self, draft: Told) -> tuple[Attachment | None, Petition]:
        with self._office.db.reading() as conn:
            reads, files = self._office.reads(conn), SqlFiles(conn)
            earlier = use_cases.expect(reads, files, identity.current(), draft, self._room.quota)
            petition = reads.petition(draft.petition_id)
        assert petition is not None  # noqa: S101 - what was expected of it was asked of it
        return earlier, petition

    def _store(self, incoming: Incoming) -> Stored:
        """The bytes in the store, and what they were found to be. Raises Invalid, and then nothing is left."""
        recogniser = file_kinds.Recogniser(incoming.name)
        with _copy() as copy:
            found: list[str] = []

            def pieces() -> Iterator[bytes]:
                for piece in recogniser.watch(incoming.pieces()):
                    copy.write(piece)
                    yield piece
                found.append(recogniser.found()[1])

            blob = self._room.blobs.write(pieces())
            stored = Stored(found[0], incoming.size, incoming.sha256, blob)
            try:
                return self._with_picture(stored, copy.picture(found[0]))
            except BaseException:
                self._forget(stored)
                raise

    def _with_picture(self, stored: Stored, small: bytes) -> Stored:
        if not small:
            return stored
        digest = hashlib.sha256(small).hexdigest()
        blob = self._room.blobs.write(iter([small]))
        return replace(stored, thumbnail=blob, thumbnail_size=len(small), thumbnail_sha256=digest)

    def _forget(self, stored: Stored) -> None:
        for blob in (stored.blob, stored.thumbnail):
            if blob:
                self._room.blobs.forget(blob)

    def _look(self, request: files_pb2.ReadRequest, what: str) -> tuple[Attachment, Petition]:
        caller = identity.current()
        with self._office.db.reading() as conn:
            reads = self._office.reads(conn)
            found, petition = use_cases.look(reads, SqlFiles(conn), caller, request.id, request.file_id)
        look = (caller.account, found.id, what)
        if self._looks.is_new(look):
            with self._office.db.transaction() as tx:
                use_cases.note_reading(self._office.work(tx), found, what)
            self._looks.note(look)
        return found, petition

    def _read(self, blob: str, size: int, request: files_pb2.ReadRequest) -> bytes:
        length = min(request.length or PIECE, max(0, size - request.offset))
        return self._room.blobs.read(blob, request.offset, length) if length else b""


class _Looks:
    """Which looks at files are in the audit already. Forgetting one costs a row more, never one less."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    def is_new(self, look: tuple[str, str, str]) -> bool:
        """Whether this account looks at this now, and not on from a moment ago."""
        with self._lock:
            return time.monotonic() - self._noted.get(look, float("-inf")) > SAME_LOOK_S

    def note(self, look: tuple[str, str, str]) -> None:
        """The look is in the audit."""
        with self._lock:
            self._noted[look] = time.monotonic()
            self._noted.move_to_end(look)
            if len(self._noted) > REMEMBERED_LOOKS:
                self._noted.popitem(last=False)


class _Copy:
    """An image beside the store while it comes, for the child that makes it small; other files are not copied."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._wanted: bool | None = None

    def write(self, piece: bytes) -> None:
        """Keeps the piece when the file is an image."""
        if self._wanted is None:
            self._wanted = any(file_kinds.is_image(kind.mime) for kind in file_kinds.signed(piece[:4096]))
        if self._wanted:
            self._file.write(piece)

    def picture(self, content_type: str) -> bytes:
        """The small picture; b"" when there is none."""
        if not (self._wanted and file_kinds.is_image(content_type)):
            return b""
        self._file.flush()
        left = deadlines_of_calls.remaining()
        wait = THUMBNAIL_WAIT_S if left is None else min(THUMBNAIL_WAIT_S, left - thumbnails.LIMITS.seconds)
        return thumbnails.of(Path(self._file.name), wait)


@contextmanager
def _copy() -> Iterator[_Copy]:
    with tempfile.NamedTemporaryFile(prefix="zongzhi-", suffix=".image") as file:
        yield _Copy(file)


def _digest(incoming: Incoming) -> str:
    """What a repeated upload holds; its bytes need not come again when the header says it already."""
    if incoming.said_sha256:
        return incoming.said_sha256
    for _ in incoming.pieces():
        pass
    return incoming.sha256


def message(attachment: Attachment, petition: Petition) -> pb.Attachment:
    """A file as an officer sees it: names masked."""
    return _shown(use_cases.masked(attachment, petition))


def _shown(one: Attachment) -> pb.Attachment:
    shown = pb.Attachment(
        id=one.id, petition_id=one.petition_id, filename=one.filename, content_type=one.content_type,
        kind_zh=file_kinds.zh(one.content_type), size=one.size, sha256=one.sha256, note=one.note,
        uploaded_at=stamp(one.uploaded_at), uploaded_by=one.uploaded_by, uploaded_unit=one.uploaded_unit,
        has_thumbnail=bool(one.thumbnail),
    )  # fmt: skip
    if one.removal is not None:
        shown.removed_at.CopyFrom(stamp(one.removal.at))
        shown.removed_by, shown.removed_unit = one.removal.by, one.removal.unit
        shown.removed_reason = one.removal.reason
    return shown


def _saved_as(name: str) -> str:
    """A masked name without the stars that no file may hold."""
    return name.replace("*", "○")
