"""Papers that an RPC made: a reply of the type zongzhi.files.v1.Document is answered as the file that it holds."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from google.protobuf.descriptor import Descriptor
from werkzeug import Response

from protos.files.v1.files_pb2 import Document

# What a paper may be. Anything else is handed over for download only, so that no browser runs it.
SHOWN = ("text/html", "application/pdf")
OTHER = "application/octet-stream"
# A paper brings its own style and nothing else: no script, nothing from elsewhere.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def is_document(reply: Descriptor) -> bool:
    """Whether a reply of this type is answered as a file."""
    return reply.full_name == Document.DESCRIPTOR.full_name


def answer(paper: Any) -> Response:
    """The file, with its own type and name."""
    kind = paper.content_type.partition(";")[0].strip().lower()
    shown = kind in SHOWN
    response = Response(paper.data, content_type=paper.content_type if shown else OTHER)
    place, name = "inline" if shown else "attachment", paper.filename or "document"
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_" for letter in name)
    response.headers["Content-Disposition"] = f"{place}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    response.headers["Content-Security-Policy"] = POLICY
    return response


def content() -> dict[str, Any]:
    """The same for the API document."""
    return {kind: {"schema": {"type": "string", "contentMediaType": kind}} for kind in (*SHOWN, OTHER)}
