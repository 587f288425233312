"""checkov over every shape of every chart, with the image digests of production: 0 failed and nothing skipped.

    python -m infra.tools.check_charts [CHECKOV]

checkov is large, so `make charts-check` keeps it in an environment of its own under .tools.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from charts.tests.renders import CASES, Case, render

CHECKOV = ".tools/checkov/bin/checkov"
# Any digest; what it is of makes no difference to the checks.
DIGEST = "sha256:" + "ab" * 32
IMAGES = {
    "district": ("image", "database.statefulset.image", "broker.statefulset.image", "collector.image", "jaeger.image"),
    "town": ("image", "database.statefulset.image", "broker.statefulset.image", "collector.image"),
    "village": ("image", "collector.image"),
}


def text_of(case: Case) -> str:
    """A shape with every image pinned."""
    pins = [word for image in IMAGES[case.chart] for word in ("--set", f"{image}.digest={DIGEST}")]
    return render(case.chart, "--values", str(case.values), *pins).text


def check(folder: Path, checkov: str) -> dict[str, Any]:
    """What checkov says of a folder."""
    words = ["--directory", str(folder), "--framework", "kubernetes", "--skip-download", "--quiet", "--output", "json"]
    done = subprocess.run([checkov, *words], capture_output=True, text=True, check=False)  # noqa: S603  # our own words
    return dict(json.loads(done.stdout))


def main(words: Sequence[str] | None = None) -> int:
    """Exit code 1 when something failed, or was skipped."""
    given = sys.argv[1:] if words is None else list(words)
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            (Path(folder) / f"{case}.yaml").write_text(text_of(case))
        found = check(Path(folder), given[0] if given else CHECKOV)
    summary = found["summary"]
    for one in found["results"]["failed_checks"]:
        print(f"{one['check_id']} {one['check_name']}: {one['file_path']} {one['resource']}", file=sys.stderr)
    print(f"checkov: {summary['passed']} passed, {summary['failed']} failed, {summary['skipped']} skipped")
    return 1 if summary["failed"] or summary["skipped"] or not summary["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
