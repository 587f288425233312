"""Grafana dashboards: one tier in detail, and the whole fleet at a glance. Queries use only metrics of the table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
TIER = 'zongzhi_tier="$tier"'
WIDTH, HEIGHT = 8, 8
PER_ROW = 3


@dataclass(frozen=True)
class Panel:
    """One picture: a title, queries by legend, a unit, and what is bad."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    red_above: float | None = None


def _ratio(metric: str, by: str, where: str) -> str:
    failed = f'sum by ({by}) (rate({metric}{{{where}, error_type!=""}}[$__rate_interval]))'
    return f"{failed} / sum by ({by}) (rate({metric}{{{where}}}[$__rate_interval]))"


def _quantile(q: float, metric: str, by: str, where: str = TIER) -> str:
    return f"histogram_quantile({q}, sum by (le, {by}) (rate({metric}_bucket{{{where}}}[$__rate_interval])))"


def _books(metric: str, *by: str, where: str = TIER) -> str:
    return f"max by ({', '.join(('service', *by))}) ({metric}{{{where}}})"


RPC, HTTP, EVENT = (
    "rpc_server_call_duration_seconds", "http_server_request_duration_seconds", "messaging_process_duration_seconds",
)  # fmt: skip

ONE_TIER = {
    "法定时限 · statutory clocks": [
        Panel("超期 red", {"{{service}}": _books("zongzhi_clocks", where=f'{TIER}, colour="red"')}, kind="stat",
              red_above=0),
        Panel("临期 amber", {"{{service}}": _books("zongzhi_clocks", where=f'{TIER}, colour="amber"')}, kind="stat"),
        Panel("各色时限 clocks by colour", {"{{colour}}": f"sum by (colour) ({_books('zongzhi_clocks', 'colour')})"}),
    ],
    "网关 · gateway": [
        Panel("每秒请求 requests", {"{{http_route}}": f"sum by (http_route) (rate({HTTP}_count{{{TIER}}}[$__rate_interval]))"},
              "reqps"),
        Panel("出错比例 errors", {"5xx": _ratio(f"{HTTP}_count", "zongzhi_tier", TIER)}, "percentunit", red_above=0.001),
        Panel("时长 duration", {f"p{q}": _quantile(q / 100, HTTP, "zongzhi_tier") for q in (50, 95, 99)}, "s"),
    ],
    "服务 · services": [
        Panel("每秒调用 calls", {"{{service}}": f"sum by (service) (rate({RPC}_count{{{TIER}}}[$__rate_interval]))"}, "reqps"),
        Panel("出错比例 errors", {"{{service}}": _ratio(f"{RPC}_count", "service", TIER)}, "percentunit", red_above=0.001),
        Panel("p99", {"{{service}}": _quantile(0.99, RPC, "service")}, "s"),
        Panel("最慢的方法 slowest methods", {"{{rpc_method}}": f"topk(10, {_quantile(0.99, RPC, 'rpc_method')})"}, "s"),
        Panel("处理事件 events applied",
              {"{{zongzhi_event_type}}": f"sum by (zongzhi_event_type) (rate({EVENT}_count{{{TIER}}}[$__rate_interval]))"},
              "ops"),
        Panel("事件失败 failed events",
              {"{{service}}": f'sum by (service) (increase({EVENT}_count{{{TIER}, error_type!=""}}[$__rate_interval]))'},
              red_above=0),
    ],
    "收发 · outbox and inbox": [
        Panel("发件箱最早一条 oldest in outbox", {"{{service}} → {{destination}}": _books("zongzhi_outbox_age_seconds", "destination")},
              "s", red_above=300),
        Panel("发件箱条数 outbox rows", {"{{service}} → {{destination}}": _books("zongzhi_outbox_depth", "destination")}),
        Panel("收件箱最早一条 oldest in inbox", {"{{service}}": _books("zongzhi_inbox_age_seconds")}, "s", red_above=300),
        Panel("收件箱条数 inbox rows", {"{{service}}": _books("zongzhi_inbox_depth")}),
        Panel("搁置 held", {"{{service}} ← {{stream}}": _books("zongzhi_inbox_held", "stream")}, red_above=0),
        Panel("死信 dead letters", {"{{queue}}": _books("zongzhi_dead_letters", "queue")}, red_above=0),
    ],
    "进程 · processes": [
        Panel("内存 memory", {"{{service_name}} {{pod}}": f"process_memory_usage_bytes{{{TIER}}}"}, "bytes"),
        Panel("处理器 cpu", {"{{service_name}} {{pod}}": f"rate(process_cpu_time_seconds_total{{{TIER}}}[$__rate_interval])"}),
        Panel("打开的文件 open files", {"{{service_name}} {{pod}}": f"process_unix_file_descriptor_count{{{TIER}}}"}),
        Panel("丢弃的链路和日志 telemetry lost",
              {"{{service_name}} {{signal}}": f"increase(zongzhi_telemetry_dropped_total{{{TIER}}}[$__rate_interval])"},
              red_above=0),
        Panel("版本 versions", {"{{version}} {{service_name}}": f"count by (version, service_name) (zongzhi_build{{{TIER}}})"},
              kind="stat"),
        Panel("Collector 队列 collector queue",
              {"{{exporter}}": "otelcol_exporter_queue_size / (otelcol_exporter_queue_capacity > 0)"}, "percentunit",
              red_above=0.8),
    ],
}  # fmt: skip

