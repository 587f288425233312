"""Spans of a trace, and who caused what among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Attributes = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """Something that happened during a span."""

    name: str
    at: int
    attributes: Attributes


@dataclass(frozen=True)
class Span:
    """One step of a trace. Ids are lowercase hex, `parent_id` is empty for a root; times are nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    service: str
    attributes: Attributes
    events: tuple[Event, ...]
    status: str
    start: int
    end: int
    links: tuple[tuple[str, str], ...] = ()


class TraceTree:
    """The spans of one trace as a tree: who caused what."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self.spans = sorted(spans, key=lambda s: (s.start, s.span_id))
        known = {s.span_id for s in self.spans}
        self.roots = [s for s in self.spans if not s.parent_id]
        # Their parent was never sent, or not yet: in a whole trace there are none.
        self.orphans = [s for s in self.spans if s.parent_id and s.parent_id not in known]

    def children(self, span: Span) -> list[Span]:
        """What this span caused directly, in order of start."""
        return [s for s in self.spans if s.parent_id == span.span_id]

    def path(self, span: Span) -> list[Span]:
        """From the root (or the first known ancestor) down to this span."""
        by_id = {s.span_id: s for s in self.spans}
        path = [span]
        while path[0].parent_id in by_id:
            path.insert(0, by_id[path[0].parent_id])
        return path

    def chain(self, *wanted: str) -> list[Span]:
        """The spans of one downward path that match `wanted` in this order, others may lie between; else none.

        Each wanted is `service`, `name` or `service:name`.
        """
        for leaf in self.spans:
            found = _in_order(self.path(leaf), wanted)
            if found:
                return found
        return []

    def draw(self) -> str:
        """The tree as text, one span a line, with milliseconds and failures."""
        return "\n".join(line for top in [*self.roots, *self.orphans] for line in self._lines(top, ""))

    def _lines(self, span: Span, indent: str) -> Iterator[str]:
        lost = " (父级未到 parent missing)" if span in self.orphans else ""
        failed = " ✗" if span.status == "ERROR" else ""
        yield f"{indent}{span.service}: {span.name} [{span.kind}] {(span.end - span.start) / 1e6:.1f} ms{failed}{lost}"
        for child in self.children(span):
            yield from self._lines(child, indent + "  ")


def trace_tree(spans: Iterable[Span]) -> TraceTree:
    """The spans of one trace as a tree."""
    return TraceTree(spans)


def _in_order(path: list[Span], wanted: tuple[str, ...]) -> list[Span]:
    found: list[Span] = []
    for span in path:
        if len(found) < len(wanted) and wanted[len(found)] in (span.service, span.name, f"{span.service}:{span.name}"):
            found.append(span)
    return found if len(found) == len(wanted) else []
