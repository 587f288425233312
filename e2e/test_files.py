"""Files of a case as clerks handle them over HTTP: sent, looked at, downloaded again after a broken line, removed."""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import socket
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import grpc
import pytest
import requests
from PIL import Image
from sqlalchemy import func, select

from e2e.conftest import LOCAL_SQLITE, RABBIT_POSTGRES, on
from e2e.people import Typed
from e2e.post import count
from e2e.refusals import assert_refused
from e2e.story import COMMAND, Story
from e2e.system import TIER, System, eventually, new_request_id
from protos.files.v1 import files_pb2
from protos.petition.v1 import attachments_pb2 as pb
from protos.petition.v1.attachments_pb2_grpc import AttachmentServiceStub
from services.chassis import tokens
from services.chassis.identity import Identity
from services.chassis.tables import audit

pytestmark = pytest.mark.e2e

PDF = b"%PDF-1.7\n" + os.urandom(3 << 20)
LARGEST = 20 << 20


@dataclass
class Case:
    """A petition and its files."""

    system: System
    story: Story

    @property
    def path(self) -> str:
        """Where its files are."""
        return f"/v1/petitions/{self.story.id}/attachments"

    def send(self, content: bytes, name: str = "现场.pdf", headers: Any = None, **form: str) -> requests.Response:
        """Sends a file, whatever the answer."""
        files = {"file": (name, content)}
        url = f"{self.system.gateway}{self.path}"
        return self.system.http.post(url, data=form, files=files, headers=headers, timeout=120)

    def added(self, content: bytes, name: str = "现场.pdf", **form: str) -> dict[str, Any]:
        """A file that is taken."""
        answer = self.send(content, name, **form)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def get(self, file: dict[str, Any], what: str = "content", **headers: str) -> requests.Response:
        """Downloads, whatever the answer."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.system.call("GET", f"{self.path}/{file['id']}/{what}", headers=sent)

    def listed(self, **more: Any) -> list[dict[str, Any]]:
        """The list."""
        return list(self.system.ok("GET", self.path, params=more)["attachments"])


@pytest.fixture
def case(district: System) -> Case:
    """A fresh petition of the district that runs now."""
    return Case(district, Story(district).filed())


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_a_file_is_sent_listed_and_comes_back_as_it_was(case: Case) -> None:
    digest = hashlib.sha256(PDF).hexdigest()
    added = case.added(PDF, sha256=digest, size=str(len(PDF)), note="漏水处照片", request_id=new_request_id())
    assert (added["content_type"], added["kind_zh"], added["size"]) == ("application/pdf", "PDF 文档", str(len(PDF)))
    assert case.listed() == [added]
    answer = case.get(added)
    assert (answer.status_code, hashlib.sha256(answer.content).hexdigest()) == (200, digest)
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    assert answer.headers["ETag"] == f'"{digest}"'
    assert case.get(added, If_None_Match=f'"{digest}"').status_code == 304
    told = [line for line in case.story.timeline() if line["kind"] == "petition.file_added"]
    assert "PDF 文档" in told[0]["text"]


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_a_broken_download_goes_on_where_it_broke(case: Case) -> None:
    added = case.added(PDF)
    first = case.get(added, Range="bytes=0-999999")
    assert (first.status_code, first.headers["Content-Range"]) == (206, f"bytes 0-999999/{len(PDF)}")
    rest = case.get(added, Range="bytes=1000000-", If_Range=first.headers["ETag"])
    assert rest.status_code == 206
    assert first.content + rest.content == PDF
    assert case.get(added, Range="bytes=-10").content == PDF[-10:]
    answer = case.get(added, Range=f"bytes={len(PDF)}-")
    assert_refused(answer, 416, "RANGE_NOT_SATISFIABLE")


@on(LOCAL_SQLITE)
def test_a_download_whose_line_breaks_is_noticed_and_resumed(case: Case) -> None:
    added = case.added(PDF)
    connection = http.client.HTTPConnection("127.0.0.1", case.system.ports["gateway"], timeout=60)
    connection.request("GET", f"{case.path}/{added['id']}/content", headers=authorization(case.system))
    half = connection.getresponse().read(1_500_000)
    connection.close()
    rest = case.get(added, Range=f"bytes={len(half)}-")
    assert half + rest.content == PDF


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_a_photo_has_a_small_picture(case: Case) -> None:
    photo = io.BytesIO()
    Image.effect_noise((2000, 1500), 40).convert("RGB").save(photo, "JPEG")
    added = case.added(photo.getvalue(), "现场.jpg")
    assert added["has_thumbnail"] is True
    answer = case.get(added, "thumbnail")
    with Image.open(io.BytesIO(answer.content)) as small:
        assert (small.format, max(small.size)) == ("JPEG", 256)
    assert answer.headers["Content-Disposition"].startswith("inline;")
    assert_refused(case.get(case.added(PDF), "thumbnail"), 404)


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_a_removed_file_is_remembered_and_read_no_more(case: Case) -> None:
    added = case.added(PDF)
    path = f"{case.path}/{added['id']}:remove"
    assert_refused(case.system.call("POST", path, {}), 400, field="reason")
    gone = case.system.ok("POST", path, {"reason": "与本件无关"})
    assert (gone["removed_by"], gone["removed_reason"]) == ("demo", "与本件无关")
    assert case.listed() == [gone]
    assert case.listed(present_only="true") == []
    assert_refused(case.get(added), 404, "NOT_FOUND")
    assert case.story.kinds()[-1] == "petition.file_removed"


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_wrong_files_are_refused_in_words_and_leave_nothing(case: Case) -> None:
    png = io.BytesIO()
    Image.new("RGB", (9, 9)).save(png, "PNG")
    assert_refused(case.send(png.getvalue(), "合同.pdf"), 400, "FILE_TYPE_MISMATCH", "filename")
    assert_refused(case.send(b"MZ" + bytes(9000), "工具.exe"), 400, "FILE_TYPE", "file")
    assert_refused(case.send(b"<html><script>x</script>", "网页.txt"), 400, "FILE_TYPE", "file")
    assert_refused(case.send(PDF, sha256="0" * 64), 400, "DIGEST_MISMATCH", "sha256")
    assert_refused(case.send(PDF, size="17"), 400, "SIZE_MISMATCH", "size")
    assert_refused(case.send(PDF, sha256="no digest"), 400, field="header.sha256")
    assert_refused(case.send(PDF, request_id="no uuid"), 400, field="header.request_id")
    assert_refused(case.send(PDF, "\u202efdp.exe"), 400, field="filename")
    assert_refused(case.send(PDF, colour="red"), 400, field="colour")
    assert_refused(case.send(b""), 400, field="file")
    assert_refused(case.send(b"%PDF-1.7\n" + bytes(LARGEST)), 413, "CONTENT_TOO_LARGE")
    assert_refused(case.system.call("POST", case.path, {"file": "x"}), 415)
    url = f"{case.system.gateway}/v1/petitions/{new_request_id()}/attachments"
    answer = case.system.http.post(url, files={"file": ("a.pdf", PDF)}, timeout=60)
    assert_refused(answer, 404, "NOT_FOUND")
    assert case.listed() == []


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_a_file_of_twenty_megabytes_is_taken_whole(case: Case) -> None:
    content = b"%PDF-1.7\n" + os.urandom(LARGEST - 9)
    added = case.added(content)
    assert case.get(added).content == content


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_a_repeated_upload_adds_nothing(case: Case) -> None:
    request_id = new_request_id()
    first = case.added(PDF, request_id=request_id)
    assert case.added(PDF, request_id=request_id) == first
    assert_refused(case.send(PDF + b"more", request_id=request_id), 409, "REQUEST_ID_REUSED")
    assert case.listed() == [first]


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_nothing_is_added_to_a_voided_petition(case: Case) -> None:
    case.story.void()
    assert_refused(case.send(PDF), 409, "PETITION_STATE")


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_names_in_file_names_are_masked_and_stand_in_no_log(case: Case) -> None:
    name = case.story.petitioner["name"]
    added = case.added(PDF, f"{name}的身份证.pdf", note=f"{name}本人提供")
    shown = case.get(added)
    said = shown.headers["Content-Disposition"] + repr(case.listed()) + repr(case.story.timeline())
    assert name not in unquote(said)
    assert "身份证.pdf" in added["filename"]
    assert name not in case.system.logs()


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_another_unit_finds_no_file_and_a_reader_is_in_the_audit(case: Case) -> None:
    added = case.added(PDF)
    case.get(added)
    read = select(func.count()).where(audit.c.action == "petition.read_file", audit.c.subject_id == case.story.id)
    assert count(case.system, "petition", read) == 1
    permissions = frozenset({"petition.read", "petition.attach", "petition.read_files", "petition.remove_file"})
    stranger = Identity("stranger", TIER, "341702", frozenset({COMMAND}), permissions=permissions, unit=COMMAND)
    with grpc.insecure_channel(case.system.settings.address_of("petition")) as channel:
        stub: Any = AttachmentServiceStub(channel)  # type: ignore[no-untyped-call]
        for call, request in strange_calls(stub, case.story.id, added["id"]):
            assert code_of(call, request, token_of(case.system, stranger)) == grpc.StatusCode.NOT_FOUND
            powerless = token_of(case.system, Identity("clerk", TIER, "341702", unit=COMMAND))
            assert code_of(call, request, powerless) == grpc.StatusCode.PERMISSION_DENIED
    assert case.listed() == [added]


def strange_calls(stub: Any, petition: str, file: str) -> list[tuple[Any, Any]]:
    """Every RPC of files, as somebody calls it who knows both ids."""
    read = files_pb2.ReadRequest(id=petition, file_id=file)
    header = files_pb2.UploadHeader(id=petition, filename="a.pdf")
    return [
        (stub.ListAttachments, pb.ListAttachmentsRequest(id=petition)),
        (stub.ReadAttachment, read),
        (stub.ReadThumbnail, read),
        (stub.RemoveAttachment, pb.RemoveAttachmentRequest(id=petition, file_id=file, reason="不想要了")),
        (stub.UploadAttachment, [files_pb2.Upload(header=header), files_pb2.Upload(data=PDF[:1000])]),
    ]


def token_of(system: System, who: Identity) -> str:
    """A token that the district's own gateway could have signed."""
    return tokens.sign(tokens.load_private(system.settings.token_private_key_file), who, ["petition"])


