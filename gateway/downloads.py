"""A file on its way to a caller: asked of the service piece by piece, whole or by range (RFC 9110 §13, §14).

Nothing of a file may act as a page of ours: it is shown in a sandbox, with the type found from its content, and all but
plain images are offered for saving.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

from werkzeug import Response
from werkzeug.http import parse_etags, parse_range_header

from gateway.places import Places
from gateway.problems import HttpRefusal
from gateway.reading import request_of
from gateway.routes import Route
from gateway.stubs import Stubs
from protos.files.v1 import files_pb2
from services.chassis.telemetry import current_traceparent, use_traceparent

PIECE = 256 * 1024
# A download holds a thread of the gateway for as long as its caller's line takes.
AT_ONCE = 32
# Shown in the browser; everything else, PDF with its scripts included, is saved.
SHOWN = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp"})
POLICY = "sandbox; default-src 'none'; img-src 'self'; frame-ancestors 'none'"

# (first byte, most bytes) → the piece
Ask = Callable[[int, int], files_pb2.Piece]


@dataclass(frozen=True)
class _Wanted:
    """The bytes from `first` up to but without `end`; without an end, to the last. A negative first counts back."""

    first: int
    end: int | None


class Downloads:
    """Carries files from services."""

    def __init__(self, stubs: Stubs) -> None:
        self._stubs = stubs
        self.places = Places(AT_ONCE)

    def answer(
        self, route: Route, environ: Mapping[str, Any], variables: Mapping[str, str], token: Callable[[], str]
    ) -> Response:
        """The file, its part, or that it has not changed. Raises Refusal, HttpRefusal or grpc.RpcError."""
        self.places.take()
        try:
            response = self._answer(route, environ, variables, token)
        except BaseException:
            self.places.leave()
            raise
        # The server closes the response when it is sent or its caller has gone.
        response.call_on_close(self.places.leave)
        return response

    def _answer(
        self, route: Route, environ: Mapping[str, Any], variables: Mapping[str, str], token: Callable[[], str]
    ) -> Response:
        request = cast(files_pb2.ReadRequest, request_of(route, environ, variables))

        def ask(first: int, most: int) -> files_pb2.Piece:
            asked = files_pb2.ReadRequest(id=request.id, file_id=request.file_id, offset=first, length=most)
            return cast(files_pb2.Piece, self._stubs.call(route, asked, token()))

        if environ["REQUEST_METHOD"] == "HEAD":
            return _head(ask(0, 1), environ)
        wanted = _wanted(environ)
        if wanted is None:
            return _whole(ask(0, PIECE), environ, ask)
        return _part(wanted, environ, ask)


def _head(piece: files_pb2.Piece, environ: Mapping[str, Any]) -> Response:
    if _is_known(piece, environ):
        return _unchanged(piece)
    return Response(headers=_headers(piece) | {"Content-Length": str(piece.total)})


def _whole(first: files_pb2.Piece, environ: Mapping[str, Any], ask: Ask) -> Response:
    if _is_known(first, environ):
        return _unchanged(first)
    headers = _headers(first) | {"Content-Length": str(first.total)}
    return Response(_body(first, 0, first.total, ask), headers=headers)


def _part(wanted: _Wanted, environ: Mapping[str, Any], ask: Ask) -> Response:
    # The last so many bytes can be asked for only when the size is known.
    most = PIECE if wanted.end is None else min(PIECE, wanted.end - wanted.first)
    first = ask(0, 1) if wanted.first < 0 else ask(wanted.first, most)
    if _is_known(first, environ):
        return _unchanged(first)
    if not _applies(first, environ):
        return _whole(ask(0, PIECE), {}, ask)
    begin = max(0, first.total + wanted.first) if wanted.first < 0 else wanted.first
    end = first.total if wanted.end is None else min(wanted.end, first.total)
    if begin >= end:
        raise HttpRefusal(
            "RANGE_NOT_SATISFIABLE",
            f"文件共 {first.total} 字节,没有所要的部分。",
            f"The file has {first.total} bytes; the range lies outside.",
            Content_Range=f"bytes */{first.total}",
        )
    if wanted.first < 0:
        first = ask(begin, PIECE)
    headers = _headers(first) | {
        "Content-Length": str(end - begin),
        "Content-Range": f"bytes {begin}-{end - 1}/{first.total}",
    }
    return Response(_body(first, begin, end, ask), 206, headers=headers)


def _wanted(environ: Mapping[str, Any]) -> _Wanted | None:
    """The one range that is asked for; what is malformed or more than one is answered with the whole file."""
    ranges = parse_range_header(environ.get("HTTP_RANGE"))
    if ranges is None or ranges.units != "bytes" or len(ranges.ranges) != 1:
        return None
    first, end = ranges.ranges[0]
    return _Wanted(first, end) if max(abs(first), end or 0) < 2**63 else None


def _applies(piece: files_pb2.Piece, environ: Mapping[str, Any]) -> bool:
    """Whether the caller's earlier part belongs to this very file (If-Range); a date proves too little."""
    given = environ.get("HTTP_IF_RANGE")
    return given is None or given.strip() == _etag(piece)


def _is_known(piece: files_pb2.Piece, environ: Mapping[str, Any]) -> bool:
    given = environ.get("HTTP_IF_NONE_MATCH")
    return bool(given) and parse_etags(given).contains_weak(piece.sha256)


def _unchanged(piece: files_pb2.Piece) -> Response:
    return Response(status=304, headers={"ETag": _etag(piece)})


def _body(first: files_pb2.Piece, begin: int, end: int, ask: Ask) -> Iterator[bytes]:
    """The bytes in order. An end before the end breaks the connection: the caller must not take it for the whole."""
    traceparent = current_traceparent()

    def pieces() -> Iterator[bytes]:
        piece, at = first, begin
        while True:
            data = piece.data[: end - at]
            at += len(data)
            yield data
            if at >= end:
                return
            with use_traceparent(traceparent):
                piece = ask(at, min(PIECE, end - at))
            if not piece.data or piece.sha256 != first.sha256:
                raise ConnectionAbortedError("the file ended early or is another one")

    return pieces()


def _headers(piece: files_pb2.Piece) -> dict[str, str]:
    kind = piece.content_type or "application/octet-stream"
    return {
        "Content-Type": kind,
        "Content-Disposition": disposition(piece.filename, shown=kind in SHOWN),
        "Content-Security-Policy": POLICY,
        "Accept-Ranges": "bytes",
        "ETag": _etag(piece),
    }


def _etag(piece: files_pb2.Piece) -> str:
    return f'"{piece.sha256}"'


def disposition(name: str, *, shown: bool) -> str:
    """Content-Disposition with the name twice: plain for old programs, in full by RFC 5987."""
    kind = "inline" if shown else "attachment"
    plain = "".join(letter if 32 <= ord(letter) < 127 and letter not in '"\\%/' else "_" for letter in name)
    return f"{kind}; filename=\"{plain or 'file'}\"; filename*=UTF-8''{quote(name or 'file', safe='')}"
