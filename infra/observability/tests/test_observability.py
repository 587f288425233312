"""Rules, dashboards and runbooks belong together: nothing is named that does not exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from typing import Any

import pytest
import yaml

from infra.observability import alerts, charted, dashboards, rules
from infra.otel import metrics_table
from infra.otel.collector import OWN_METRICS

# Prometheus itself knows these of every target.
PROMETHEUS = {"up"}
FUNCTIONS = {
    "sum", "max", "count", "rate", "increase", "histogram_quantile", "topk", "absent", "on", "by", "and", "or",
    "unless", "offset", "le", "label_values",
}  # fmt: skip


def names_in(expr: str) -> set[str]:
    """Metrics that an expression reads: what is neither function, label nor text."""
    bare = re.sub(r'"[^"]*"', "", expr)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(by|on|ignoring|group_left)\s*\([^)]*\)", "", bare)
    return set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", bare)) - FUNCTIONS - {"h", "d", "m"}


def known() -> set[str]:
    return {*metrics_table.series_names(), *alerts.records(), *PROMETHEUS, *OWN_METRICS}


def expressions() -> Iterable[tuple[str, str]]:
    yield from alerts.records().items()
    yield from ((alert.name, alert.expr) for alert in alerts.expanded())
    yield from ((f"dashboard {number}", expr) for number, expr in enumerate(dashboards.queries()))


@pytest.mark.parametrize(("where", "expr"), list(expressions()))
def test_only_metrics_that_exist_are_named(where: str, expr: str) -> None:
    bare = re.sub(r"offset \d+[hmd]", "", expr)
    assert names_in(bare) <= known(), where


def test_the_reader_of_expressions_finds_a_metric_that_does_not_exist() -> None:
    assert names_in('sum by (service) (rate(zongzhi_persons{colour="red"}[5m])) > 1') == {"zongzhi_persons"}


def test_the_charts_carry_the_same_alerts_and_dashboards() -> None:
    for name, text in charted.documents().items():
        assert (charted.TEMPLATES / name).read_text("utf-8") == text, "run: python -m infra.observability"


def test_the_rules_file_and_the_dashboards_are_what_the_code_says() -> None:
    assert rules.RULES.read_text("utf-8") == rules.text(), "run: python -m infra.observability"
    there = {path.name: path.read_text("utf-8") for path in dashboards.FOLDER.glob("*.json")}
    assert there == dashboards.documents(), "run: python -m infra.observability"


@pytest.mark.parametrize("alert", alerts.expanded(), ids=lambda a: f"{a.name}-{a.window}")
def test_every_alert_leads_to_a_page_that_says_what_to_do(alert: alerts.Alert) -> None:
    page = rules.RUNBOOKS / f"{alert.name}.md"
    text = page.read_text("utf-8")
    assert text.startswith(f"# {alert.name}\n")
    for heading in ("## 对人意味着什么", "## 先看什么", "## 怎么办", "## 什么时候算好了"):
        assert heading in text, heading
    assert alert.severity in ("page", "ticket")


def test_every_page_belongs_to_an_alert() -> None:
    pages = {path.stem for path in rules.RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == {alert.name for alert in alerts.ALERTS}


def test_the_commands_in_the_runbooks_exist() -> None:
    from services.__main__ import _parser

    commands: Any = next(a for a in _parser()._actions if a.dest == "command").choices
    for page in rules.RUNBOOKS.glob("*.md"):
        for command, deed in re.findall(r"`zongzhi ([a-z]+)(?: ([a-z]+)\b)?", page.read_text("utf-8")):
            assert command in commands, f"{page.name}: zongzhi {command}"
            deeds = [list(a.choices) for a in commands[command]._actions if a.dest == "deed" and a.choices]
            assert not deed or not deeds or deed in deeds[0], f"{page.name}: zongzhi {command} {deed}"


def test_every_alert_is_tested_firing_and_silent() -> None:
    cases = yaml.safe_load((rules.FOLDER / "rules.test.yaml").read_text("utf-8"))["tests"]
    tried = [case for test in cases for case in test.get("alert_rule_test", ())]
    firing = {case["alertname"] for case in tried if case["exp_alerts"]}
    silent = {case["alertname"] for case in tried if not case["exp_alerts"]}
    every = {alert.name for alert in alerts.ALERTS}
    assert firing == every
    assert silent == every


def test_no_dashboard_names_an_outside_host_and_every_panel_has_a_place() -> None:
    for name, text in dashboards.documents().items():
        document = json.loads(text)
        assert "http" not in re.sub(r"http_[a-z_]+|zongzhi:http_[a-z_]+", "", text), name
        taken: set[tuple[int, int]] = set()
        for panel in document["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not cells & taken, panel["title"]
            taken |= cells


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian package prometheus) is not installed")
@pytest.mark.parametrize("words", [["check", "rules", "rules.yaml"], ["test", "rules", "rules.test.yaml"]])
def test_prometheus_itself_agrees(words: list[str]) -> None:
    done = subprocess.run(["promtool", *words], cwd=rules.FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
