"""The same alerts and dashboards as templates of the charts' library: a chart cannot read files outside of itself."""

from __future__ import annotations

from pathlib import Path

import yaml

from infra.observability import dashboards, rules

TEMPLATES = rules.FOLDER.parent.parent / "charts" / "common" / "templates"
HEAD = "{{/* 由 python -m infra.observability 生成,请勿手改。Generated; do not edit. */}}\n"
_URL = "RUNBOOK-URL"


def documents() -> dict[str, str]:
    """Both templates by file name."""
    return {"_rules.tpl": _rules(), "_dashboards.tpl": _dashboards()}


def _rules() -> str:
    body = yaml.safe_dump(rules.groups(_URL), allow_unicode=True, sort_keys=False, width=1 << 30)
    # Prometheus' own braces are raw text to Helm; only the address of the runbooks is a value.
    text = _raw(body).replace(_URL, "`}}{{ .Values.monitoring.rules.runbookUrl }}{{`")
    return f'{HEAD}{{{{- define "zongzhi.alertGroups" -}}}}\n{text}\n{{{{- end -}}}}\n'


def _dashboards() -> str:
    parts = [
        f'{{{{- define "zongzhi.dashboard.{name.removesuffix(".json")}" -}}}}\n{_raw(text)}\n{{{{- end -}}}}\n'
        for name, text in dashboards.documents().items()
    ]
    return HEAD + "".join(parts)


def _raw(text: str) -> str:
    assert "`" not in text, "a raw text of Helm cannot hold a backquote"  # noqa: S101  # of the generator itself
    return "{{`" + text.strip() + "`}}"


def write(folder: Path = TEMPLATES) -> None:
    """Whole files."""
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")