def code_of(call: Any, request: Any, token: str) -> grpc.StatusCode:
    """How the call ends."""
    sent = iter(request) if isinstance(request, list) else request
    with pytest.raises(grpc.RpcError) as caught:
        call(sent, timeout=30, metadata=(("authorization", f"Bearer {token}"),))
    code: grpc.StatusCode = caught.value.code()
    return code


def authorization(system: System) -> dict[str, str]:
    """The clerk's header."""
    return {"Authorization": str(system.http.headers["Authorization"])}


# A power cut in the middle


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A district in one process that may be killed."""
    with System(tmp_path_factory.mktemp("alone")) as system:
        yield system


def test_a_kill_in_the_middle_of_an_upload_leaves_nothing_visible(alone: System) -> None:
    case = Case(alone, Story(alone, Typed()).filed())
    kept = case.added(PDF)
    body = b'--e\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n' + PDF
    head = (
        f"POST {case.path} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=e\r\n"
        f"Authorization: {authorization(alone)['Authorization']}\r\nContent-Length: {len(body) + 1000}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", alone.ports["gateway"]), timeout=60) as caller:
        caller.sendall(head.encode() + body)
        eventually(lambda: rows(alone) > kept_rows(), "rows of the second file are written")
        alone.kill("all")
    alone.start("all")
    eventually(alone.ready, "it is ready again")
    alone.sign_in()
    assert case.listed() == [kept]
    assert case.get(kept).content == PDF
    assert ledger(alone) == ["coming", "kept"]


def rows(system: System) -> int:
    """Rows of bytes in the store."""
    with sqlite3.connect(blob_file(system), timeout=10) as db:
        return int(db.execute("SELECT count(*) FROM blob_chunks").fetchone()[0])


def kept_rows() -> int:
    """Those of one whole file."""
    return -(-len(PDF) // (256 << 10))


def ledger(system: System) -> list[str]:
    """What the service holds the bytes for."""
    with sqlite3.connect(system.settings.data_dir / "petition.db", timeout=10) as db:
        return sorted(state for (state,) in db.execute("SELECT state FROM blobs"))


def blob_file(system: System) -> Path:
    """Where the bytes lie, beside the service's own database."""
    return system.settings.data_dir / "petition-blobs.db"
