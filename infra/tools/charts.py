"""From each chart's annotated values.yaml: values.schema.json, which refuses unknown keys, and the table in README.md.

    python -m infra.tools.charts            write what has changed
    python -m infra.tools.charts --check    exit 1 when something would change

A value is described by the comments above it: `# -- 中文 · English`, and `# @ {…}` with whatever JSON Schema should say
beyond the type of the default. An object whose keys are free says so by `additionalProperties`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CHARTS = Path(__file__).parent.parent.parent / "charts"
TIERS = ("district", "town", "village")
BEGIN, END = "<!-- values -->", "<!-- /values -->"
QUANTITIES = {"type": "object", "additionalProperties": {"type": ["string", "number"]}}
DEFINITIONS = {
    "resources": {
        "type": "object", "additionalProperties": False, "properties": {"requests": QUANTITIES, "limits": QUANTITIES},
    },
}  # fmt: skip
# Helm hands values of the library down under its name; there are none but the global ones.
LIBRARY = {"type": "object", "additionalProperties": False, "properties": {"global": {"type": "object"}}}
Json = dict[str, Any]


class NotDescribed(Exception):
    """A value without a comment that says what it is."""


@dataclass
class Value:
    """One key of values.yaml, and those under it."""

    path: str
    default: Any
    description: str = ""
    fragment: Json = field(default_factory=dict)
    children: list[Value] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition(".")[2]

    @property
    def is_free(self) -> bool:
        """Whether what is inside is not ours to name."""
        return "additionalProperties" in self.fragment or "$ref" in self.fragment

    def schema(self) -> Json:
        """What the value may be."""
        if "$ref" in self.fragment:
            return dict(self.fragment)
        found: Json = {"type": type_of(self.default), **self.fragment}
        if self.children and not self.is_free:
            found["additionalProperties"] = False
            found["properties"] = {child.name: child.schema() for child in self.children}
        if self.description:
            found = {"description": self.description, **found}
        return found

    def leaves(self) -> Iterator[Value]:
        """The values that a person sets: each a row of the table."""
        if self.children and not self.is_free:
            for child in self.children:
                yield from child.leaves()
        else:
            yield self


def type_of(default: Any) -> str:
    """JSON Schema's name for the type of a default."""
    kinds: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    return kinds.get(type(default), "object")


def read(text: str) -> list[Value]:
    """The values of a file, in its order. Raises NotDescribed."""
    root = yaml.compose(text)
    if not isinstance(root, yaml.MappingNode):
        raise NotDescribed("values.yaml")
    found = list(_children(root, yaml.safe_load(text), text.splitlines(), ""))
    for leaf in (leaf for value in found for leaf in value.leaves()):
        if not leaf.description:
            raise NotDescribed(f"{leaf.path}:请在上一行写 # -- 说明。 Say what it is in a line above, # -- …")
    return found


def _children(node: yaml.MappingNode, defaults: Json, lines: Sequence[str], prefix: str) -> Iterator[Value]:
    for key, inside in node.value:
        value = Value(f"{prefix}{key.value}", defaults[key.value])
        _describe(value, _comments_above(lines, key.start_mark.line))
        if isinstance(inside, yaml.MappingNode):
            value.children = list(_children(inside, value.default, lines, f"{value.path}."))
        yield value


def _comments_above(lines: Sequence[str], line: int) -> list[str]:
    found: list[str] = []
    while line and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        found.insert(0, lines[line].strip())
    return found


def _describe(value: Value, comments: Sequence[str]) -> None:
    for comment in comments:
        if comment.startswith("# @ "):
            value.fragment |= json.loads(comment.removeprefix("# @ "))
        elif comment.startswith("# -- "):
            value.description = comment.removeprefix("# -- ")


def schema(values: Sequence[Value]) -> str:
    """The file values.schema.json."""
    properties = {value.name: value.schema() for value in values} | {"common": LIBRARY}
    found = {
        "$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "additionalProperties": False,
        "definitions": DEFINITIONS, "properties": properties,
    }  # fmt: skip
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


def table(values: Sequence[Value]) -> str:
    """The table of the README."""
    rows = [
        f"| `{leaf.path}` | {_shown(leaf.default)} | {_cell(leaf.description)} |" for v in values for leaf in v.leaves()
    ]
    return "\n".join(["| 键 key | 默认 default | 说明 what it is |", "|---|---|---|", *rows]) + "\n"


def _shown(default: Any) -> str:
    text = json.dumps(default, ensure_ascii=False)
    return f"`{_cell(text)}`" if len(text) <= 60 else "见 see values.yaml"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def with_table(readme: str, table: str) -> str:
    """The README with this table between its marks."""
    head, _, rest = readme.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table}{END}{tail}"


def generated(chart: Path) -> dict[Path, str]:
    """What lies beside a chart's values.yaml, as it should be."""
    values = read((chart / "values.yaml").read_text())
    readme = chart / "README.md"
    return {
        chart / "values.schema.json": schema(values),
        readme: with_table(readme.read_text(), table(values)),
    }


def stale() -> dict[Path, str]:
    """Files that are not as they should be, with their content as it should be."""
    wanted = {path: text for tier in TIERS for path, text in generated(CHARTS / tier).items()}
    return {path: text for path, text in wanted.items() if not path.exists() or path.read_text() != text}


def main(words: Sequence[str] | None = None) -> int:
    """Writes, or says what it would write."""
    parser = argparse.ArgumentParser(prog="python -m infra.tools.charts", description=main.__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args(words).check
    found = stale()
    for path, text in found.items():
        print(f"{'过时 stale' if check else '已写 written'}: {path.relative_to(CHARTS.parent)}", file=sys.stderr)
        if not check:
            path.write_text(text)
    return 1 if check and found else 0


if __name__ == "__main__":
    sys.exit(main())
