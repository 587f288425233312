"""What the API document says of routes that carry a file: the form that is sent, the bytes that come back."""

from __future__ import annotations

from typing import Any

from gateway.multipart import MEDIA_TYPE
from gateway.routes import DOWNLOAD, Route
from gateway.schemas import Schema, Schemas
from protos.files.v1 import files_pb2

_HEADER: Any = files_pb2.UploadHeader.DESCRIPTOR
_BYTES: Schema = {"type": "string", "format": "binary"}
_ASKED = (
    ("Range", "只要一部分,如 bytes=0-1023 One range of bytes."),
    ("If-Range", "文件未变时才只给这一部分 The range applies only to the file of this ETag."),
    ("If-None-Match", "文件未变则答 304 Answers 304 when the file has this ETag."),
)


def headers(route: Route) -> list[Schema]:
    """The request headers by which a caller asks for a part of a file."""
    if route.transfer != DOWNLOAD:
        return []
    return [
        {"name": name, "in": "header", "required": False, "description": said, "schema": {"type": "string"}}
        for name, said in _ASKED
    ]


def form(route: Route, schemas: Schemas) -> Schema:
    """The form of an upload. What the header does not know goes on as an option, as the RPC's comment lists them."""
    in_path = {one.name for one in route.variables}
    fields = [one for one in _HEADER.fields if one.name not in in_path and not one.is_repeated]
    most = f"{route.max_bytes / (1 << 20):g} MiB"
    file = _BYTES | {"title": "文件", "description": f"放在最后,至多 {most} The file, last; at most {most}."}
    # The part that holds the file names it and its type.
    properties = {one.name: _optional(schemas.field(one, sent=True)) for one in fields} | {"file": file}
    schema = {
        "title": "Upload",
        "type": "object",
        "properties": properties,
        "required": ["file"],
        "additionalProperties": {"type": "string", "maxLength": 2000},
    }
    return {"required": True, "content": {MEDIA_TYPE: {"schema": schema}}}


def answers(route: Route, content: Schema) -> Schema:
    """How it goes when it goes well, by status. `content` is what a reply in JSON looks like."""
    if route.transfer == DOWNLOAD:
        file = {"*/*": {"schema": dict(_BYTES)}}
        return {
            "200": {"description": "整个文件 The whole file", "content": file},
            "206": {"description": "文件的一部分 The range that was asked for", "content": file},
            "304": {"description": "文件未变 Not modified"},
        }
    if route.accepted:
        return {"202": {"description": "已接收,正在处理 Accepted; the work goes on", "content": content}}
    return {"200": {"description": "成功 OK", "content": content}}


def _optional(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name != "minLength"}
