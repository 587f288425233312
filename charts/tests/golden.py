"""Writes what every shape renders to `golden/`, so that a change of a template is read as a change of what runs.

python -m charts.tests.golden
"""

from __future__ import annotations

import sys

from charts.tests.renders import CASES, rendered


def main() -> int:
    """Writes every golden render anew."""
    for case in CASES:
        case.golden.parent.mkdir(exist_ok=True)
        case.golden.write_text(rendered(case).text)
    wanted = {case.golden for case in CASES}
    for file in {file for golden in {case.golden.parent for case in CASES} for file in golden.iterdir()} - wanted:
        file.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
