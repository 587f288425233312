"""The Collector's configuration of each tier, as the charts render it: infra/otel/collector/<tier>.yaml.

`python -m infra.otel.collector` writes the files (it needs Helm); a test of the charts compares. Tests without a
cluster start a real Collector with them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent.parent
FOLDER = Path(__file__).with_name("collector")
TIERS = ("district", "town", "village")
# Metrics of the Collector itself that rules and dashboards use; the test with a real one finds them there.
OWN_METRICS = ("otelcol_exporter_queue_size", "otelcol_exporter_queue_capacity")
_HOP = "collector.nextHop.endpoint=http://next-hop"
# A chain on one machine needs no TLS between its parts; `children` is what a village does not have.
SETTINGS = {
    "district": ["collector.enabled=true", _HOP, "collector.children.enabled=true", "collector.children.tls=false"],
    "town": ["collector.enabled=true", _HOP, "collector.children.enabled=true", "collector.children.tls=false"],
    "village": ["collector.enabled=true", _HOP],
}
HEAD = "# 由 python -m infra.otel.collector 从 charts 渲染,请勿手改。Rendered from the charts; do not edit.\n"


def rendered(tier: str, helm: str) -> str:
    """The configuration of one tier."""
    settings = [word for setting in SETTINGS[tier] for word in ("--set", setting)]
    chart = ROOT / "charts" / tier
    code = ["--set-string", "tier.code=341702000000"]
    words = [helm, "template", "zz", str(chart), "--namespace", "n", *code, *settings]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout  # noqa: S603  # a list, no shell
    found = (one for one in yaml.safe_load_all(text) if one and one["kind"] == "ConfigMap")
    (config,) = (one["data"]["config.yaml"] for one in found if one["metadata"]["name"] == "zz-collector")
    return f"{HEAD}{config.strip()}\n"


def path_of(tier: str) -> Path:
    """Where the configuration of a tier is kept."""
    return FOLDER / f"{tier}.yaml"


def main() -> int:
    """Writes all three."""
    helm = os.environ.get("HELM") or str(ROOT / ".tools" / "bin" / "helm")
    if not Path(helm).exists():
        print("需要 Helm:设 HELM=,或运行 make helm。Helm is needed: set HELM=, or run make helm.", file=sys.stderr)
        return 2
    FOLDER.mkdir(exist_ok=True)
    for tier in TIERS:
        path_of(tier).write_text(rendered(tier, helm), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
