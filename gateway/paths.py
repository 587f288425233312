"""Path templates of `google.api.http`: `/v1/petitions/{id}:accept`, `/v1/{name=offices/*}`. Matching and finding."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Generic, TypeVar

_VARIABLE = re.compile(r"\{([A-Za-z0-9_.]+)(?:=([^{}]+))?\}")
# A single segment holds no colon, so that `:accept` is always the verb.
_ONE = "[^/:]+"
_MANY = "[^:]+"


class BadTemplate(Exception):
    """A contract declares a path that HTTP cannot serve; the message names it."""


@dataclass(frozen=True)
class Template:
    """A compiled path template: its text, its variables in order, and the pattern that finds their values."""

    text: str
    variables: tuple[str, ...]
    pattern: re.Pattern[str]
    # Literal segments before the first variable win over variables: /v1/petitions/today before /v1/petitions/{id}.
    rank: str

    def match(self, path: str) -> dict[str, str] | None:
        """The values of the variables; None when the path is another."""
        found = self.pattern.fullmatch(path)
        return dict(zip(self.variables, found.groups(), strict=True)) if found else None

    @property
    def openapi(self) -> str:
        """The path as OpenAPI and people write it, without the patterns of variables."""
        return _VARIABLE.sub(lambda found: "{" + found[1] + "}", self.text)


def compile_template(text: str) -> Template:
    """Compiles a template. Raises BadTemplate."""
    if not text.startswith("/") or "//" in text:
        raise BadTemplate(f"google.api.http 路径 {text!r} 无效。 The path {text!r} in google.api.http is not valid.")
    pattern, rank, variables, at = "", "", [], 0
    for variable in _VARIABLE.finditer(text):
        literal = text[at : variable.start()]
        variables.append(variable[1])
        pattern += _literal(literal) + f"({_literal(variable[2] or '*')})"
        rank += literal + "\uffff"
        at = variable.end()
    pattern += _literal(text[at:])
    if set("{}") & set(_VARIABLE.sub("", text)) or len(set(variables)) < len(variables):
        raise BadTemplate(f"google.api.http 路径 {text!r} 无效。 The path {text!r} in google.api.http is not valid.")
    return Template(text, tuple(variables), re.compile(pattern), rank + text[at:])


def _literal(text: str) -> str:
    return re.escape(text).replace(r"\*\*", _MANY).replace(r"\*", _ONE)


Target = TypeVar("Target")


class Paths(Generic[Target]):
    """Finds what answers a method and a path."""

    def __init__(self) -> None:
        self._exact: dict[str, dict[str, tuple[Template, Target]]] = {}
        self._by_shape: dict[tuple[int, str], list[tuple[Template, dict[str, tuple[Template, Target]]]]] = {}
        self._deep: list[tuple[Template, dict[str, tuple[Template, Target]]]] = []

    def add(self, method: str, template: Template, target: Target) -> None:
        """Serves a method and a path. Raises BadTemplate when both are taken."""
        methods = self._exact.setdefault(template.pattern.pattern, {})
        if not methods:
            group = (
                self._deep
                if _MANY in template.pattern.pattern
                else self._by_shape.setdefault(_shape(template.openapi), [])
            )
            group.append((template, methods))
            group.sort(key=lambda entry: entry[0].rank)
        if method in methods:
            taken = f"{method} {template.text}"
            raise BadTemplate(f"两个接口都声明了 {taken}。 Two RPCs declare {taken}.")
        methods[method] = (template, target)

    def find(self, path: str) -> list[tuple[dict[str, tuple[Template, Target]], dict[str, str]]]:
        """Every template that the path fits, the most literal first: targets by method, and the variables' values."""
        found = []
        for template, methods in (*self._by_shape.get(_shape(path), ()), *self._deep):
            values = template.match(path)
            if values is not None:
                found.append((methods, values))
        return found


def _shape(path: str) -> tuple[int, str]:
    """Segments and verb, by which most templates are told apart without trying them."""
    _, _, last = path.rpartition("/")
    return path.count("/"), last.partition(":")[2] if ":" in last else ""
