"""Files on their way through the gateway, over real HTTP and real gRPC, to a service that nobody here has ever seen."""

from __future__ import annotations

import hashlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway import downloads, routes, uploads
from gateway.accounts import wiring
from gateway.app import create_app
from gateway.paths import BadTemplate
from gateway.server import CherootServer
from gateway.sessions import Signer
from gateway.tests.conftest import CLERK, session_for
from gateway.tests.fakes import FakeServices, refuse
from protos.files.v1 import files_pb2
from protos.options.v1 import options_pb2
from services.chassis import clients
from services.chassis.identity import Identity
from services.chassis.refusal import IllegalMove
from services.chassis.settings import Settings

MEBIBYTE = 1 << 20
LARGEST = 2 * MEBIBYTE
CONTENT = bytes(range(256)) * 4000  # more than three pieces
DIGEST = hashlib.sha256(CONTENT).hexdigest()
ETAG = f'"{DIGEST}"'
UPLOAD = {"input_type": ".zongzhi.files.v1.Upload", "output_type": ".zongzhi.files.v1.Piece", "client_streaming": True}
DOWNLOAD = {"input_type": ".zongzhi.files.v1.ReadRequest", "output_type": ".zongzhi.files.v1.Piece"}
_count = iter(range(1000))


def new_service(*methods: dict[str, Any]) -> ServiceDescriptor:
    """A service whose RPCs carry files, made here and now."""
    package = f"zongzhi.archive{next(_count)}.v1"
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    file.dependency.extend(["protos/files/v1/files.proto", "protos/options/v1/options.proto"])
    service = file.service.add(name="Archive")
    for told in methods:
        told = dict(told)
        transfer = told.pop("transfer")
        method = service.method.add(**told)
        options: Any = method.options
        options.Extensions[options_pb2.transfer].CopyFrom(options_pb2.Transfer(**transfer))
        options.Extensions[options_pb2.access].CopyFrom(options_pb2.Access(permission="archive.keep", title_zh="存档"))
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindServiceByName(f"{package}.Archive")


ARCHIVE = new_service(
    {"name": "Keep", "transfer": {"upload": "/v1/shelves/{id}/files", "max_bytes": LARGEST}, **UPLOAD},
    {"name": "Queue", "transfer": {"upload": "/v1/shelves:queue", "accepted": True}, **UPLOAD},
    {"name": "Read", "transfer": {"download": "/v1/shelves/{id}/files/{file_id}"}, **DOWNLOAD},
)


@dataclass
class Archive:
    """What the service behind the gateway does: it counts what came, and gives pieces of CONTENT."""

    headers: list[Any] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    largest: int = 0
    digest: str = ""
    broken: int = 0
    asked: list[tuple[int, int]] = field(default_factory=list)
    filename: str = "湖边的井.pdf"
    kind: str = "application/pdf"

    def keep(self, messages: Any) -> Any:
        """Takes a whole stream."""
        digest, size = hashlib.sha256(), 0
        try:
            self.headers.append(next(messages).header)
            for message in messages:
                digest.update(message.data)
                size += len(message.data)
                self.largest = max(self.largest, len(message.data))
        except Exception:
            self.broken += 1
            raise
        self.digest = digest.hexdigest()
        self.sizes.append(size)
        return files_pb2.Piece(total=size, sha256=self.digest)

    def read(self, request: Any) -> Any:
        """Gives a piece."""
        self.asked.append((request.offset, request.length))
        data = CONTENT[request.offset : request.offset + (request.length or downloads.PIECE)]
        return files_pb2.Piece(
            data=data, total=len(CONTENT), content_type=self.kind, filename=self.filename, sha256=DIGEST
        )


