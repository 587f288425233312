"""A file on its way to a service: one HTTP body becomes one stream of messages, a few pieces in memory at a time.

The thread that serves the request reads; gRPC sends on a thread of its own. Two pieces wait between them at most, so a
slow service slows the caller down instead of filling memory.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.message import Message

from gateway import json_in
from gateway.body import MEBIBYTE, Body
from gateway.json_in import Report
from gateway.multipart import Field, File, Part, boundary_of, parts
from gateway.places import Places
from gateway.problems import HttpRefusal, invalid
from gateway.routes import Route
from gateway.stubs import Stubs
from protos.files.v1 import files_pb2
from services.chassis.refusal import Invalid

FILE = "file"
# What a form weighs beside its file.
OVERHEAD = MEBIBYTE
LONGEST_NAME = 255
# In the gateway, the ones that wait included.
IN_FLIGHT = 32
# Every upload that is not waiting holds a thread of the service, which has 16.
AT_ONCE = 12
PATIENCE_S = 60.0
_HEADER = files_pb2.UploadHeader.DESCRIPTOR
_POLL_S = 0.1


class Uploads:
    """Carries files to services."""

    def __init__(self, stubs: Stubs, at_once: int = AT_ONCE, patience_s: float = PATIENCE_S) -> None:
        self._stubs = stubs
        self.places = Places(IN_FLIGHT)
        self._turns = Places(at_once, patience_s)

    def limit(self, in_flight: int) -> None:
        """A server whose threads are fewer lets fewer in."""
        self.places = Places(in_flight)

    def carry(self, route: Route, environ: Mapping[str, Any], variables: Mapping[str, str], token: str) -> Message:
        """The service's answer. Raises Refusal, HttpRefusal or grpc.RpcError; then the service keeps nothing."""
        body = Body(environ, route.max_bytes + OVERHEAD, too_large(route.max_bytes))
        try:
            body.check_announced()
            boundary = boundary_of(str(environ.get("CONTENT_TYPE", "")))
            with self.places.taken(), self._turns.taken():
                return self._send(route, parts(body.piece, boundary), variables, token)
        finally:
            body.drain()

    def _send(self, route: Route, form: Iterator[Part], variables: Mapping[str, str], token: str) -> Message:
        header, feed = _header(form, variables), _Feed()
        try:
            with self._stubs.stream(route, iter(feed), token) as call:
                feed.put(files_pb2.Upload(header=header), call)
                for piece in _only_file(form, route.max_bytes):
                    if not feed.put(files_pb2.Upload(data=piece), call):
                        # It has refused already; the rest interests nobody.
                        break
                else:
                    feed.put(None, call)
                reply: Message = call.result()
                return reply
        finally:
            feed.end()


def too_large(most: int) -> HttpRefusal:
    """The file is larger than this path takes."""
    size = f"{most / MEBIBYTE:g} MiB"
    return HttpRefusal(
        "CONTENT_TOO_LARGE",
        f"文件超过 {size},请压缩或分成几个文件后上传。",
        f"The file is larger than {size}; compress it or send it in parts.",
    )


class _Feed:
    """Hands messages from the thread that reads to the one that sends."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[Message | None] = queue.Queue(maxsize=2)

    def __iter__(self) -> Iterator[Message]:
        while (message := self._waiting.get()) is not None:
            yield message

    def put(self, message: Message | None, call: Any) -> bool:
        """Whether the message (None: there are no more) is on its way; False when the call has ended."""
        while not call.done():
            try:
                self._waiting.put(message, timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False

    def end(self) -> None:
        """Lets the sending thread go; only after the call was cancelled or answered, or it would look complete."""
        while True:
            try:
                self._waiting.put_nowait(None)
            except queue.Full:
                self._take()
            else:
                return

    def _take(self) -> None:
        try:
            self._waiting.get_nowait()
        except queue.Empty:
            return


def _header(form: Iterator[Part], variables: Mapping[str, str]) -> files_pb2.UploadHeader:
    """What is said of the file: all that comes before its bytes. Raises Invalid."""
    report, document = Report(), dict[str, Any](variables)
    options: list[dict[str, str]] = []
    for part in form:
        if isinstance(part, File):
            return _read(document, options, part, report)
        if isinstance(part, Field):
            _put(document, options, part, report)
    raise Invalid(
        FILE,
        "表单中没有文件,请把文件放在 file 项中(curl -F file=@文件)。",
        "The form holds no file; put it into the field `file` (curl -F file=@path).",
        reason="FILE_MISSING",
    )


def _put(document: dict[str, Any], options: list[dict[str, str]], part: Field, report: Report) -> None:
    name = _field_name(part.name)
    if not part.value:
        return
    if name is None:
        options.append({"key": part.name, "value": part.value})
    elif document.setdefault(name, part.value) != part.value:
        report.add(
            name,
            "写了两次而且不一致,网址中已有的不必再填",
            "is given twice and differs; leave out what the path holds",
        )


def _field_name(given: str) -> str | None:
    """The header's own field of this name; None for an option."""
    for field in _HEADER.fields:
        if given in (field.name, field.json_name) and not field.is_repeated:
            return str(field.name)
    return None


def _read(
    document: dict[str, Any], options: list[dict[str, str]], file: File, report: Report
) -> files_pb2.UploadHeader:
    if file.field != FILE:
        report.add(json_in.shown_name(file.field), f"文件请放在 {FILE} 项中", f"put the file into the field `{FILE}`")
    document.setdefault("filename", file.name[-LONGEST_NAME:])
    document.setdefault("content_type", file.content_type.partition(";")[0].strip()[:127])
    found = json_in.parse(files_pb2.UploadHeader, document | {"options": options}, report)
    if found is None:
        raise invalid(report.violations)
    assert isinstance(found, files_pb2.UploadHeader)  # noqa: S101 - parse gives the kind it was asked for
    return found


def _only_file(form: Iterator[Part], most: int) -> Iterator[bytes]:
    """The file's bytes. Raises Invalid for a second file or a field that comes too late, HttpRefusal for too many."""
    size = 0
    for part in form:
        if isinstance(part, Field):
            name = json_in.shown_name(part.name)
            raise Invalid(
                name,
                f"表单项 {name} 须放在文件之前,文件放在最后。",
                f"The field {name} must come before the file, which comes last.",
                reason="FORM_ORDER",
            )
        if isinstance(part, File):
            raise Invalid(
                FILE,
                "一次只能上传一个文件,请分开上传。",
                "One file at a time; send the others in requests of their own.",
                reason="TWO_FILES",
            )
        size += len(part)
        if size > most:
            raise too_large(most)
        yield part
