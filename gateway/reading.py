"""HTTP request → gRPC request. Everything that is wrong is said at once, and nothing of what was sent is repeated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import get_input_stream

from gateway import json_in
from gateway.json_in import Report
from gateway.problems import HttpRefusal, invalid
from gateway.routes import Parameter, Route
from services.chassis.refusal import Invalid

LARGEST_BODY = 1024 * 1024
# Read and thrown away, so that the caller hears the answer instead of a broken connection.
LARGEST_DRAINED = 16 * LARGEST_BODY
_CHUNK = 65536
_TOO_LARGE = HttpRefusal(
    "CONTENT_TOO_LARGE",
    "请求内容超过 1 MiB,请缩短后重试;文件请另行上传。",
    "The body is larger than 1 MiB; shorten it and try again. Files are uploaded elsewhere.",
)
_MOST_PARAMETERS = 1000


def request_of(route: Route, environ: Mapping[str, Any], variables: Mapping[str, str]) -> Message:
    """The gRPC request. Raises Invalid or HttpRefusal."""
    report = Report()
    document = _document(route, environ)
    _add_query(route, environ.get("QUERY_STRING", ""), document, report)
    for parameter in route.variables:
        _put_variable(document, parameter, variables[parameter.name], report)
    found = json_in.parse(route.request_type, document, report)
    if found is None:
        raise invalid(report.violations)
    return found


def read_json(environ: Mapping[str, Any]) -> dict[str, Any]:
    """The body as a JSON object; {} when there is none. Raises Invalid or HttpRefusal."""
    text = _body(environ)
    if not text.strip():
        return {}
    _check_content_type(environ.get("CONTENT_TYPE", ""))
    try:
        document = json_in.loads(text)
    except (ValueError, RecursionError) as error:
        raise _bad_json(error) from None
    if not isinstance(document, dict):
        raise Invalid(
            "(body)", "请求内容应为 JSON 对象 {…}。", "The body must be a JSON object {…}.", reason="JSON_INVALID"
        )
    return document


def _document(route: Route, environ: Mapping[str, Any]) -> dict[str, Any]:
    if not route.body:
        return {}
    document = read_json(environ)
    return document if route.body == "*" else {route.body: document}


def _body(environ: Mapping[str, Any]) -> bytes:
    try:
        announced = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        raise HttpRefusal("INVALID_ARGUMENT", "Content-Length 无效。", "Content-Length is not a number.") from None
    stream = get_input_stream(dict(environ))
    try:
        text: bytes = b"" if announced > LARGEST_BODY else stream.read(LARGEST_BODY + 1)
        if announced > LARGEST_BODY or len(text) > LARGEST_BODY:
            left = LARGEST_DRAINED
            while left > 0 and (chunk := stream.read(min(_CHUNK, left))):
                left -= len(chunk)
            raise _TOO_LARGE
    except (ClientDisconnected, OSError):
        raise HttpRefusal("INVALID_ARGUMENT", "请求内容不完整。", "The body broke off.") from None
    return text


def _check_content_type(given: str) -> None:
    kind, _, parameters = given.partition(";")
    charset = parameters.replace(" ", "").replace('"', "").lower()
    if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8", "charset=utf8"):
        raise HttpRefusal(
            "UNSUPPORTED_MEDIA_TYPE",
            "请以 UTF-8 编码的 JSON 发送,并注明 Content-Type: application/json。",
            "Send JSON in UTF-8 and say Content-Type: application/json.",
            Accept="application/json",
        )


def _bad_json(error: Exception) -> Invalid:
    where_zh = where_en = ""
    line, column = getattr(error, "lineno", 0), getattr(error, "colno", 0)
    if line:
        where_zh, where_en = f"(第 {line} 行第 {column} 列附近)", f" (near line {line}, column {column})"
    return Invalid(
        "(body)",
        f"请求内容不是有效的 JSON{where_zh},请检查引号、逗号、括号和 UTF-8 编码,且同一项不要写两次。",
        f"The body is not valid JSON{where_en}; check quotes, commas, brackets and UTF-8, and give no key twice.",
        reason="JSON_INVALID",
    )


def _add_query(route: Route, query: str, document: dict[str, Any], report: Report) -> None:
    if not query:
        return
    try:
        pairs = parse_qsl(query, True, encoding="utf-8", errors="strict", max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise Invalid(
            "(query)", "查询参数过多或不是 UTF-8 编码。", "The query has too many parameters or is not in UTF-8."
        ) from None
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    for name, values in given.items():
        parameter = route.query.get(name) or route.query.get(_snake(name))
        if parameter is None:
            report.add(json_in.shown_name(name), *json_in.suggestion(name, list(route.query)))
        elif len(values) > 1 and not parameter.field.is_repeated:
            report.add(name, "只能填写一次", "may be given only once")
        else:
            found = [_from_text(parameter.field, value) for value in values]
            _put(document, parameter.name, found if parameter.field.is_repeated else found[0])


def _put_variable(document: dict[str, Any], parameter: Parameter, value: str, report: Report) -> None:
    before = _put(document, parameter.name, _from_text(parameter.field, value))
    if before is not None and str(before) != value:
        report.add(
            parameter.name,
            "与网址中的不一致,请改为一致或从请求内容中删去",
            "differs from the one in the path; leave it out of the body",
        )


def _put(document: dict[str, Any], path: str, value: Any) -> Any:
    """Sets a value, by dots also inside objects, and returns what stood there."""
    *outer, last = path.split(".")
    for name in outer:
        inner = document.setdefault(name, {})
        if not isinstance(inner, dict):
            return None
        document = inner
    camel = _camel(last)
    before = document.pop(camel, None) if camel != last else None
    before = document.get(last, before)
    document[last] = value
    return before


def _from_text(field: FieldDescriptor, text: str) -> Any:
    """Path and query hold texts only; JSON tells true from "true"."""
    if field.type == FieldDescriptor.TYPE_BOOL:
        return {"true": True, "false": False}.get(text, text)
    if field.enum_type is not None and text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    return text


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
