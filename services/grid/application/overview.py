"""The directory at a glance, for whoever runs the installation."""

from __future__ import annotations

from typing import Any

from services.chassis import clock
from services.chassis.directory_entries import DIVISIONS, KINDS
from services.grid.application.ports import LogLine, Reads
from services.grid.application.queries import LARGEST, Counts
from services.grid.domain.terms import KIND_ZH


def overview(reads: Reads, shipped_digests: dict[str, str]) -> dict[str, Any]:
    """Each kind with its version and size, and whether this release ships another table than the office began with."""
    today = clock.legal_date(clock.now())
    counts = Counts(today, reads.count(DIVISIONS, today, ""))
    kinds = {}
    for kind in KINDS:
        log = reads.log(kind, LARGEST, 1)
        kinds[kind] = _facts(kind, log[0] if log else None, _differs(reads, kind, shipped_digests))
    return {"as_of": today, "towns": counts.towns, "villages": counts.villages, "kinds": kinds}


def _facts(kind: str, newest: LogLine | None, differs: bool) -> dict[str, Any]:
    return {
        "zh": KIND_ZH[kind], "version": newest.version if newest else 0, "entries": newest.rows if newest else 0,
        "published_at": newest.published_at if newest else None, "origin": newest.origin if newest else "",
        "shipped_differs": differs,
    }  # fmt: skip


def _differs(reads: Reads, kind: str, shipped_digests: dict[str, str]) -> bool:
    """A table that is newer than the one this directory began as, and that nobody has imported since."""
    known = {line.digest for line in reads.log(kind, LARGEST, 1000) if line.origin == "shipped"}
    taken = {line.filename for line in reads.log(kind, LARGEST, 1000) if line.origin == "import"}
    return shipped_digests[kind] not in known and f"shipped {shipped_digests[kind][:12]}" not in taken
