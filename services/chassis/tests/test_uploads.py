"""A file that comes as a stream: nothing but a whole one, with a name that tricks nobody."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from protos.files.v1 import files_pb2 as pb
from services.chassis import file_names, uploads
from services.chassis.refusal import Invalid

CONTENT = [b"a" * 1000, b"", b"b" * 500]
WHOLE = b"".join(CONTENT)


def messages(*pieces: bytes, **header: Any) -> list[pb.Upload]:
    first = pb.Upload(header=pb.UploadHeader(**{"filename": "井.pdf", **header}))
    return [first, *(pb.Upload(data=piece) for piece in pieces)]


def refused(*sent: pb.Upload, most: int = 10_000) -> Invalid:
    with pytest.raises(Invalid) as caught:
        list(uploads.Incoming(sent, most).pieces())
    return caught.value


def test_bytes_come_in_order_and_are_counted_and_digested() -> None:
    digest = hashlib.sha256(WHOLE).hexdigest()
    options = [pb.UploadOption(key="note", value="一份")]
    said = {"id": "p-1", "sha256": digest.upper(), "size": len(WHOLE), "options": options, "request_id": "A-1"}
    incoming = uploads.Incoming(messages(*CONTENT, **said), len(WHOLE))
    assert b"".join(incoming.pieces()) == WHOLE
    assert (incoming.size, incoming.sha256) == (len(WHOLE), digest)
    assert (incoming.id, incoming.name, incoming.options, incoming.request_id) == (
        "p-1",
        "井.pdf",
        {"note": "一份"},
        "a-1",
    )


def test_the_header_comes_first_and_once() -> None:
    header, data, *_ = messages(*CONTENT)
    for sent in ([], [data], [data, header], [header, header, data], [header, data, header], [header, pb.Upload()]):
        assert refused(*sent).violations[0].field == "header"


def test_what_is_not_what_was_announced_is_refused() -> None:
    assert refused(*messages(*CONTENT, size=1)).reason == "SIZE_MISMATCH"
    assert refused(*messages(*CONTENT, sha256="0" * 64)).reason == "DIGEST_MISMATCH"
    assert refused(*messages(b"")).violations[0].field == "file"


def test_too_much_is_refused_at_the_announcement_and_at_the_first_byte_too_many() -> None:
    assert refused(*messages(*CONTENT, size=1500), most=1499).reason == "FILE_TOO_LARGE"
    assert refused(*messages(*CONTENT), most=1499).reason == "FILE_TOO_LARGE"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("井.pdf", "井.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\fakepath\\现场.jpg", "现场.jpg"),
        ("/abs/路径/材料.docx", "材料.docx"),
        ("  两头 空格.txt . ", "两头 空格.txt"),
        ('a<b>:"c|d?e*.txt', "a_b___c_d_e_.txt"),
        ("e\u0301.txt", "é.txt"),
        (".gitignore", ".gitignore"),
        ("家庭👨‍👩‍👧.png", "家庭👨‍👩‍👧.png"),
    ],
)
def test_a_name_loses_its_folders_and_what_no_file_may_hold(given: str, kept: str) -> None:
    assert file_names.clean(given) == kept


@pytest.mark.parametrize(
    "given",
    ["", ".", "..", "a/..", "a/", "...", " ", "_", "CON", "nul.txt", "com1.pdf", "LPT9", "a\x00.pdf", "a\nb.pdf",
     "发票\u202efdp.exe", "a\u2066b.pdf", "a\u200bb.pdf", "\ufeffa.pdf", "a\u2028b", "a\x7f.pdf", "长" * 256],
)  # fmt: skip
def test_a_name_that_tricks_or_says_nothing_is_refused(given: str) -> None:
    with pytest.raises(Invalid) as caught:
        file_names.clean(given)
    assert caught.value.violations[0].field == "filename"


@pytest.mark.parametrize(
    ("name", "end"), [("a.PDF", "pdf"), ("a.tar.gz", "gz"), ("a", ""), (".bashrc", ""), ("a.", "")]
)
def test_the_ending_is_what_stands_behind_the_last_dot(name: str, end: str) -> None:
    assert file_names.ending(name) == end
