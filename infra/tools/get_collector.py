"""Builds the OpenTelemetry Collector of infra/otel/builder.yaml into .tools/bin/otelcol; needs Go, takes minutes.

    python -m infra.tools.get_collector

For machines that cannot pull the Collector's image, and for tests: it holds the parts that infra/otel's configurations
of village and town use, and no others. Where it has been built from the same list it is left alone.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from infra.processes import ProcessFailed, run

ROOT = Path(__file__).parent.parent.parent
BIN = ROOT / ".tools" / "bin"
LIST = ROOT / "infra" / "otel" / "builder.yaml"
BUILDER = "go.opentelemetry.io/collector/cmd/builder@v0.165.0"
BUILD_S = 1200


def get() -> Path:
    """The Collector's program, built when it is not there. Raises ProcessFailed."""
    program, stamp = BIN / "otelcol", BIN / "otelcol.list"
    wanted = hashlib.sha256(LIST.read_bytes() + BUILDER.encode()).hexdigest()
    if program.exists() and stamp.exists() and stamp.read_text() == wanted:
        return program
    if shutil.which("go") is None:
        raise ProcessFailed(
            "需要 Go 来编译 Collector:请先安装 Go。Go is needed to build the Collector; install it first."
        )
    BIN.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        environment = {"GOBIN": folder}
        run(["go", "install", BUILDER], timeout=BUILD_S, env=_with(environment))
        shutil.copy(LIST, here / "builder.yaml")
        run([here / "builder", "--config", "builder.yaml"], timeout=BUILD_S, cwd=here, env=_with({}))
        shutil.move(here / "dist" / "otelcol", program)
    stamp.write_text(wanted)
    return program


def _with(more: dict[str, str]) -> dict[str, str]:
    return {**os.environ, **more}


def main() -> int:
    """Says where it is."""
    try:
        print(get())
    except ProcessFailed as failure:
        print(failure, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