@dataclass
class Door:
    """A gateway on a real port, and its caller."""

    port: int
    token: str
    fakes: FakeServices
    archive: Archive

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            sent = {"Authorization": f"Bearer {self.token}"} | {k.replace("_", "-"): v for k, v in headers.items()}
            connection.request(method, path, body, sent, encode_chunked="Transfer-Encoding" in sent)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def send(self, *parts: bytes, path: str = "/v1/shelves/7/files", **headers: str) -> Any:
        """Sends a form."""
        return self.ask("POST", path, form(*parts), Content_Type=f"multipart/form-data; boundary={EDGE}", **headers)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The document."""
        import json

        return json.loads(self.body)


EDGE = "----edge7MA4YWxk"


def text(name: str, value: str) -> bytes:
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()


def file(content: bytes, name: str = "湖边的井.pdf", of: str = "file", kind: str = "application/pdf") -> bytes:
    head = f'Content-Disposition: form-data; name="{of}"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'
    return head.encode() + content


def form(*parts: bytes) -> bytes:
    edge = f"--{EDGE}".encode()
    return b"".join(edge + b"\r\n" + part + b"\r\n" for part in parts) + edge + b"--\r\n"


@pytest.fixture(scope="module")
def served(settings: Settings) -> Iterator[Door]:
    fakes = FakeServices([ARCHIVE])
    fakes.start()
    name = routes.neighbour(ARCHIVE)
    db = wiring.open_database(settings)
    app = create_app(settings, services=[ARCHIVE], channels={name: clients.channel(fakes.address)}, db=db)
    server = CherootServer(app, "127.0.0.1", 0)
    port = server.start()
    archivist = replace(CLERK, account="archivist")
    asking = Identity(archivist.account, archivist.tier, session=session_for(db, archivist, {}))
    yield Door(port, Signer(settings.token_private_key_file).sign(asking, "gateway", 600), fakes, Archive())
    server.stop()
    fakes.stop()


@pytest.fixture
def door(served: Door) -> Door:
    served.archive = Archive()
    served.fakes.answers.update(Keep=served.archive.keep, Queue=served.archive.keep, Read=served.archive.read)
    return served


# Up


def test_a_form_becomes_a_header_and_pieces_that_are_small_and_whole(door: Door) -> None:
    answer = door.send(text("sha256", DIGEST), text("size", str(len(CONTENT))), text("note", "一份"), file(CONTENT))
    assert (answer.status, answer.json["sha256"]) == (200, DIGEST)
    (header,) = door.archive.headers
    assert (header.id, header.filename, header.content_type) == ("7", "湖边的井.pdf", "application/pdf")
    assert (header.size, header.sha256) == (len(CONTENT), DIGEST)
    assert [(one.key, one.value) for one in header.options] == [("note", "一份")]
    assert door.archive.largest <= 256 * 1024


def test_work_that_goes_on_is_answered_202(door: Door) -> None:
    assert door.send(file(b"a,b\n"), path="/v1/shelves:queue").status == 202


def test_bytes_that_look_like_boundaries_and_line_ends_pass_unchanged(door: Door) -> None:
    odd = (b"\r\n--" + EDGE.encode()[:-1] + b"\r\n") * 5000 + b"\r\n\r\n--\r" * 9000
    assert door.send(file(odd)).status == 200
    assert door.archive.digest == hashlib.sha256(odd).hexdigest()


def test_an_empty_file_and_empty_fields_are_passed_on(door: Door) -> None:
    assert door.send(text("request_id", ""), file(b"")).status == 200
    assert door.archive.sizes == [0]


def test_a_body_without_a_length_is_taken_too(door: Door) -> None:
    body = form(file(CONTENT))
    chunks = (body[i : i + 70_000] for i in range(0, len(body), 70_000))
    kind = f"multipart/form-data; boundary={EDGE}"
    answer = door.ask("POST", "/v1/shelves/7/files", chunks, Content_Type=kind, Transfer_Encoding="chunked")
    assert (answer.status, door.archive.digest) == (200, DIGEST)


@pytest.mark.parametrize(
    ("parts", "reason", "named"),
    [
        ([text("note", "x")], "FILE_MISSING", "file"),
        ([], "FILE_MISSING", "file"),
        ([file(b"1"), file(b"2")], "TWO_FILES", "file"),
        ([file(b"1"), text("note", "x")], "FORM_ORDER", "note"),
        ([file(b"1", of="photo")], "FIELD_INVALID", "photo"),
        ([text("size", "many"), file(b"1")], "FIELD_INVALID", "size"),
        ([text("id", "8"), file(b"1")], "FIELD_INVALID", "id"),
        ([text("sha256", "a" * 64), text("sha256", "b" * 64), file(b"1")], "FIELD_INVALID", "sha256"),
        ([text("note", "x" * 70_000), file(b"1")], "FORM_INVALID", "(body)"),
        ([text(f"n{i}", "x") for i in range(50)], "FORM_INVALID", "(body)"),
        ([b'Content-Disposition: form-data; name="x"\r\n\r\n\xff\xfe', file(b"1")], "FORM_INVALID", "(body)"),
        ([b"\r\n\r\nno header", file(b"1")], "FORM_INVALID", "(body)"),
    ],
)  # fmt: skip
def test_a_wrong_form_is_refused_by_name_and_nothing_is_kept(
    door: Door, parts: list[bytes], reason: str, named: str
) -> None:
    answer = door.send(*parts)
    assert (answer.status, answer.json["reason"]) == (400, reason), answer.json
    assert answer.json["violations"][0]["field"] == named
    assert door.archive.sizes == []


@pytest.mark.parametrize("body", [b"", b"no form at all", b"--edge\r\n", b"x" * 400_000])
def test_what_is_no_form_is_refused(door: Door, body: bytes) -> None:
    answer = door.ask("POST", "/v1/shelves/7/files", body, Content_Type=f"multipart/form-data; boundary={EDGE}")
    assert (answer.status, answer.json["reason"]) == (400, "FORM_INVALID")


def test_another_content_type_is_415_and_a_missing_boundary_400(door: Door) -> None:
    answer = door.ask("POST", "/v1/shelves/7/files", b"{}", Content_Type="application/json")
    assert (answer.status, answer.headers["Accept"]) == (415, "multipart/form-data")
    assert door.ask("POST", "/v1/shelves/7/files", b"x", Content_Type="multipart/form-data").status == 400


@pytest.mark.parametrize("more", [1, 3 * MEBIBYTE])
def test_a_file_that_is_too_large_is_413_and_the_caller_hears_it(door: Door, more: int) -> None:
    answer = door.send(file(bytes(LARGEST + more)))
    assert (answer.status, answer.json["reason"]) == (413, "CONTENT_TOO_LARGE")
    assert "2 MiB" in answer.json["detail"]
    assert door.archive.sizes == []


def test_a_file_of_just_the_largest_size_is_taken(door: Door) -> None:
    assert door.send(file(bytes(LARGEST))).status == 200
    assert door.archive.sizes == [LARGEST]


def test_a_refusal_while_the_file_is_still_coming_is_heard(door: Door) -> None:
    door.fakes.answers["Keep"] = refuse(IllegalMove("VOIDED", "已作废。", "It is voided."))
    answer = door.send(file(bytes(LARGEST)))
    assert (answer.status, answer.json["reason"]) == (409, "VOIDED")


def test_without_a_token_a_large_body_is_refused_and_the_caller_hears_it(door: Door) -> None:
    answer = door.send(file(bytes(LARGEST)), Authorization="")
    assert answer.status == 401


def test_of_a_refused_body_that_never_ends_only_the_beginning_is_read(door: Door) -> None:
    head = f"POST /v1/shelves/7/files HTTP/1.1\r\nHost: x\r\nContent-Length: {10**12}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", door.port), timeout=60) as caller:
        caller.sendall(head.encode() + bytes(MEBIBYTE))
        said = caller.recv(65536)
        while more := caller.recv(65536):
            said += more
    assert b" 401 " in said.partition(b"\r\n")[0]
    assert b"Connection: close" in said


def test_a_body_that_breaks_off_never_looks_complete(door: Door) -> None:
    body = form(file(bytes(MEBIBYTE)))
    head = (
        f"POST /v1/shelves/7/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {door.token}\r\n"
        f"Content-Type: multipart/form-data; boundary={EDGE}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", door.port), timeout=60) as caller:
        caller.sendall(head.encode() + body[: len(body) // 2])
        caller.shutdown(socket.SHUT_WR)
        answer = caller.recv(65536)
    assert b" 400 " in answer.partition(b"\r\n")[0]
    until(lambda: door.archive.broken == 1)
    assert door.archive.sizes == []


def test_a_connection_serves_on_after_an_upload(door: Door) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=60)
    headers = {"Authorization": f"Bearer {door.token}", "Content-Type": f"multipart/form-data; boundary={EDGE}"}
    for body, expected in ((form(file(CONTENT)), 200), (form(file(b"1"), file(b"2")), 400), (form(file(b"3")), 200)):
        connection.request("POST", "/v1/shelves/7/files", body, headers)
        answer = connection.getresponse()
        assert answer.status == expected
        answer.read()
    connection.close()


def test_a_sending_thread_ends_with_its_upload(door: Door) -> None:
    before = threading.active_count()
    for parts in ([file(CONTENT)], [file(b"1"), file(b"2")], [file(bytes(LARGEST + 1))]):
        door.send(*parts)
    until(lambda: threading.active_count() <= before + 1)


def test_more_uploads_than_places_wait_or_are_asked_to_come_again(door: Door, settings: Settings) -> None:
    go = threading.Event()

    def slow(messages: Any) -> Any:
        go.wait(30)
        return door.archive.keep(messages)

    door.fakes.answers["Keep"] = slow
    carrier = uploads.Uploads(_stubs(door), at_once=1, patience_s=0.05)
    (route, *_) = routes.routes_of([ARCHIVE])
    answers: list[Any] = []

    def upload() -> None:
        try:
            answers.append(carrier.carry(route, _environ(), {"id": "7"}, door.token))
        except Exception as error:
            answers.append(error)

    first = threading.Thread(target=upload)
    first.start()
    until(lambda: len(door.fakes.calls) > 0 and door.fakes.last.method == "Keep")
    upload()
    assert [getattr(one, "reason", "") for one in answers] == ["TRANSFERS_BUSY"]
    go.set()
    first.join(30)
    assert answers[1].total == len(CONTENT)


def _stubs(door: Door) -> Any:
    from gateway.stubs import Stubs

    return Stubs([ARCHIVE], {routes.neighbour(ARCHIVE): clients.channel(door.fakes.address)})


def _environ() -> dict[str, Any]:
    import io

    body = form(file(CONTENT))
    return {
        "CONTENT_TYPE": f"multipart/form-data; boundary={EDGE}",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }


def until(condition: Any, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


# Down

FILE = "/v1/shelves/7/files/f-1"


def test_a_file_comes_whole_in_pieces_with_all_that_a_caller_needs_to_know(door: Door) -> None:
    answer = door.ask("GET", FILE)
    assert (answer.status, answer.body == CONTENT) == (200, True)
    assert {name: answer.headers[name] for name in ("Content-Length", "Content-Type", "ETag", "Accept-Ranges")} == {
        "Content-Length": str(len(CONTENT)), "Content-Type": "application/pdf", "ETag": ETAG, "Accept-Ranges": "bytes",
    }  # fmt: skip
    assert [length for _, length in door.archive.asked[1:]] == [downloads.PIECE] * 2 + [
        len(CONTENT) - 3 * downloads.PIECE
    ]


def test_a_file_never_acts_as_a_page_of_ours(door: Door) -> None:
    for kind, way in (("application/pdf", "attachment"), ("text/html", "attachment"), ("image/png", "inline")):
        door.archive.kind = kind
        headers = door.ask("GET", FILE).headers
        assert headers["Content-Disposition"].startswith(way)
        assert headers["Content-Security-Policy"].startswith("sandbox")
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_name_is_told_in_full_and_breaks_out_of_no_header(door: Door) -> None:
    door.archive.filename = '湖"边\r\nX-Evil: 1.pdf'
    headers = door.ask("GET", FILE).headers
    assert "X-Evil" not in headers
    assert "filename*=UTF-8''%E6%B9%96%22%E8%BE%B9%0D%0AX-Evil%3A%201.pdf" in headers["Content-Disposition"]


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [("bytes=0-99", 0, 100), ("bytes=100-", 100, len(CONTENT)), ("bytes=-100", len(CONTENT) - 100, len(CONTENT)),
     ("bytes=5-5", 5, 6), ("bytes=0-99999999", 0, len(CONTENT)), ("bytes=-99999999", 0, len(CONTENT)),
     ("bytes=262143-524289", 262143, 524290)],
)  # fmt: skip
def test_a_range_is_answered_with_just_these_bytes(door: Door, asked: str, begin: int, end: int) -> None:
    answer = door.ask("GET", FILE, Range=asked)
    assert (answer.status, answer.body == CONTENT[begin:end]) == (206, True)
    assert answer.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{len(CONTENT)}"
    assert answer.headers["Content-Length"] == str(end - begin)


@pytest.mark.parametrize("asked", [f"bytes={len(CONTENT)}-", "bytes=99999999-100000000"])
def test_a_range_outside_is_416_and_tells_the_size(door: Door, asked: str) -> None:
    answer = door.ask("GET", FILE, Range=asked)
    assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")
    assert answer.json["reason"] == "RANGE_NOT_SATISFIABLE"


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,4-5", "bytes=9-3", "bytes=x-y", "bytes=-0", "lines=1-2", "", f"bytes={2**70}-"]
)
def test_what_is_no_single_range_is_answered_with_the_whole(door: Door, asked: str) -> None:
    answer = door.ask("GET", FILE, Range=asked)
    assert (answer.status, len(answer.body)) == (200, len(CONTENT))


def test_a_file_that_the_caller_has_is_not_sent_again(door: Door) -> None:
    for given in (ETAG, f"W/{ETAG}", f'"other", {ETAG}', "*"):
        answer = door.ask("GET", FILE, If_None_Match=given)
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", ETAG)
    assert door.ask("GET", FILE, If_None_Match='"other"').status == 200


def test_a_broken_download_goes_on_only_with_the_same_file(door: Door) -> None:
    assert door.ask("GET", FILE, Range="bytes=100-", If_Range=ETAG).status == 206
    for given in ('"other"', "Wed, 21 Oct 2026 07:28:00 GMT", f"W/{ETAG}"):
        answer = door.ask("GET", FILE, Range="bytes=100-", If_Range=given)
        assert (answer.status, len(answer.body)) == (200, len(CONTENT))


def test_head_tells_all_and_sends_nothing(door: Door) -> None:
    answer = door.ask("HEAD", FILE)
    assert (answer.status, answer.body, answer.headers["ETag"]) == (200, b"", ETAG)
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert door.archive.asked == [(0, 1)]


def test_a_file_that_goes_away_in_the_middle_breaks_the_connection(door: Door) -> None:
    def read(request: Any) -> Any:
        if request.offset:
            raise IllegalMove("REMOVED", "已移除。", "It was removed.")
        return door.archive.read(request)

    door.fakes.answers["Read"] = read
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        door.ask("GET", FILE)


def test_many_downloads_leave_no_place_taken(door: Door) -> None:
    for _ in range(downloads.AT_ONCE + 5):
        assert door.ask("GET", FILE, Range="bytes=0-9").status == 206


# What the documents say


def test_the_document_shows_the_form_and_the_bytes(door: Door) -> None:
    document = door.ask("GET", "/openapi.json").json
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    upload = document["paths"]["/v1/shelves/{id}/files"]["post"]
    schema = upload["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert schema["required"] == ["file"]
    assert list(schema["properties"])[-1] == "file"
    assert "id" not in schema["properties"]
    assert upload["responses"].keys() >= {"200", "400", "413", "415"}
    assert "202" in document["paths"]["/v1/shelves:queue"]["post"]["responses"]
    read = document["paths"]["/v1/shelves/{id}/files/{file_id}"]["get"]
    assert read["responses"].keys() >= {"200", "206", "304", "404", "416"}
    assert {one["name"] for one in read["parameters"]} == {"id", "file_id", "Range", "If-Range", "If-None-Match"}


def test_the_page_shows_how_to_send_a_file(door: Door) -> None:
    page = door.ask("GET", "/docs").body.decode()
    assert "-F &#39;file=@/path/to/file&#39;" in page
    assert "文件 the file" in page


@pytest.mark.parametrize(
    "method",
    [{"transfer": {"upload": "/v1/x"}, **DOWNLOAD}, {"transfer": {"download": "/v1/x"}, **UPLOAD},
     {"transfer": {"upload": "/v1/{nobody}"}, **UPLOAD}, {"transfer": {"download": "/v1/{sha256}"}, **DOWNLOAD}],
)  # fmt: skip
def test_a_transfer_that_cannot_be_served_stops_the_start(method: dict[str, Any]) -> None:
    with pytest.raises(BadTemplate):
        routes.routes_of([new_service({"name": "Wrong", **method})])
