"""Every alert: when, how urgent, and what it means for people. Each has a runbook of its name."""

from __future__ import annotations

from dataclasses import dataclass

from infra.observability.burn import HTTP, OBJECTIVES, RPC, SPANS, WINDOWS

# page: somebody gets up. ticket: somebody looks at it today.
PAGE, TICKET = "page", "ticket"
JOB = 'job="zongzhi"'
PLACE = "zongzhi_tier, service"


@dataclass(frozen=True)
class Alert:
    """One alert. `zh` and `en` may quote labels: {{ $labels.service }}."""

    name: str
    expr: str
    lasting: str
    severity: str
    zh: str
    en: str
    # Of an error budget: the long window, which tells its alerts apart.
    window: str = ""


def _books(metric: str, *more: str, matcher: str = "") -> str:
    """What a database says: its replicas repeat each other, so the largest counts."""
    return f"max by ({', '.join((PLACE, *more))}) ({metric}{matcher})"


_HELD = f"sum by ({PLACE}) ({_books('zongzhi_inbox_held', 'stream')})"
_RED = _books("zongzhi_clocks", matcher='{colour="red"}')
_RED_BEFORE = _books("zongzhi_clocks", matcher='{colour="red"} offset 1h')
_SLOW = (
    "histogram_quantile(0.99, sum by (zongzhi_tier, le) (rate(http_server_request_duration_seconds_bucket[15m]))) > 2.5"
    " and on (zongzhi_tier)"
    " sum by (zongzhi_tier) (increase(http_server_request_duration_seconds_count[15m])) >= 50"
)
_SLOW_RPC = (
    f"histogram_quantile(0.99, sum by ({PLACE}, le) (rate(rpc_server_call_duration_seconds_bucket[15m]))) > 1"
    f" and on ({PLACE}) sum by ({PLACE}) (increase(rpc_server_call_duration_seconds_count[15m])) >= 50"
)
_FAILING_EVENTS = f'sum by ({PLACE}) (increase(messaging_process_duration_seconds_count{{error_type!=""}}[15m])) >= 3'

