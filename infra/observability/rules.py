"""Alerts as Prometheus reads them: a rules file, the same in a PrometheusRule of the charts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from infra.observability import alerts

FOLDER = Path(__file__).parent
RULES = FOLDER / "rules.yaml"
RUNBOOKS = FOLDER / "runbooks"
# Where an operator publishes the folder runbooks/; the charts' value monitoring.rules.runbookUrl replaces it.
RUNBOOK_URL = "https://zongzhi.example/runbooks"
HEAD = "# 由 python -m infra.observability 生成,请勿手改。Generated; do not edit.\n"


def groups(runbook_url: str = RUNBOOK_URL) -> dict[str, Any]:
    """Both groups: what is computed beforehand, and what wakes somebody."""
    kept = [{"record": name, "expr": expr} for name, expr in alerts.records().items()]
    rules = [_rule(alert, runbook_url) for alert in alerts.expanded()]
    return {"groups": [{"name": "zongzhi-ratios", "rules": kept}, {"name": "zongzhi-alerts", "rules": rules}]}


def _rule(alert: alerts.Alert, runbook_url: str) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.lasting,
        "labels": {"severity": alert.severity} | ({"window": alert.window} if alert.window else {}),
        "annotations": {
            "summary": f"{alert.zh} · {alert.en}",
            "runbook_url": f"{runbook_url}/{alert.name}.md",
        },
    }


def text() -> str:
    """The rules file."""
    return HEAD + yaml.safe_dump(groups(), allow_unicode=True, sort_keys=False, width=1 << 30)
