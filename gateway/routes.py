"""Routes, derived from the `google.api.http` annotations of the contracts. Adding an RPC needs no code here."""

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
from services.chassis import access


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
    return sorted((one for one in access.services() if any(_rules(m) for m in one.methods)), key=lambda s: s.full_name)


def routes_of(services: Iterable[ServiceDescriptor]) -> list[Route]:
    """All routes of these services. Raises BadTemplate naming the RPC whose annotation cannot be served."""
    return [_route(method, rule) for one in services for method in one.methods for rule in _rules(method)]


def neighbour(service: ServiceDescriptor) -> str:
    """The name that settings and deployments call a service by: `zongzhi.petition.v1.…` → `petition`."""
    package = service.file.package.split(".")
    return next(part for part in reversed(package) if not (part[:1] == "v" and part[1:2].isdigit()))


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
