"""A file that comes as a stream of messages: its header, then its bytes as they arrive, counted and digested."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from services.chassis import file_names
from services.chassis.refusal import Invalid

if TYPE_CHECKING:
    from protos.files.v1.files_pb2 import Upload

LARGEST = 20 * 1024 * 1024
_MEBIBYTE = 1024 * 1024


class Incoming:
    """A file on its way in. `pieces` gives the bytes once; when it ends without a refusal, the file is whole."""

    def __init__(self, messages: Iterable[Upload], most: int = LARGEST) -> None:
        self._messages = iter(messages)
        self._most = most
        self._digest = hashlib.sha256()
        # Bytes that came so far.
        self.size = 0
        header = self._first().header
        self.id: str = header.id
        self.name: str = file_names.clean(header.filename)
        # As the sender says; what counts is the content.
        self.content_type: str = header.content_type
        self.request_id: str = header.request_id.lower()
        self.said_size: int = header.size
        self.said_sha256: str = header.sha256.lower()
        self.options: dict[str, str] = {one.key: one.value for one in header.options}
        if self.said_size > most:
            raise too_large(most)

    @property
    def sha256(self) -> str:
        """The digest of what came so far, in hexadecimal."""
        return self._digest.hexdigest()

    def pieces(self) -> Iterator[bytes]:
        """The bytes in order. Raises Invalid when they are too many, or not the ones that the header announced."""
        for message in self._messages:
            if message.WhichOneof("part") != "data":
                raise _wrong_order()
            self.size += len(message.data)
            if self.size > self._most:
                raise too_large(self._most)
            self._digest.update(message.data)
            if message.data:
                yield message.data
        self._check_whole()

    def _first(self) -> Upload:
        first = next(self._messages, None)
        if first is None or first.WhichOneof("part") != "header":
            raise _wrong_order()
        return first

    def _check_whole(self) -> None:
        if not self.size:
            raise Invalid("file", "文件是空的,请检查后重新上传。", "The file is empty; look at it and send it again.")
        if self.said_size and self.said_size != self.size:
            raise Invalid(
                "size",
                f"收到 {self.size} 字节,与所报 {self.said_size} 字节不符,请重新上传。",
                f"{self.size} bytes came instead of {self.said_size}; send the file again.",
                reason="SIZE_MISMATCH",
            )
        if self.said_sha256 and self.said_sha256 != self.sha256:
            raise Invalid(
                "sha256",
                "收到的内容与所报摘要不符,文件在途中损坏或不是同一个文件,请重新上传。",
                "The bytes have another digest than announced: damaged on the way, or another file. Send it again.",
                reason="DIGEST_MISMATCH",
            )


def too_large(most: int) -> Invalid:
    """More bytes than are taken."""
    return Invalid(
        "file",
        f"文件超过 {most / _MEBIBYTE:g} MiB,请压缩或分成几个文件后上传。",
        f"The file is larger than {most / _MEBIBYTE:g} MiB; compress it or send it in parts.",
        reason="FILE_TOO_LARGE",
    )


def _wrong_order() -> Invalid:
    return Invalid(
        "header",
        "上传须先发文件说明,且只发一次,然后是文件内容。",
        "An upload begins with its header, once, and then holds data only.",
    )
