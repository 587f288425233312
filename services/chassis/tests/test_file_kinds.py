"""What a file is, by its bytes, whatever its name says."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

import openpyxl
import pytest
from PIL import Image

from services.chassis.file_kinds import KINDS, OLE, OOXML, Recogniser
from services.chassis.refusal import Invalid


def image(form: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(out, form)
    return out.getvalue()


def pdf() -> bytes:
    return b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF\n"


def xlsx() -> bytes:
    out = io.BytesIO()
    openpyxl.Workbook().save(out)
    return out.getvalue()


def zipped(*names: str, stored: str = "") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        if stored:
            archive.writestr("mimetype", stored)
        for name in names:
            archive.writestr(name, "x" * 100_000)
    return out.getvalue()


def compound(*streams: str) -> bytes:
    return OLE + bytes(100_000) + b"".join(name.encode("utf-16-le") + bytes(64) for name in streams)


def box(brand: bytes) -> bytes:
    return b"\0\0\0\x18ftyp" + brand + bytes(100)


WORD, SLIDES = f"{OOXML}wordprocessingml.document", f"{OOXML}presentationml.presentation"
FILES = [
    ("a.jpg", image("JPEG"), "image/jpeg"),
    ("a.JPEG", image("JPEG"), "image/jpeg"),
    ("a.png", image("PNG"), "image/png"),
    ("a.gif", image("GIF"), "image/gif"),
    ("a.webp", image("WEBP"), "image/webp"),
    ("a.bmp", image("BMP"), "image/bmp"),
    ("a.tif", image("TIFF"), "image/tiff"),
    ("a.heic", box(b"heic"), "image/heic"),
    ("a.pdf", pdf(), "application/pdf"),
    ("a.rtf", b"{\\rtf1\\ansi well}", "application/rtf"),
    ("a.xlsx", xlsx(), f"{OOXML}spreadsheetml.sheet"),
    ("a.docx", zipped("[Content_Types].xml", "word/document.xml"), WORD),
    ("a.pptx", zipped("[Content_Types].xml", "ppt/presentation.xml"), SLIDES),
    ("a.ofd", zipped("OFD.xml", "Doc_0/Document.xml"), "application/ofd"),
    ("a.odt", zipped("content.xml", stored="application/vnd.oasis.opendocument.text"),
     "application/vnd.oasis.opendocument.text"),
    ("a.doc", compound("Root Entry", "WordDocument"), "application/msword"),
    ("a.wps", compound("Root Entry", "WordDocument"), "application/msword"),
    ("a.xls", compound("Root Entry", "Workbook"), "application/vnd.ms-excel"),
    ("a.ppt", compound("Root Entry", "PowerPoint Document"), "application/vnd.ms-powerpoint"),
    ("a.mp3", b"ID3\x03\0" + bytes(100), "audio/mpeg"),
    ("a.mp3", b"\xff\xfb\x90\x00" + bytes(100), "audio/mpeg"),
    ("a.wav", b"RIFF\x24\0\0\0WAVEfmt " + bytes(100), "audio/wav"),
    ("a.amr", b"#!AMR\n" + bytes(100), "audio/amr"),
    ("a.m4a", box(b"M4A "), "audio/mp4"),
    ("a.mp4", box(b"mp42"), "video/mp4"),
    ("a.mp4", box(b"isom"), "video/mp4"),
    ("a.mp4", box(b"iso5"), "video/mp4"),
    ("a.heic", box(b"mif1"), "image/heic"),
    ("a.mp3", b"\xff\xf3\x90\x00" + bytes(100), "audio/mpeg"),
    ("a.aac", b"\xff\xf1\x50\x80" + bytes(100), "audio/aac"),
    ("a.mov", box(b"qt  "), "video/quicktime"),
    ("a.3gp", box(b"3gp4"), "video/3gpp"),
    ("a.avi", b"RIFF\x24\0\0\0AVI LIST" + bytes(100), "video/x-msvideo"),
    ("a.txt", "来访日期,批次\n".encode(), "text/plain; charset=utf-8"),
    ("a.txt", "来访日期,批次\n".encode("gb18030") * 20_000, "text/plain; charset=gb18030"),
    ("a.txt", "井干了".encode("utf-16"), "text/plain; charset=utf-16"),
    ("a.txt", b"BM is what this text begins with, and it is no image", "text/plain; charset=utf-8"),
    ("a.csv", b"\xef\xbb\xbfdate,count\r\n", "text/csv; charset=utf-8"),
    ("a.txt", b"1", "text/plain; charset=utf-8"),
]  # fmt: skip
FOREIGN = [
    ("a.jpg", b"MZ" + bytes(5000)), ("a.exe", b"MZ" + bytes(5000)), ("a.png", b"\x7fELF" + bytes(5000)),
    ("a.txt", b"<html><body>well</body></html>"), ("a.txt", b"  <!DOCTYPE html><p>"),
    ("a.csv", b"a,<script>x</script>"),
    ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"), ("a.txt", b"<?xml version='1.0'?><a/>"),
    ("a.txt", b"#!/bin/sh\nrm -rf /\n"), ("a.txt", b"\xef\xbb\xbf#!/bin/sh\n"), ("a.zip", zipped("a.txt", "b.exe")),
    ("a.docx", zipped("a.txt")), ("a.doc", compound("Root Entry", "Installer")), ("a.txt", bytes(5000)),
    ("a.txt", b"a" * 200_000 + b"\x00"), ("a.txt", b"\xff\xfe\xfd\xdc" * 9000),
    ("a.rar", b"Rar!\x1a\x07\x00" + bytes(50)),
    ("a.bmp", b"BM" + bytes(5000)),
]  # fmt: skip


def str_only(value: object) -> str:
    return value if isinstance(value, str) else "bytes"


def found(name: str, content: bytes, size: int = 60_000) -> str:
    recogniser = Recogniser(name)
    passed = b"".join(recogniser.watch(pieces(content, size)))
    assert passed == content
    return recogniser.found()[1]


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    return (content[i : i + size] for i in range(0, len(content), size))


@pytest.mark.parametrize(("name", "content", "mime"), FILES, ids=str_only)
@pytest.mark.parametrize("size", [60_000, 7])
def test_a_file_is_what_its_bytes_say(name: str, content: bytes, mime: str, size: int) -> None:
    if size == 7 and len(content) > 30_000:
        content = content[:30_002] + content[-60_000:]
    assert found(name, content, size) == mime


@pytest.mark.parametrize(("name", "content"), FOREIGN, ids=str_only)
def test_programs_pages_scripts_archives_and_noise_are_refused(name: str, content: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        found(name, content)
    assert caught.value.reason == "FILE_TYPE"
    assert "PDF" in caught.value.message


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [("发票.pdf", image("PNG"), "image/png"), ("a.docx", xlsx(), f"{OOXML}spreadsheetml.sheet"),
     ("a.png", pdf(), "application/pdf"), ("a.txt", image("JPEG"), "image/jpeg"), ("a.xls", xlsx(),
     f"{OOXML}spreadsheetml.sheet"), ("a.pdf", b"well", "text/plain"), ("a", pdf(), "application/pdf"),
     ("a.bat", b"echo well\r\n", "text/plain"), ("a.js", b"alert(1)", "text/plain"),
     ("a.mp4", image("GIF"), "image/gif"), ("a.doc", compound("Workbook"), "application/vnd.ms-excel")],
)  # fmt: skip
def test_a_name_that_says_another_kind_is_refused_with_both_named(name: str, content: bytes, kind: str) -> None:
    with pytest.raises(Invalid) as caught:
        found(name, content)
    assert (caught.value.reason, caught.value.details["content"]) == ("FILE_TYPE_MISMATCH", kind)
    ending = name.partition(".")[2]
    assert kind in caught.value.message
    assert f".{ending}" in caught.value.message or not ending


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.docx", zipped("word/document.xml", "word/vbaProject.bin")),
        ("a.xls", compound("Workbook", "_VBA_PROJECT_CUR")),
    ],
)
def test_documents_with_macros_are_refused(name: str, content: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        found(name, content)
    assert caught.value.reason == "FILE_MACROS"


def test_what_is_clear_from_the_beginning_is_refused_before_the_rest_comes() -> None:
    for name, head in (("a.pdf", image("PNG") + bytes(9000)), ("a.jpg", b"MZ" + bytes(9000))):
        passing = Recogniser(name).watch(iter([head, b"never asked for"]))
        with pytest.raises(Invalid):
            next(passing)


def test_endings_belong_to_one_kind_each() -> None:
    endings = [ending for kind in KINDS for ending in kind.endings]
    assert len(set(endings)) == len(endings)
