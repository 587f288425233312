"""The files of a hall's cases, in few words."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from protos.files.v1 import files_pb2
from protos.petition.v1 import attachments_pb2 as pb
from services.petition.adapters.file_room import FileRoom, open_room
from services.petition.adapters.rpc_attachments import AttachmentService
from services.petition.domain.attachment import Quota
from services.petition.tests.hall import Hall

PDF = b"%PDF-1.4\n" + b"well " * 1000
NOBODY: Any = None


def a_photo(side: int = 400, form: str = "JPEG", **more: Any) -> bytes:
    """An image."""
    out = io.BytesIO()
    Image.effect_noise((side, side // 2), 50).convert("RGB").save(out, form, **more)
    return out.getvalue()


class Files:
    """The hall's cabinet: RPC methods called as the interceptors would."""

    def __init__(self, hall: Hall, quota: Quota | None = None, room: FileRoom | None = None) -> None:
        self.hall = hall
        opened = room or open_room(hall.settings, hall.db)
        self.room = FileRoom(opened.blobs, quota or opened.quota, opened.keep_removed)
        self.rpc = AttachmentService(hall.office, self.room)

    def add(
        self, petition_id: str, content: bytes = PDF, name: str = "井.pdf", size: int = 60_000, **header: Any
    ) -> Any:
        """A file is added."""
        options = [files_pb2.UploadOption(key=key, value=value) for key, value in header.pop("options", {}).items()]
        told = files_pb2.UploadHeader(id=petition_id, filename=name, options=options, **header)
        pieces = [files_pb2.Upload(data=content[i : i + size]) for i in range(0, len(content), size)]
        return self.rpc.UploadAttachment(iter([files_pb2.Upload(header=told), *pieces]), NOBODY)

    def listed(self, petition_id: str, **more: Any) -> list[Any]:
        """The first page."""
        return list(self.page(petition_id, **more).attachments)

    def page(self, petition_id: str, **more: Any) -> Any:
        """One page."""
        return self.rpc.ListAttachments(pb.ListAttachmentsRequest(id=petition_id, **more), NOBODY)

    def read(self, petition_id: str, file_id: str, offset: int = 0, length: int = 0) -> Any:
        """A piece of a file."""
        request = files_pb2.ReadRequest(id=petition_id, file_id=file_id, offset=offset, length=length)
        return self.rpc.ReadAttachment(request, NOBODY)

    def thumbnail(self, petition_id: str, file_id: str) -> Any:
        """The small picture."""
        return self.rpc.ReadThumbnail(files_pb2.ReadRequest(id=petition_id, file_id=file_id), NOBODY)

    def remove(self, petition_id: str, file_id: str, reason: str = "传错了") -> Any:
        """A file is removed."""
        request = pb.RemoveAttachmentRequest(id=petition_id, file_id=file_id, reason=reason)
        return self.rpc.RemoveAttachment(request, NOBODY)
