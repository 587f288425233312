"""The documentation page, rendered once from the OpenAPI document. It needs no script, no cookie and no other host."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from gateway.multipart import MEDIA_TYPE
from gateway.problems import KINDS, type_of
from services.chassis.validation import MAX_LENGTH

HERE = Path(__file__).parent
_ORIGIN = "https://origin.invalid"
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?").fullmatch
_METHODS = ("get", "put", "post", "delete", "patch")
_FORMATS = {"date-time": "时间", "binary": "文件"}


def render(document: dict[str, Any]) -> str:
    """The page. `at_origin` fills in where the reader found it."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["code"] = _with_code
    groups = [(tag, [op for op in _operations(document) if tag["name"] in op["tags"]]) for tag in document["tags"]]
    return environment.get_template("docs.html").render(
        document=document,
        groups=[(tag, operations) for tag, operations in groups if operations],
        origin=_ORIGIN,
        problems=[(type_of(code).partition("#")[2], code, kind) for code, kind in KINDS.items() if code != "OK"],
        schemas=_shown_schemas(document),
        curl=curl,
        answer=_answer,
        rows=lambda schema: list(_rows(schema, document)),
        anchor=_anchor,
        pretty=lambda value: json.dumps(value, ensure_ascii=False, indent=2),
    )


def at_origin(page: str, environ: Mapping[str, Any]) -> str:
    """The page with the address by which its reader reached it, so that the curl lines work as they stand."""
    host = str(environ.get("HTTP_HOST") or "")
    if not _HOST(host):
        host = "127.0.0.1:8080"
    scheme = "https" if environ.get("wsgi.url_scheme") == "https" else "http"
    return page.replace(_ORIGIN, f"{scheme}://{host}")


def curl(operation: dict[str, Any]) -> str:
    """A line to copy into a shell. $ID and $TOKEN stand for what the reader has."""
    path = re.sub(r"\{([A-Za-z0-9_.]+)\}", lambda found: "$" + found[1].upper().replace(".", "_"), operation["path"])
    parts = [f'curl -sS{_method(operation)} "{_ORIGIN}{path}{_query(operation)}"']
    if operation.get("security") is None:
        parts.append('-H "Authorization: Bearer $TOKEN"')
    example = _example(operation)
    if _form(operation):
        parts.append("-F 'file=@/path/to/file'")
    elif example is not None:
        parts.append("-H 'Content-Type: application/json'")
        parts.append(f"-d {_quoted(json.dumps(example, ensure_ascii=False))}")
    return " \\\n  ".join(parts)


def _method(operation: dict[str, Any]) -> str:
    implied = "POST" if "requestBody" in operation else "GET"
    return "" if operation["method"] == implied else f" -X {operation['method']}"


def _query(operation: dict[str, Any]) -> str:
    needed = [one["name"] for one in operation["parameters"] if one["in"] == "query" and one["required"]]
    return "?" + "&".join(f"{name}=${name.upper()}" for name in needed) if needed else ""


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\"'\"'") + "'"


def _example(operation: dict[str, Any]) -> Any:
    return _content(operation["requestBody"]).get("example") if "requestBody" in operation else None


def _content(described: dict[str, Any]) -> dict[str, Any]:
    """The one media type of a body or an answer; {} when it has none."""
    return next(iter(described.get("content", {}).values()), {})


def _form(operation: dict[str, Any]) -> bool:
    return MEDIA_TYPE in operation.get("requestBody", {}).get("content", {})


def _answer(operation: dict[str, Any]) -> dict[str, Any]:
    """What comes back when it goes well."""
    status = next(one for one in operation["responses"] if one.startswith("2"))
    found: dict[str, Any] = _content(operation["responses"][status]).get("schema", {})
    return found


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                operation = {"path": path, "method": method.upper(), **methods[method]}
                yield operation | {"fields": list(_fields(operation, document)), "example": _example(operation)}