ALERTS = (
    Alert("ZongzhiTargetDown", f"up{{{JOB}}} == 0", "5m", PAGE,
          "{{ $labels.namespace }} 的 {{ $labels.pod }} 五分钟取不到指标",
          "{{ $labels.pod }} in {{ $labels.namespace }} has not answered for five minutes"),
    Alert("ZongzhiNothingWatched", f"absent(up{{{JOB}}})", "10m", PAGE,
          "一个监控目标也没有,别的告警都不会响",
          "there is no target at all, so no other alert can fire"),
    Alert("ZongzhiHttpErrors", "", "", "",
          "{{ $labels.zongzhi_tier }} 的网关对外报错过多,来访群众和窗口办不成事",
          "the gateway of {{ $labels.zongzhi_tier }} fails too many requests"),
    Alert("ZongzhiRpcErrors", "", "", "",
          "{{ $labels.zongzhi_tier }} 的 {{ $labels.service }} 服务出错过多",
          "{{ $labels.service }} of {{ $labels.zongzhi_tier }} fails too many calls"),
    Alert("ZongzhiSlowForPeople", _SLOW, "15m", TICKET,
          "{{ $labels.zongzhi_tier }} 每百次请求有一次超过 {{ $value | humanizeDuration }}",
          "one request in a hundred at {{ $labels.zongzhi_tier }} takes longer than {{ $value | humanizeDuration }}"),
    Alert("ZongzhiSlowService", _SLOW_RPC, "15m", TICKET,
          "{{ $labels.zongzhi_tier }} 的 {{ $labels.service }} 变慢:p99 {{ $value | humanizeDuration }}",
          "{{ $labels.service }} of {{ $labels.zongzhi_tier }} is slow: p99 {{ $value | humanizeDuration }}"),
    Alert("ZongzhiOutboxStuck",
          _books("zongzhi_outbox_age_seconds", "destination", matcher='{destination="local"}') + " > 300", "5m", PAGE,
          "{{ $labels.zongzhi_tier }} 的 {{ $labels.service }} 有事件 {{ $value | humanizeDuration }} 没送出,别的服务还不知道",
          "events of {{ $labels.service }} at {{ $labels.zongzhi_tier }} have waited {{ $value | humanizeDuration }}"),
    Alert("ZongzhiLinkSilent",
          _books("zongzhi_outbox_age_seconds", "destination", matcher='{destination!="local"}') + " > 21600", "10m",
          TICKET,
          "{{ $labels.zongzhi_tier }} 发往 {{ $labels.destination }} 的事件 {{ $value | humanizeDuration }} 没有确认",
          "events from {{ $labels.zongzhi_tier }} to {{ $labels.destination }} wait for {{ $value | humanizeDuration }}"),
    Alert("ZongzhiInboxStuck",
          f"{_books('zongzhi_inbox_age_seconds')} > 300 unless on ({PLACE}) ({_HELD} > 0)", "5m", PAGE,
          "{{ $labels.zongzhi_tier }} 的 {{ $labels.service }} 收到的事件 {{ $value | humanizeDuration }} 没处理",
          "events received by {{ $labels.service }} at {{ $labels.zongzhi_tier }} are not being applied"),
    Alert("ZongzhiEventsHeld", f"{_books('zongzhi_inbox_held', 'stream')} > 0", "15m", TICKET,
          "{{ $labels.zongzhi_tier }} 的 {{ $labels.service }} 有 {{ $value }} 件搁置,等人决定",
          "{{ $value }} aggregates of {{ $labels.service }} at {{ $labels.zongzhi_tier }} wait for a person"),
    Alert("ZongzhiEventsFailing", _FAILING_EVENTS, "5m", TICKET,
          "{{ $labels.zongzhi_tier }} 的 {{ $labels.service }} 处理事件连续失败",
          "{{ $labels.service }} at {{ $labels.zongzhi_tier }} keeps failing to apply events"),
    Alert("ZongzhiDeadLetters", f"{_books('zongzhi_dead_letters', 'queue')} > 0", "1m", PAGE,
          "{{ $labels.zongzhi_tier }} 的 {{ $labels.service }} 有 {{ $value }} 条消息无法解码",
          "{{ $value }} messages to {{ $labels.service }} at {{ $labels.zongzhi_tier }} cannot be decoded"),
    Alert("ZongzhiClocksTurningRed", f"{_RED} - {_RED_BEFORE} > 0", "5m", TICKET,
          "{{ $labels.zongzhi_tier }} 过去一小时又有 {{ $value }} 个法定时限超期",
          "{{ $value }} more statutory time limits ran out at {{ $labels.zongzhi_tier }} within an hour"),
    Alert("ZongzhiTelemetryLost", "sum by (zongzhi_tier, service_name) (increase(zongzhi_telemetry_dropped_total[15m])) > 0",
          "15m", TICKET,
          "{{ $labels.zongzhi_tier }} 的 {{ $labels.service_name }} 丢弃了链路和日志,出事时会查不全",
          "{{ $labels.service_name }} at {{ $labels.zongzhi_tier }} drops spans and logs"),
    Alert("ZongzhiCollectorQueueFull",
          "otelcol_exporter_queue_size / (otelcol_exporter_queue_capacity > 0) > 0.8", "10m", TICKET,
          "{{ $labels.namespace }} 的 Collector 待发队列已满八成,下一跳收不走",
          "the queue of the Collector in {{ $labels.namespace }} is 80 % full; its next hop takes nothing"),
    Alert("ZongzhiVersionsMixed", "count by (zongzhi_tier) (count by (zongzhi_tier, version) (zongzhi_build)) > 1", "1h",
          TICKET,
          "{{ $labels.zongzhi_tier }} 同时跑着 {{ $value }} 个版本已一小时,升级可能卡住了",
          "{{ $labels.zongzhi_tier }} has run {{ $value }} versions for an hour; an upgrade may be stuck"),
)  # fmt: skip

BURNING = {"ZongzhiHttpErrors": HTTP, "ZongzhiRpcErrors": RPC}


def expanded() -> list[Alert]:
    """Alerts as Prometheus gets them: those of an error budget once per pair of windows."""
    found: list[Alert] = []
    for alert in ALERTS:
        objective = BURNING.get(alert.name)
        if objective is None:
            found.append(alert)
            continue
        for window in WINDOWS:
            expr = objective.burning(window)
            found.append(Alert(alert.name, expr, window.lasting, window.severity, alert.zh, alert.en, window.long))
    return found


def records() -> dict[str, str]:
    """Ratios that are computed once and used by several alerts: expression by name."""
    return {objective.record(span): objective.ratio(span) for objective in OBJECTIVES for span in SPANS}
