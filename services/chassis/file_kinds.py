"""What a file is, found from its bytes as they pass, and whether its name says the same.

puremagic knows signatures at the beginning. It cannot look inside containers or tell text from noise, so OOXML, OFD and
OLE documents, texts and the brands of MP4 are looked at here. Whatever is not in KINDS (programs, scripts, pages,
archives) is refused.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import puremagic

from services.chassis import file_names
from services.chassis.refusal import Invalid

HEAD = 64 * 1024
ZIP, OLE = b"PK\x03\x04", bytes.fromhex("d0cf11e0a1b11ae1")


@dataclass(frozen=True)
class Kind:
    """A kind of file that may be kept: media type, endings that fit, Chinese name; what marks it inside a container."""

    mime: str
    endings: tuple[str, ...]
    zh: str
    mark: bytes = b""


OOXML = "application/vnd.openxmlformats-officedocument."
IMAGES = (
    Kind("image/jpeg", ("jpg", "jpeg", "jpe", "jfif"), "JPEG 图片"),
    Kind("image/png", ("png",), "PNG 图片"),
    Kind("image/gif", ("gif",), "GIF 图片"),
    Kind("image/webp", ("webp",), "WebP 图片"),
    Kind("image/bmp", ("bmp",), "BMP 图片"),
    Kind("image/tiff", ("tif", "tiff"), "TIFF 图片"),
    Kind("image/heic", ("heic", "heif"), "HEIC 图片"),
)
# Found by what stands at the beginning.
SIGNED = (
    *IMAGES,
    Kind("application/pdf", ("pdf",), "PDF 文档"),
    Kind("application/rtf", ("rtf",), "RTF 文档"),
    Kind("audio/mpeg", ("mp3", "mpga"), "MP3 音频"),
    Kind("audio/wav", ("wav",), "WAV 音频"),
    Kind("audio/amr", ("amr",), "AMR 录音"),
    Kind("audio/aac", ("aac",), "AAC 音频"),
    Kind("audio/flac", ("flac",), "FLAC 音频"),
    Kind("audio/ogg", ("ogg", "oga", "opus"), "Ogg 音频"),
    Kind("audio/mp4", ("m4a",), "M4A 音频"),
    Kind("audio/x-ms-wma", ("wma",), "WMA 音频"),
    Kind("video/mp4", ("mp4", "m4v"), "MP4 视频"),
    Kind("video/quicktime", ("mov",), "MOV 视频"),
    Kind("video/3gpp", ("3gp",), "3GP 视频"),
    Kind("video/x-msvideo", ("avi",), "AVI 视频"),
    Kind("video/x-ms-wmv", ("wmv",), "WMV 视频"),
    Kind("video/webm", ("webm",), "WebM 视频"),
    Kind("video/x-matroska", ("mkv",), "MKV 视频"),
)
ZIPPED = (
    Kind(f"{OOXML}wordprocessingml.document", ("docx",), "Word 文档", b"word/document.xml"),
    Kind(f"{OOXML}spreadsheetml.sheet", ("xlsx",), "Excel 表格", b"xl/workbook.xml"),
    Kind(f"{OOXML}presentationml.presentation", ("pptx",), "PowerPoint 演示文稿", b"ppt/presentation.xml"),
    Kind("application/ofd", ("ofd",), "OFD 版式文档", b"OFD.xml"),
    Kind("application/vnd.oasis.opendocument.text", ("odt",), "ODT 文档", b"opendocument.text"),
    Kind("application/vnd.oasis.opendocument.spreadsheet", ("ods",), "ODS 表格", b"opendocument.spreadsheet"),
)
COMPOUND = (
    Kind("application/msword", ("doc", "wps"), "Word 97 文档", "WordDocument".encode("utf-16-le")),
    Kind("application/vnd.ms-excel", ("xls", "et"), "Excel 97 表格", "Workbook".encode("utf-16-le")),
    Kind("application/vnd.ms-powerpoint", ("ppt", "dps"), "PowerPoint 97 文稿", "PowerPoint ".encode("utf-16-le")),
)
TEXTS = (
    Kind("text/plain", ("txt", "log"), "文本"),
    Kind("text/csv", ("csv",), "CSV 表格"),
)
KINDS = (*SIGNED, *ZIPPED, *COMPOUND, *TEXTS)
TAKEN_ZH = "图片、PDF、OFD、Word、Excel、PowerPoint、WPS 文档、文本、CSV、常见的音频和视频"
TAKEN_EN = "images, PDF, OFD, Word, Excel, PowerPoint and WPS documents, text, CSV, common audio and video"

_MACROS = (b"vbaProject.bin", "_VBA_PROJECT".encode("utf-16-le"))
_MARKS = (*(kind.mark for kind in (*ZIPPED, *COMPOUND)), *_MACROS)
_LONGEST_MARK = max(len(mark) for mark in _MARKS)
_MARKUP = re.compile(rb"<(!doctype|html|head|body|script|svg|iframe|object|embed|\?php|\?xml)\b", re.IGNORECASE).search
# BMP: sizes of the second header that programs have ever written.
_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
_BRANDS = {b"qt": "mov", b"3g": "3gp", b"M4A": "m4a", b"M4B": "m4a"}
_NOT_IN_TEXT = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]").search
_ENCODINGS = ("utf-8", "gb18030")


class Recogniser:
    """Looks at a file's bytes as they pass. `watch` refuses as soon as it is clear that the file cannot be kept."""

    def __init__(self, name: str) -> None:
        self._ending = file_names.ending(name)
        self._head = bytearray()
        self._marks: set[bytes] = set()
        self._tail = b""
        self._decoders: dict[str, codecs.IncrementalDecoder] | None = None
        self._signed: tuple[Kind, ...] | None = None

    def watch(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same bytes. Raises Invalid early when they are of a kind that is not kept, or not what the name says."""
        for piece in pieces:
            if len(self._head) < HEAD:
                self._head += piece[: HEAD - len(self._head)]
            self._look(piece)
            if self._signed is None and len(self._head) >= min(HEAD, 4096):
                self._look_at_head()
            yield piece

    def found(self) -> tuple[Kind, str]:
        """The kind, and its media type with the encoding of a text. Raises Invalid."""
        self._look_at_head()
        candidates = self._candidates()
        if not candidates:
            raise _not_kept()
        fitting = next((kind for kind in candidates if self._ending in kind.endings), None)
        if fitting is None:
            raise _mismatch(self._ending, candidates[0])
        if self._marks.intersection(_MACROS):
            raise _macros()
        return fitting, self._mime(fitting)

    @property
    def _container(self) -> tuple[Kind, ...]:
        if self._head.startswith(ZIP):
            return ZIPPED
        return COMPOUND if self._head.startswith(OLE) else ()

    def _candidates(self) -> list[Kind]:
        if self._container:
            return [kind for kind in self._container if kind.mark in self._marks]
        return list(self._signed or ()) or self._texts()

    def _look(self, piece: bytes) -> None:
        if self._container:
            window = self._tail + piece
            self._marks.update(mark for mark in _MARKS if mark in window)
            self._tail = window[-_LONGEST_MARK:]
        elif not self._signed:
            self._read_text(piece)

    def _look_at_head(self) -> None:
        """Judges by the beginning, as far as it can be judged by it."""
        if self._signed is not None or self._container:
            return
        self._signed = signed(bytes(self._head))
        kinds = list(self._signed) or self._texts()
        if not kinds:
            raise _not_kept()
        if not any(self._ending in kind.endings for kind in kinds):
            raise _mismatch(self._ending, kinds[0])

    def _read_text(self, piece: bytes) -> None:
        if self._decoders is None:
            names = ("utf-16",) if bytes(self._head[:2]) in (b"\xff\xfe", b"\xfe\xff") else _ENCODINGS
            self._decoders = {name: codecs.getincrementaldecoder(name)("strict") for name in names}
        if "utf-16" not in self._decoders and _NOT_IN_TEXT(piece):
            self._decoders = {}
        for name, decoder in tuple(self._decoders.items()):
            try:
                decoder.decode(piece)
            except UnicodeDecodeError:
                del self._decoders[name]

    def _texts(self) -> list[Kind]:
        beginning = bytes(self._head).lstrip(b"\xef\xbb\xbf \t\r\n")
        if not self._decoders or beginning.startswith(b"#!") or _MARKUP(beginning):
            return []
        return list(TEXTS)

    def _mime(self, kind: Kind) -> str:
        encoding = next(iter(self._decoders or ()), "")
        return f"{kind.mime}; charset={encoding}" if kind in TEXTS else kind.mime


def signed(head: bytes) -> tuple[Kind, ...]:
    """The kinds whose signature stands at the beginning; several share one, such as WMA and WMV."""
    endings = {_ending_of_brand(head[8:12])} if head[4:8] == b"ftyp" else _endings(head)
    found = tuple(kind for kind in SIGNED if endings.intersection(kind.endings))
    return tuple(kind for kind in found if kind.mime != "image/bmp" or _is_bmp(head))


def _endings(head: bytes) -> set[str]:
    if len(head) > 3 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:
        return {"mp3"}  # a frame of MPEG audio, layer III
    try:
        return {match.extension.lstrip(".").lower() for match in puremagic.magic_string(head)}
    except puremagic.PureError:
        return set()


def _ending_of_brand(brand: bytes) -> str:
    """ISO base media files say in four letters what they are; most that are nothing else are MP4."""
    if brand in _HEIF_BRANDS:
        return "heic"
    return next((ending for start, ending in _BRANDS.items() if brand.startswith(start)), "mp4")


def _is_bmp(head: bytes) -> bool:
    """Two letters prove nothing: a text may begin with BM."""
    return int.from_bytes(head[14:18], "little") in _BMP_HEADERS


def is_image(mime: str) -> bool:
    """Whether a picture of it can be made small."""
    return mime in {kind.mime for kind in IMAGES}


def zh(mime: str) -> str:
    """The Chinese name of a media type that was found here."""
    bare = mime.partition(";")[0]
    return next((kind.zh for kind in KINDS if kind.mime == bare), bare)


def _not_kept() -> Invalid:
    return Invalid(
        "file",
        f"无法识别该文件的内容,或不接受这类文件。可以上传:{TAKEN_ZH}。",
        f"The content is not recognised or not of a kind that is taken. Taken are {TAKEN_EN}.",
        reason="FILE_TYPE",
    )


def _mismatch(ending: str, kind: Kind) -> Invalid:
    named = f".{ending}" if ending.isascii() and ending.isalnum() and len(ending) <= 8 else "其他扩展名"
    return Invalid(
        "filename",
        f"文件名以 {named} 结尾,内容却是{kind.zh}({kind.mime}),请改用 .{kind.endings[0]} 或换正确的文件。",
        f"The name ends in {named}, the content is {kind.mime}; name it .{kind.endings[0]} or send the right file.",
        reason="FILE_TYPE_MISMATCH",
        content=kind.mime,
    )


def _macros() -> Invalid:
    return Invalid(
        "file",
        "文件含有宏(程序),请另存为不含宏的文件后上传。",
        "The document holds macros; save it without them and send it again.",
        reason="FILE_MACROS",
    )
