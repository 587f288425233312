"""multipart/form-data (RFC 7578) as it comes in: fields whole, the file in pieces, nothing kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio import multipart

from gateway.body import PIECE
from gateway.problems import HttpRefusal
from services.chassis.refusal import Invalid

MEDIA_TYPE = "multipart/form-data"
MOST_PARTS = 40
# All fields together, and one part's headers.
MOST_TEXT = 64 * 1024
_LONGEST_BOUNDARY = 200


@dataclass(frozen=True)
class Field:
    """A field of the form."""

    name: str
    value: str


@dataclass(frozen=True)
class File:
    """A file begins; its bytes follow."""

    field: str
    name: str
    content_type: str


Part = Field | File | bytes


def boundary_of(content_type: str) -> bytes:
    """What stands between the parts. Raises HttpRefusal for another type of body, Invalid for a form without it."""
    kind, options = parse_options_header(content_type)
    if kind.lower() != MEDIA_TYPE:
        raise HttpRefusal(
            "UNSUPPORTED_MEDIA_TYPE",
            "请以表单 multipart/form-data 上传,文件放在 file 项中(curl -F file=@文件)。",
            "Send a form, multipart/form-data, with the file in its field `file` (curl -F file=@path).",
            Accept=MEDIA_TYPE,
        )
    boundary = options.get("boundary", "")
    if not boundary or not boundary.isascii() or len(boundary) > _LONGEST_BOUNDARY:
        raise _malformed("Content-Type 中缺少 boundary", "Content-Type names no boundary")
    return boundary.encode("ascii")


def parts(next_piece: Callable[[], bytes], boundary: bytes) -> Iterator[Part]:
    """The form's parts in their order. Raises Invalid when they are no form, or it ends in the middle."""
    decoder = multipart.MultipartDecoder(boundary, PIECE + 2 * MOST_TEXT, max_parts=MOST_PARTS)
    try:
        yield from _Form(decoder).events(next_piece)
    except RequestEntityTooLarge:
        raise _malformed(
            "表单项过多或过长,或没有 Content-Type 所写的分隔行",
            "too many or too long fields, or nowhere the boundary that Content-Type names",
        ) from None
    except (ValueError, UnicodeError, AttributeError):
        raise _malformed("分隔行或项头不完整", "a boundary or a part's header is broken or missing") from None


class _Form:
    """Turns the decoder's events into parts."""

    def __init__(self, decoder: multipart.MultipartDecoder) -> None:
        self._decoder = decoder
        self._field: str | None = None
        self._value = bytearray()
        self._text = 0

    def events(self, next_piece: Callable[[], bytes]) -> Iterator[Part]:
        event: multipart.Event = multipart.NEED_DATA
        while not isinstance(event, multipart.Epilogue):
            event = self._decoder.next_event()
            if isinstance(event, multipart.NeedData):
                self._decoder.receive_data(next_piece() or None)
            else:
                yield from self._parts_of(event)
        # What comes after the form means nothing, but the connection is used again.
        while next_piece():
            pass

    def _parts_of(self, event: multipart.Event) -> Iterator[Part]:
        if isinstance(event, multipart.File):
            self._field = None
            yield File(event.name or "", event.filename, event.headers.get("content-type", ""))
        elif isinstance(event, multipart.Field):
            self._field, self._value = event.name or "", bytearray()
        elif isinstance(event, multipart.Data) and self._field is None:
            if event.data:
                yield event.data
        elif isinstance(event, multipart.Data):
            self._text += len(event.data)
            if self._text > MOST_TEXT:
                raise RequestEntityTooLarge
            self._value += event.data
            if not event.more_data:
                yield Field(str(self._field), self._value.decode("utf-8"))


def _malformed(zh: str, en: str) -> Invalid:
    return Invalid(
        "(body)",
        f"表单内容无法解析:{zh}。请重新上传;表单项须为 UTF-8 编码。",
        f"The form cannot be read: {en}. Send it again; its fields are in UTF-8.",
        reason="FORM_INVALID",
    )
