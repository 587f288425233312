"""The table of all metrics, infra/otel/metrics.md: written by asking the metrics address of a process that uses each.

`python -m infra.otel.metrics_table` writes it; a test compares. Alert rules and dashboards may name nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from services.chassis import metrics, telemetry

TABLE = Path(__file__).with_name("metrics.md")
ROLES = {"rpc": "serve, all", "http": "gateway, all", "process": "work, all"}
# What every series has; `service_name` is the role (zongzhi-serve, zongzhi-work, gateway, zongzhi-all).
EVERYWHERE = ("service_name", "zongzhi_tier")
SENTENCES = {
    "rpc": "服务应答每个调用的时长",
    "http": "网关应答每个请求的时长(探活除外)",
    "process": "处理一条事件的时长",
    "outbox_depth": "发件箱里还没有确认送达的条数",
    "outbox_age_s": "发件箱里最早一条等了多久",
    "inbox_depth": "收到而还没有处理的条数",
    "inbox_age_s": "收到而还没有处理的最早一条等了多久",
    "held": "因处理失败而搁置的件数,按来源",
    "dead_letters": "无法解码、进了死信队列的条数",
    "clocks": "正在走的法定时限,按颜色(red 已超期、amber 临期、green、suspended 中止)",
    "spans_dropped": "没能送出而丢弃的链路片段和日志",
    "build": "正在运行的版本,值恒为 1",
    "process_memory": "进程常驻内存",
    "process_cpu": "进程已用处理器时间",
    "process_files": "进程打开的文件和连接数",
}
HEAD = """# 监控指标 · metrics

每个角色在 `METRICS_PORT`(charts 里是 9464)的 `/metrics` 上提供这些指标,同样的指标也经 OTLP 发给 Collector。
标签里没有个人信息:只有区划代码、服务名、方法名、路由模板、事件类型和状态码。
*Every role serves these at `/metrics` on `METRICS_PORT` (9464 in the charts) and sends the same by OTLP.
No label is personal.*

- 每条序列都有 `zongzhi_tier`(层级代码)和 `service_name`(角色)。*On every series.*
- 网关有几个工作进程就有几组数,标签 `worker` 区分;由第一个进程汇总。
  *A gateway's worker processes are told apart by `worker`.*
- 发件箱、收件箱、搁置、死信、时限读的是数据库:同一服务的几个副本报的是同一个数,求和前先按 `service` 取最大值。
  *Books are read from the database: replicas of one service report the same number; `max by (service)` before any sum.*
- 直方图的 `_count` 是次数,带 `error_type` 的是失败。
  *A histogram's `_count` is the rate; series with `error_type` are failures.*

此表由 `python -m infra.otel.metrics_table` 生成。*Generated.*

| 指标 metric | 类型 type | 标签 labels | 谁提供 role | 含义 meaning |
|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Served:
    """One metric as a Prometheus server sees it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    role: str
    meaning: str

    @property
    def series(self) -> tuple[str, ...]:
        """The names that rules may use."""
        return (
            tuple(f"{self.name}{end}" for end in ("_bucket", "_count", "_sum")) if self.is_histogram else (self.name,)
        )

    @property
    def is_histogram(self) -> bool:
        """Whether it is a distribution of durations."""
        return self.kind == "histogram"


def served() -> list[Served]:
    """Every metric, read from a registry in which each has been used once, in the order of the code."""
    return [_used(name) for name in (*metrics.HISTOGRAMS, *metrics.INSTRUMENTS)]


def _used(name: str) -> Served:
    """Uses one metric in a process of its own sort and looks at what a Prometheus server would be told."""
    watching = telemetry.configure("table", "341702000000", endpoint=None, version="0", scraped=True)
    try:
        before = {family.name for family in _families(watching)}
        labels = _use(watching.meters, name)
        after = list(_families(watching))
    finally:
        watching.shutdown()
    own = [f for f in after if f.name not in before] or [f for f in after if _same(f.name, name)]
    (family,) = own
    full = f"{family.name}_total" if family.type == "counter" else family.name
    meaning = f"{SENTENCES[name]} · {_description(name)}"
    return Served(full, family.type, tuple(labels), _role(name), meaning)


def _families(watching: telemetry.Telemetry) -> Iterable[Metric]:
    return text_string_to_metric_families(generate_latest(watching.registry or CollectorRegistry()).decode())


def _use(meters: metrics.Meters, name: str) -> Iterable[str]:
    histogram = metrics.HISTOGRAMS.get(name)
    if histogram:
        record = {
            "rpc": lambda: meters.rpc_duration("pkg.Svc/M", "INTERNAL", 0.1, "petition"),
            "http": lambda: meters.http_duration("GET", "/v1/petitions", 500, 0.1),
            "process": lambda: meters.process_duration("petition", "pkg.Event", "KeyError", 0.1),
        }
        record[name]()
        return [_label(label) for label in histogram.labels]
    instrument = metrics.INSTRUMENTS[name]
    own = {metrics.SERVICE: "petition"} if instrument.of_service else {}
    if instrument.of_service:
        meters.observe(name, lambda: {"x": 1} if instrument.label else 1, **own)
    return [*own, *([_label(instrument.label)] if instrument.label else [])]


def _same(family: str, name: str) -> bool:
    """Metrics of the process itself are there from its start."""
    return family.startswith(metrics.INSTRUMENTS[name].metric.replace(".", "_"))


def _label(name: str) -> str:
    return name.replace(".", "_")


def _role(name: str) -> str:
    if name in ROLES:
        return ROLES[name]
    return "serve, all" if metrics.INSTRUMENTS[name].of_service else "每个角色 every role"


def _description(name: str) -> str:
    return (metrics.HISTOGRAMS.get(name) or metrics.INSTRUMENTS[name]).description


def text() -> str:
    """The whole page."""
    rows = (
        f"| `{one.name}` | {one.kind} | {' '.join(f'`{label}`' for label in one.labels)} | {one.role} | {one.meaning} |"
        for one in served()
    )
    return HEAD + "\n".join(rows) + "\n"


def series_names() -> frozenset[str]:
    """Every name that a rule or a dashboard may use."""
    return frozenset(name for one in served() for name in one.series)


if __name__ == "__main__":
    TABLE.write_text(text(), encoding="utf-8")