_WORST = "topk(20, max by (zongzhi_tier, service) ({}))"
FLEET = {
    "各级一览 · all tiers": [
        Panel("取不到指标的 down", {"{{namespace}} {{pod}}": 'up{job="zongzhi"} == 0'}, kind="table", red_above=0),
        Panel("超期最多的 most red clocks", {"{{zongzhi_tier}} {{service}}": _WORST.format('zongzhi_clocks{colour="red"}')},
              kind="bargauge"),
        Panel("发件箱最久的 oldest outboxes", {"{{zongzhi_tier}} {{service}}": _WORST.format("zongzhi_outbox_age_seconds")}, "s",
              kind="bargauge", red_above=300),
        Panel("搁置最多的 most held", {"{{zongzhi_tier}} {{service}}": _WORST.format("zongzhi_inbox_held")}, kind="bargauge",
              red_above=0),
        Panel("出错比例最高的 most errors", {"{{zongzhi_tier}}": "topk(20, zongzhi:http_error_ratio:rate1h)"}, "percentunit",
              kind="bargauge", red_above=0.001),
        Panel("版本分布 versions", {"{{version}}": "count by (version) (count by (version, zongzhi_tier) (zongzhi_build))"},
              kind="stat"),
    ]
}  # fmt: skip
DASHBOARDS = {
    "zongzhi-tier": ("综治中心:一级 · one tier", ONE_TIER, True),
    "zongzhi-fleet": ("综治中心:各级 · the fleet", FLEET, False),
}


def documents() -> dict[str, str]:
    """Every dashboard's file by its name."""
    return {
        f"{uid}.json": json.dumps(_dashboard(uid, *rest), ensure_ascii=False, indent=1) + "\n"
        for uid, rest in DASHBOARDS.items()
    }


def _dashboard(uid: str, title: str, rows: dict[str, list[Panel]], of_tier: bool) -> dict[str, Any]:
    panels, y = list[dict[str, Any]](), 0
    for name, row in rows.items():
        panels.append({"type": "row", "title": name, "collapsed": False, "panels": [], "gridPos": _at(0, y, 24, 1)})
        y += 1
        for number, panel in enumerate(row):
            panels.append(_panel(panel, _at(number % PER_ROW * WIDTH, y + number // PER_ROW * HEIGHT, WIDTH, HEIGHT)))
        y += -(-len(row) // PER_ROW) * HEIGHT
    for number, shown in enumerate(panels, 1):
        shown["id"] = number
    return {
        "uid": uid, "title": title, "tags": ["zongzhi"], "timezone": "Asia/Shanghai", "schemaVersion": 39, "editable": False,
        "refresh": "30s", "time": {"from": "now-6h", "to": "now"}, "templating": {"list": _variables(of_tier)},
        "panels": panels,
    }  # fmt: skip


def _variables(of_tier: bool) -> list[dict[str, Any]]:
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "数据源 source"}
    tier = {
        "name": "tier", "type": "query", "label": "层级 tier", "datasource": SOURCE, "refresh": 2, "sort": 1,
        "query": {"query": "label_values(zongzhi_build, zongzhi_tier)", "refId": "tiers"},
    }  # fmt: skip
    return [source, tier] if of_tier else [source]


def _at(x: int, y: int, w: int, h: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": w, "h": h}


def _panel(panel: Panel, where: dict[str, int]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red_above is not None:
        steps.append({"color": "red", "value": panel.red_above or 1e-9})
    targets = [
        {"refId": chr(ord("A") + number), "expr": expr, "legendFormat": legend, "datasource": SOURCE,
         "instant": panel.kind != "timeseries"}
        for number, (legend, expr) in enumerate(panel.queries.items())
    ]  # fmt: skip
    return {
        "type": panel.kind, "title": panel.title, "datasource": SOURCE, "gridPos": where, "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}},
                        "overrides": []},
        "options": {},
    }  # fmt: skip


def queries() -> list[str]:
    """Every query of every dashboard."""
    rows = [row for _, dashboard, _ in DASHBOARDS.values() for row in dashboard.values()]
    return [expr for row in rows for panel in row for expr in panel.queries.values()]
