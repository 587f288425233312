"""Routes, derived from what the contracts declare. Adding an RPC needs no code here.

`google.api.http` gives a path to an RPC that takes and answers JSON, the option `transfer` to one that carries a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gateway import declared
from gateway.paths import BadTemplate, Template, compile_template
from protos.files.v1 import files_pb2
from services.chassis import access

UPLOAD, DOWNLOAD = "upload", "download"
LARGEST_FILE = 20 * 1024 * 1024


@dataclass(frozen=True)
class Parameter:
    """A query parameter or path variable: its name, which may have dots, and the field that it fills."""

    name: str
    field: FieldDescriptor


@dataclass(frozen=True)
class Route:
    """One HTTP method and path, and the RPC that answers there."""

    http_method: str
    template: Template
    method: MethodDescriptor
    # Name of the neighbour that answers, as the settings know it.
    service: str
    # Field that is the body; "*": all that the path does not hold; "": there is no body.
    body: str
    # Field of the reply that is the answer; "": the whole reply.
    response_body: str
    request_type: type[Message]
    response_type: type[Message]
    variables: tuple[Parameter, ...]
    query: dict[str, Parameter] = field(compare=False, hash=False)
    # UPLOAD or DOWNLOAD; "": it carries no file.
    transfer: str = ""
    # An upload's largest file, and whether its answer says that the work goes on.
    max_bytes: int = 0
    accepted: bool = False

    @property
    def full_method(self) -> str:
        """`/package.Service/Method`."""
        return f"/{self.method.containing_service.full_name}/{self.method.name}"

    @property
    def path(self) -> str:
        """The path with its variables in braces: what logs and spans may hold."""
        return self.template.openapi

    @property
    def access(self) -> Any:
        """The permission that the contract demands, with its Chinese name."""
        return declared.access(self.method)


def served() -> list[ServiceDescriptor]:
    """Every service of the contracts that declares an HTTP path, in the order of their names."""
    return sorted((one for one in access.services() if any(_routes(one))), key=lambda s: s.full_name)


def routes_of(services: Iterable[ServiceDescriptor]) -> list[Route]:
    """All routes of these services. Raises BadTemplate naming the RPC whose annotation cannot be served."""
    return [route for one in services for route in _routes(one)]


def neighbour(service: ServiceDescriptor) -> str:
    """The name that settings and deployments call a service by: `zongzhi.petition.v1.…` → `petition`."""
    package = service.file.package.split(".")
    return next(part for part in reversed(package) if not (part[:1] == "v" and part[1:2].isdigit()))


def _routes(service: ServiceDescriptor) -> Iterator[Route]:
    for method in service.methods:
        yield from (_route(method, rule) for rule in _rules(method))
        declares = declared.transfer(method)
        if declares is not None and declares.upload:
            yield _upload(method, declares)
        if declares is not None and declares.download:
            yield _download(method, declares)


def _rules(method: MethodDescriptor) -> Iterator[http_pb2.HttpRule]:
    options = method.GetOptions()
    if options.HasExtension(annotations_pb2.http):
        rule = options.Extensions[annotations_pb2.http]
        yield rule
        yield from rule.additional_bindings


def _route(method: MethodDescriptor, rule: http_pb2.HttpRule) -> Route:
    if method.client_streaming or method.server_streaming:
        raise BadTemplate(
            f"{method.full_name}:流式接口不能由 HTTP 路径提供。 A streaming RPC cannot have an HTTP path."
        )
    http_method, path = _verb_and_path(rule)
    template = compile_template(path)
    request = method.input_type
    variables = tuple(Parameter(name, _field(request, name, method)) for name in template.variables)
    body = rule.body
    if body not in ("", "*"):
        _field(request, body, method)
    return Route(
        http_method,
        template,
        method,
        neighbour(method.containing_service),
        body,
        rule.response_body,
        GetMessageClass(request),
        GetMessageClass(method.output_type),
        variables,
        {} if body == "*" else {p.name: p for p in _query(request, {*template.variables, body})},
    )


def _upload(method: MethodDescriptor, declares: Any) -> Route:
    if not method.client_streaming or method.server_streaming or method.input_type != files_pb2.Upload.DESCRIPTOR:
        raise BadTemplate(
            f"{method.full_name}:上传接口须接收 zongzhi.files.v1.Upload 流。 An upload takes a stream of Upload."
        )
    header = method.input_type.fields_by_name["header"].message_type
    assert header is not None  # noqa: S101 - Upload has one
    template = compile_template(declares.upload)
    return Route(
        "POST",
        template,
        method,
        neighbour(method.containing_service),
        "*",
        "",
        files_pb2.Upload,
        GetMessageClass(method.output_type),
        tuple(Parameter(name, _field(header, name, method)) for name in template.variables),
        {},
        UPLOAD,
        declares.max_bytes or LARGEST_FILE,
        declares.accepted,
    )


def _download(method: MethodDescriptor, declares: Any) -> Route:
    kinds = (method.input_type, method.output_type)
    if (
        method.client_streaming
        or method.server_streaming
        or kinds != (files_pb2.ReadRequest.DESCRIPTOR, files_pb2.Piece.DESCRIPTOR)
    ):
        raise BadTemplate(
            f"{method.full_name}:下载接口须接收 ReadRequest、返回 Piece。 A download takes ReadRequest, answers Piece."
        )
    request, template = method.input_type, compile_template(declares.download)
    # Which bytes is said by HTTP's own Range.
    taken = {*template.variables, "offset", "length"}
    return Route(
        "GET",
        template,
        method,
        neighbour(method.containing_service),
        "",
        "",
        files_pb2.ReadRequest,
        files_pb2.Piece,
        tuple(Parameter(name, _field(request, name, method)) for name in template.variables),
        {p.name: p for p in _query(request, taken)},
        DOWNLOAD,
    )


def _verb_and_path(rule: http_pb2.HttpRule) -> tuple[str, str]:
    kind = str(rule.WhichOneof("pattern"))
    return (rule.custom.kind.upper(), rule.custom.path) if kind == "custom" else (kind.upper(), getattr(rule, kind))


def _field(message: Descriptor, path: str, method: MethodDescriptor) -> FieldDescriptor:
    *outer, last = path.split(".")
    inner: Descriptor | None = message
    for name in outer:
        inner = inner.fields_by_name[name].message_type if inner and name in inner.fields_by_name else None
    if inner is None or last not in inner.fields_by_name:
        raise BadTemplate(f"{method.full_name}:没有字段 {path}。 There is no field {path}.")
    return inner.fields_by_name[last]


def _query(message: Descriptor, taken: set[str], prefix: str = "", depth: int = 0) -> Iterator[Parameter]:
    """Every field that a query can fill: scalars and enums, also repeated, also inside messages with dots."""
    for one in message.fields:
        name = prefix + one.name
        if name in taken:
            continue
        if one.message_type is None or one.message_type.full_name.startswith("google.protobuf."):
            yield Parameter(name, one)
        elif not one.is_repeated and depth < 3:
            yield from _query(one.message_type, taken, f"{name}.", depth + 1)
