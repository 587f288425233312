"""The OpenAPI 3.1 document, made from the same contracts as the routes."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from typing import Any

from gateway import comments as contract_comments
from gateway import documents, examples, live_docs, session_docs, transfer_docs
from gateway.declared import is_personal, is_required
from gateway.problems import CONTENT_TYPE, KINDS
from gateway.routes import DOWNLOAD, UPLOAD, Parameter, Route
from gateway.schemas import Schema, Schemas

TITLE = "综治中心接口 Governance centre API"
INTRODUCTION = (
    "信访、调解等业务的 HTTP 接口。先用 POST /v1/session 登录,再把得到的令牌放进每个请求的 Authorization 头。"
    "出错时返回 application/problem+json:detail 说明原因和改正办法,violations 逐项列出有误的字段,"
    "instance 是追踪编号。\n\n"
    "Sign in with POST /v1/session and send the token in the header Authorization of every request. Errors are "
    "application/problem+json: detail says what to do, violations name the wrong fields, instance is the trace id."
)
_JSON = "application/json"
_PROBLEM: Schema = {
    "type": "object",
    "description": "RFC 9457. 中文在前 Chinese first.",
    "required": ["type", "title", "status", "detail", "instance", "reason"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "出了什么问题、怎样改正 What is wrong and what to do"},
        "instance": {"type": "string", "description": "追踪编号 Trace id"},
        "reason": {"type": "string", "description": "供程序判断的原因 Reason for programs"},
        "violations": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
        "details": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
_METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE")
_ALWAYS = (400, 401, 403, 404, 429, 500, 503, 504)
_WHEN_CHANGING = (409, 413, 415)
_WHEN_READING_A_FILE = (416,)


def version() -> str:
    """The installed release."""
    try:
        return importlib.metadata.version("zongzhi")
    except importlib.metadata.PackageNotFoundError:
        return "0"


def document(routes: Sequence[Route], comments: dict[str, str] | None = None) -> dict[str, Any]:
    """The whole document. Without comments of the contracts it is complete, only less talkative."""
    told = contract_comments.load() if comments is None else comments
    schemas = Schemas(told)
    paths: dict[str, Any] = _own_paths() | live_docs.paths()
    taken = {operation["operationId"] for methods in paths.values() for operation in methods.values()}
    for route in routes:
        # OpenAPI has no place for methods of one's own making.
        if route.http_method not in _METHODS:
            continue
        operation = _operation(route, schemas, told) | {"operationId": _unused(route, taken)}
        taken.add(operation["operationId"])
        paths.setdefault(route.path, {})[route.http_method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": version(), "description": INTRODUCTION, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": "/"}],
        "tags": _tags(routes, told),
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "responses": {f"Problem{status}": _problem_response(status) for status in sorted(_statuses())},
            "schemas": {"Problem": _PROBLEM, **dict(sorted(schemas.components.items()))},
        },
    }


def _tags(routes: Sequence[Route], told: dict[str, str]) -> list[Schema]:
    services = dict.fromkeys(route.method.containing_service for route in routes)
    named = [{"name": one.name, "description": told.get(one.full_name, "")} for one in services]
    return [{"name": "Gateway", "description": "登录与探活 Signing in, and probes."}, *named]


def _operation(route: Route, schemas: Schemas, told: dict[str, str]) -> Schema:
    access, in_path = route.access, {p.name for p in route.variables}
    operation: Schema = {
        "tags": [route.method.containing_service.name],
        "summary": f"{access.title_zh} {route.method.name}".strip(),
        "description": told.get(route.method.full_name, ""),
        "x-permission": access.permission,
        "x-permission-title": access.title_zh,
        "x-grpc-method": route.full_method,
        "parameters": [_parameter(p, "path", schemas) for p in route.variables]
        + [_parameter(p, "query", schemas) for p in route.query.values()]
        + transfer_docs.headers(route),
        "responses": _responses(route, schemas),
    }
    if access.reveals:
        operation["x-reveals"] = True
    if access.open:
        operation["security"] = []
    if route.transfer == UPLOAD:
        operation["requestBody"] = transfer_docs.form(route, schemas)
    elif route.body:
        operation["requestBody"] = _request_body(route, schemas, told, in_path)
    return operation


def _unused(route: Route, taken: set[str]) -> str:
    """The RPC's name; with its service and a number where another has that name, or the RPC has several paths."""
    name, again = route.method.name, f"{route.method.containing_service.name}.{route.method.name}"
    candidates = (name, again, *(f"{again}.{number}" for number in range(2, len(taken) + 3)))
    return next(one for one in candidates if one not in taken)


def _parameter(parameter: Parameter, place: str, schemas: Schemas) -> Schema:
    schema = schemas.field(parameter.field, sent=True)
    said = schema.pop("description", "")
    shown: Schema = {"name": parameter.name, "in": place, "required": place == "path" or is_required(parameter.field)}
    if said:
        shown["description"] = said
    if place == "query" and parameter.field.is_repeated:
        shown |= {"style": "form", "explode": True}
    if is_personal(parameter.field):
        shown["x-personal"] = True
    return shown | {"schema": schema}


def _request_body(route: Route, schemas: Schemas, told: dict[str, str], in_path: set[str]) -> Schema:
    message, without = route.method.input_type, in_path
    inner = message.fields_by_name[route.body].message_type if route.body != "*" else None
    if inner is not None:
        message, without = inner, set()
    content = {"schema": schemas.body(message, without), "example": examples.of(message, told, without)}
    return {"required": bool(content["schema"].get("required")), "content": {_JSON: content}}


def _responses(route: Route, schemas: Schemas) -> Schema:
    reply = route.method.output_type
    schema = (
        schemas.field(reply.fields_by_name[route.response_body], sent=False)
        if route.response_body
        else schemas.reply(reply)
    )
    further = _WHEN_READING_A_FILE if route.transfer == DOWNLOAD else _WHEN_CHANGING
    statuses = sorted({*_ALWAYS, *(() if route.http_method == "GET" and not route.transfer else further)})
    return {
        **transfer_docs.answers(
            route, documents.content() if documents.is_document(reply) else {_JSON: {"schema": schema}}
        ),
        **{str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in statuses},
    }


def _statuses() -> set[int]:
    return {*_ALWAYS, *_WHEN_CHANGING, *_WHEN_READING_A_FILE}


def _problem_response(status: int) -> Schema:
    titles = dict.fromkeys(kind.title for kind in KINDS.values() if kind.status == status)
    content = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": ";".join(titles), "content": content}


def _own_paths() -> dict[str, Any]:
    """What the gateway answers itself."""
    health = {"type": "object", "required": ["status"], "properties": {"status": {"const": "ok"}}}
    ready = {
        "type": "object",
        "required": ["ready", "services"],
        "properties": {
            "ready": {"type": "boolean"},
            "services": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }
    readiness = _own("getReadiness", "就绪检查", "Whether every service that the paths need answers.", ready)
    readiness["responses"]["503"] = {"description": "未就绪 Not ready", "content": {_JSON: {"schema": ready}}}
    return {
        **session_docs.paths(frozenset(_statuses())),
        "/healthz": {"get": _own("getHealth", "存活检查", "Whether the gateway itself answers.", health)},
        "/readyz": {"get": readiness},
    }


def _own(name: str, zh: str, en: str, schema: Schema) -> dict[str, Any]:
    return {
        "operationId": name,
        "tags": ["Gateway"],
        "summary": f"{zh} {name}",
        "description": en,
        "security": [],
        "parameters": [],
        "responses": {"200": {"description": "成功 OK", "content": {_JSON: {"schema": schema}}}},
    }