def _fields(operation: dict[str, Any], document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Everything that a caller fills in: path, query, body, bodies inside bodies by their dotted path."""
    places = {"path": "网址", "query": "查询", "header": "请求头"}
    for one in operation["parameters"]:
        row = _row(one["name"], one["schema"], one["required"], document)
        said = [one.get("description", ""), row["said"]]
        yield row | {"place": places[one["in"]], "said": " ".join(part for part in said if part)}
    body = operation.get("requestBody")
    if body:
        place = "表单" if _form(operation) else "内容"
        yield from ({**row, "place": place} for row in _rows(_content(body)["schema"], document, 3))


def _rows(
    schema: dict[str, Any], document: dict[str, Any], depth: int = 1, prefix: str = ""
) -> Iterator[dict[str, Any]]:
    for name, field in schema.get("properties", {}).items():
        yield _row(prefix + name, field, name in schema.get("required", ()), document)
        inner = _resolved(field.get("items", field), document)
        if depth > 1 and "properties" in inner:
            yield from _rows(inner, document, depth - 1, f"{prefix}{name}{'[]' if 'items' in field else ''}.")


def _row(name: str, field: dict[str, Any], required: bool, document: dict[str, Any]) -> dict[str, Any]:
    one = field.get("items", field)
    refers = one.get("$ref", "").rpartition("/")[2]
    return {
        "name": name,
        "title": field.get("title", ""),
        "required": required,
        "type": _type(one, refers, document) + (" 的列表" if "items" in field else ""),
        "refers": refers.removesuffix("-sent"),
        "limits": ",".join(_limits(field)),
        "said": field.get("description", ""),
        "personal": field.get("x-personal", False),
        "choices": _choices(one, document),
    }


def _type(one: dict[str, Any], refers: str, document: dict[str, Any]) -> str:
    if refers:
        return "选项" if "enum" in _resolved(one, document) else "对象"
    kind = one.get("type", "")
    kinds = {"string": "文本", "integer": "整数", "boolean": "是/否", "object": "对象", "array": "列表", "number": "数"}
    if one.get("format") in _FORMATS:
        return _FORMATS[one["format"]]
    return "整数" if one.get("format") == "int64" else kinds.get(kind if isinstance(kind, str) else kind[0], "")


def _limits(field: dict[str, Any]) -> Iterator[str]:
    one = field.get("items", {})
    if field.get("minItems"):
        yield f"至少 {field['minItems']} 项"
    if "maxItems" in field:
        yield f"至多 {field['maxItems']} 项"
    if field.get("minLength", 0) > 1:
        yield f"至少 {field['minLength']} 字"
    longest = (one or field).get("maxLength", MAX_LENGTH)
    if longest != MAX_LENGTH:
        yield f"至多 {longest} 字"
    if "maximum" in field and field["maximum"] < 2**31 - 1:
        yield f"{field['minimum']}–{field['maximum']}"


def _choices(one: dict[str, Any], document: dict[str, Any]) -> list[tuple[str, str]]:
    resolved = _resolved(one, document)
    left_out = one.get("not", {}).get("enum", [])
    titles = resolved.get("x-enum-titles", {})
    return [
        (name, titles.get(name, "")) for name in resolved.get("enum", []) if name not in left_out and name in titles
    ]


def _resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = document["components"]["schemas"][name] if name else schema
    return found


def _shown_schemas(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    every = document["components"]["schemas"].items()
    return [(name, schema) for name, schema in every if name != "Problem" and not name.endswith("-sent")]


def _anchor(name: str) -> str:
    return "schema-" + name.replace(".", "-").lower()


def _with_code(text: str) -> Markup:
    """`name` in comments becomes code; everything else is escaped."""
    parts = re.split(r"`([^`]+)`", text)
    return Markup("").join(Markup("<code>%s</code>") % part if i % 2 else escape(part) for i, part in enumerate(parts))
