"""What would change in a release: objects that come, go or differ, told by kind and name."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

import yaml

# Long texts stay on their line, or a changed word would move all the others.
ONE_LINE = 1 << 30


@dataclass(frozen=True)
class Difference:
    """One object: `+` comes, `-` goes, `~` differs."""

    sign: str
    name: str
    text: str


def objects(manifest: str) -> dict[str, str]:
    """The objects of a manifest by kind, namespace and name; written one way: order and comments do not count."""
    every = yaml.load_all(manifest, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe
    return {_name(one): yaml.safe_dump(one, allow_unicode=True, sort_keys=True, width=ONE_LINE) for one in every if one}


def between(installed: str, wanted: str) -> list[Difference]:
    """What changes when `wanted` replaces `installed`."""
    old, new = objects(installed), objects(wanted)
    changes = [Difference("+", name, new[name]) for name in new.keys() - old.keys()]
    changes += [Difference("-", name, old[name]) for name in old.keys() - new.keys()]
    changes += [Difference("~", n, _unified(old[n], new[n])) for n in old.keys() & new.keys() if old[n] != new[n]]
    return sorted(changes, key=lambda change: change.name)


def _name(one: dict[str, Any]) -> str:
    meta = one["metadata"]
    return f"{one['kind']} {meta.get('namespace', '')}/{meta['name']}".replace(" /", " ")


def _unified(old: str, new: str) -> str:
    return "\n".join(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=2))
