{{/* 由 python -m infra.observability 生成,请勿手改。Generated; do not edit. */}}
{{- define "zongzhi.alertGroups" -}}
{{`groups:
- name: zongzhi-ratios
  rules:
  - record: zongzhi:http_error_ratio:rate5m
    expr: sum by (zongzhi_tier) (rate(http_server_request_duration_seconds_count{error_type!=""}[5m])) / sum by (zongzhi_tier) (rate(http_server_request_duration_seconds_count[5m]))
  - record: zongzhi:http_error_ratio:rate1h
    expr: sum by (zongzhi_tier) (rate(http_server_request_duration_seconds_count{error_type!=""}[1h])) / sum by (zongzhi_tier) (rate(http_server_request_duration_seconds_count[1h]))
  - record: zongzhi:http_error_ratio:rate30m
    expr: sum by (zongzhi_tier) (rate(http_server_request_duration_seconds_count{error_type!=""}[30m])) / sum by (zongzhi_tier) (rate(http_server_request_duration_seconds_count[30m]))
  - record: zongzhi:http_error_ratio:rate6h
    expr: sum by (zongzhi_tier) (rate(http_server_request_duration_seconds_count{error_type!=""}[6h])) / sum by (zongzhi_tier) (rate(http_server_request_duration_seconds_count[6h]))
  - record: zongzhi:http_error_ratio:rate2h
    expr: sum by (zongzhi_tier) (rate(http_server_request_duration_seconds_count{error_type!=""}[2h])) / sum by (zongzhi_tier) (rate(http_server_request_duration_seconds_count[2h]))
  - record: zongzhi:http_error_ratio:rate1d
    expr: sum by (zongzhi_tier) (rate(http_server_request_duration_seconds_count{error_type!=""}[1d])) / sum by (zongzhi_tier) (rate(http_server_request_duration_seconds_count[1d]))
  - record: zongzhi:http_error_ratio:rate3d
    expr: sum by (zongzhi_tier) (rate(http_server_request_duration_seconds_count{error_type!=""}[3d])) / sum by (zongzhi_tier) (rate(http_server_request_duration_seconds_count[3d]))
  - record: zongzhi:rpc_error_ratio:rate5m
    expr: sum by (zongzhi_tier, service) (rate(rpc_server_call_duration_seconds_count{error_type!=""}[5m])) / sum by (zongzhi_tier, service) (rate(rpc_server_call_duration_seconds_count[5m]))
  - record: zongzhi:rpc_error_ratio:rate1h
    expr: sum by (zongzhi_tier, service) (rate(rpc_server_call_duration_seconds_count{error_type!=""}[1h])) / sum by (zongzhi_tier, service) (rate(rpc_server_call_duration_seconds_count[1h]))
  - record: zongzhi:rpc_error_ratio:rate30m
    expr: sum by (zongzhi_tier, service) (rate(rpc_server_call_duration_seconds_count{error_type!=""}[30m])) / sum by (zongzhi_tier, service) (rate(rpc_server_call_duration_seconds_count[30m]))
  - record: zongzhi:rpc_error_ratio:rate6h
    expr: sum by (zongzhi_tier, service) (rate(rpc_server_call_duration_seconds_count{error_type!=""}[6h])) / sum by (zongzhi_tier, service) (rate(rpc_server_call_duration_seconds_count[6h]))
  - record: zongzhi:rpc_error_ratio:rate2h
    expr: sum by (zongzhi_tier, service) (rate(rpc_server_call_duration_seconds_count{error_type!=""}[2h])) / sum by (zongzhi_tier, service) (rate(rpc_server_call_duration_seconds_count[2h]))
  - record: zongzhi:rpc_error_ratio:rate1d
    expr: sum by (zongzhi_tier, service) (rate(rpc_server_call_duration_seconds_count{error_type!=""}[1d])) / sum by (zongzhi_tier, service) (rate(rpc_server_call_duration_seconds_count[1d]))
  - record: zongzhi:rpc_error_ratio:rate3d
    expr: sum by (zongzhi_tier, service) (rate(rpc_server_call_duration_seconds_count{error_type!=""}[3d])) / sum by (zongzhi_tier, service) (rate(rpc_server_call_duration_seconds_count[3d]))
- name: zongzhi-alerts
  rules:
  - alert: ZongzhiTargetDown
    expr: up{job="zongzhi"} == 0
    for: 5m
    labels:
      severity: page
    annotations:
      summary: '{{ $labels.namespace }} 的 {{ $labels.pod }} 五分钟取不到指标 · {{ $labels.pod }} in {{ $labels.namespace }} has not answered for five minutes'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiTargetDown.md
  - alert: ZongzhiNothingWatched
    expr: absent(up{job="zongzhi"})
    for: 10m
    labels:
      severity: page
    annotations:
      summary: 一个监控目标也没有,别的告警都不会响 · there is no target at all, so no other alert can fire
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiNothingWatched.md
  - alert: ZongzhiHttpErrors
    expr: zongzhi:http_error_ratio:rate1h > 14.4 * 0.001 and zongzhi:http_error_ratio:rate5m > 14.4 * 0.001 and on (zongzhi_tier) sum by (zongzhi_tier) (increase(http_server_request_duration_seconds_count{error_type!=""}[1h])) >= 5
    for: 2m
    labels:
      severity: page
      window: 1h
    annotations:
      summary: '{{ $labels.zongzhi_tier }} 的网关对外报错过多,来访群众和窗口办不成事 · the gateway of {{ $labels.zongzhi_tier }} fails too many requests'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiHttpErrors.md
  - alert: ZongzhiHttpErrors
    expr: zongzhi:http_error_ratio:rate6h > 6 * 0.001 and zongzhi:http_error_ratio:rate30m > 6 * 0.001 and on (zongzhi_tier) sum by (zongzhi_tier) (increase(http_server_request_duration_seconds_count{error_type!=""}[6h])) >= 5
    for: 15m
    labels:
      severity: page
      window: 6h
    annotations:
      summary: '{{ $labels.zongzhi_tier }} 的网关对外报错过多,来访群众和窗口办不成事 · the gateway of {{ $labels.zongzhi_tier }} fails too many requests'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiHttpErrors.md
  - alert: ZongzhiHttpErrors
    expr: zongzhi:http_error_ratio:rate1d > 3 * 0.001 and zongzhi:http_error_ratio:rate2h > 3 * 0.001 and on (zongzhi_tier) sum by (zongzhi_tier) (increase(http_server_request_duration_seconds_count{error_type!=""}[1d])) >= 10
    for: 1h
    labels:
      severity: ticket
      window: 1d
    annotations:
      summary: '{{ $labels.zongzhi_tier }} 的网关对外报错过多,来访群众和窗口办不成事 · the gateway of {{ $labels.zongzhi_tier }} fails too many requests'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiHttpErrors.md
  - alert: ZongzhiHttpErrors
    expr: zongzhi:http_error_ratio:rate3d > 1 * 0.001 and zongzhi:http_error_ratio:rate6h > 1 * 0.001 and on (zongzhi_tier) sum by (zongzhi_tier) (increase(http_server_request_duration_seconds_count{error_type!=""}[3d])) >= 10
    for: 3h
    labels:
      severity: ticket
      window: 3d
    annotations:
      summary: '{{ $labels.zongzhi_tier }} 的网关对外报错过多,来访群众和窗口办不成事 · the gateway of {{ $labels.zongzhi_tier }} fails too many requests'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiHttpErrors.md
  - alert: ZongzhiRpcErrors
    expr: zongzhi:rpc_error_ratio:rate1h > 14.4 * 0.001 and zongzhi:rpc_error_ratio:rate5m > 14.4 * 0.001 and on (zongzhi_tier, service) sum by (zongzhi_tier, service) (increase(rpc_server_call_duration_seconds_count{error_type!=""}[1h])) >= 5
    for: 2m
    labels:
      severity: page
      window: 1h
    annotations:
      summary: '{{ $labels.zongzhi_tier }} 的 {{ $labels.service }} 服务出错过多 · {{ $labels.service }} of {{ $labels.zongzhi_tier }} fails too many calls'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiRpcErrors.md
  - alert: ZongzhiRpcErrors
    expr: zongzhi:rpc_error_ratio:rate6h > 6 * 0.001 and zongzhi:rpc_error_ratio:rate30m > 6 * 0.001 and on (zongzhi_tier, service) sum by (zongzhi_tier, service) (increase(rpc_server_call_duration_seconds_count{error_type!=""}[6h])) >= 5
    for: 15m
    labels:
      severity: page
      window: 6h
    annotations:
      summary: '{{ $labels.zongzhi_tier }} 的 {{ $labels.service }} 服务出错过多 · {{ $labels.service }} of {{ $labels.zongzhi_tier }} fails too many calls'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiRpcErrors.md
  - alert: ZongzhiRpcErrors
    expr: zongzhi:rpc_error_ratio:rate1d > 3 * 0.001 and zongzhi:rpc_error_ratio:rate2h > 3 * 0.001 and on (zongzhi_tier, service) sum by (zongzhi_tier, service) (increase(rpc_server_call_duration_seconds_count{error_type!=""}[1d])) >= 10
    for: 1h
    labels:
      severity: ticket
      window: 1d
    annotations:
      summary: '{{ $labels.zongzhi_tier }} 的 {{ $labels.service }} 服务出错过多 · {{ $labels.service }} of {{ $labels.zongzhi_tier }} fails too many calls'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiRpcErrors.md
  - alert: ZongzhiRpcErrors
    expr: zongzhi:rpc_error_ratio:rate3d > 1 * 0.001 and zongzhi:rpc_error_ratio:rate6h > 1 * 0.001 and on (zongzhi_tier, service) sum by (zongzhi_tier, service) (increase(rpc_server_call_duration_seconds_count{error_type!=""}[3d])) >= 10
    for: 3h
    labels:
      severity: ticket
      window: 3d
    annotations:
      summary: '{{ $labels.zongzhi_tier }} 的 {{ $labels.service }} 服务出错过多 · {{ $labels.service }} of {{ $labels.zongzhi_tier }} fails too many calls'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiRpcErrors.md
  - alert: ZongzhiSlowForPeople
    expr: histogram_quantile(0.99, sum by (zongzhi_tier, le) (rate(http_server_request_duration_seconds_bucket[15m]))) > 2.5 and on (zongzhi_tier) sum by (zongzhi_tier) (increase(http_server_request_duration_seconds_count[15m])) >= 50
    for: 15m
    labels:
      severity: ticket
    annotations:
      summary: '{{ $labels.zongzhi_tier }} 每百次请求有一次超过 {{ $value | humanizeDuration }} · one request in a hundred at {{ $labels.zongzhi_tier }} takes longer than {{ $value | humanizeDuration }}'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiSlowForPeople.md
  - alert: ZongzhiSlowService
    expr: histogram_quantile(0.99, sum by (zongzhi_tier, service, le) (rate(rpc_server_call_duration_seconds_bucket[15m]))) > 1 and on (zongzhi_tier, service) sum by (zongzhi_tier, service) (increase(rpc_server_call_duration_seconds_count[15m])) >= 50
    for: 15m
    labels:
      severity: ticket
    annotations:
      summary: '{{ $labels.zongzhi_tier }} 的 {{ $labels.service }} 变慢:p99 {{ $value | humanizeDuration }} · {{ $labels.service }} of {{ $labels.zongzhi_tier }} is slow: p99 {{ $value | humanizeDuration }}'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiSlowService.md
  - alert: ZongzhiOutboxStuck
    expr: max by (zongzhi_tier, service, destination) (zongzhi_outbox_age_seconds{destination="local"}) > 300
    for: 5m
    labels:
      severity: page
    annotations:
      summary: '{{ $labels.zongzhi_tier }} 的 {{ $labels.service }} 有事件 {{ $value | humanizeDuration }} 没送出,别的服务还不知道 · events of {{ $labels.service }} at {{ $labels.zongzhi_tier }} have waited {{ $value | humanizeDuration }}'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiOutboxStuck.md
  - alert: ZongzhiLinkSilent
    expr: max by (zongzhi_tier, service, destination) (zongzhi_outbox_age_seconds{destination!="local"}) > 21600
    for: 10m
    labels:
      severity: ticket
    annotations:
      summary: '{{ $labels.zongzhi_tier }} 发往 {{ $labels.destination }} 的事件 {{ $value | humanizeDuration }} 没有确认 · events from {{ $labels.zongzhi_tier }} to {{ $labels.destination }} wait for {{ $value | humanizeDuration }}'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiLinkSilent.md
  - alert: ZongzhiInboxStuck
    expr: max by (zongzhi_tier, service) (zongzhi_inbox_age_seconds) > 300 unless on (zongzhi_tier, service) (sum by (zongzhi_tier, service) (max by (zongzhi_tier, service, stream) (zongzhi_inbox_held)) > 0)
    for: 5m
    labels:
      severity: page
    annotations:
      summary: '{{ $labels.zongzhi_tier }} 的 {{ $labels.service }} 收到的事件 {{ $value | humanizeDuration }} 没处理 · events received by {{ $labels.service }} at {{ $labels.zongzhi_tier }} are not being applied'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiInboxStuck.md
  - alert: ZongzhiEventsHeld
    expr: max by (zongzhi_tier, service, stream) (zongzhi_inbox_held) > 0
    for: 15m
    labels:
      severity: ticket
    annotations:
      summary: '{{ $labels.zongzhi_tier }} 的 {{ $labels.service }} 有 {{ $value }} 件搁置,等人决定 · {{ $value }} aggregates of {{ $labels.service }} at {{ $labels.zongzhi_tier }} wait for a person'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiEventsHeld.md
  - alert: ZongzhiEventsFailing
    expr: sum by (zongzhi_tier, service) (increase(messaging_process_duration_seconds_count{error_type!=""}[15m])) >= 3
    for: 5m
    labels:
      severity: ticket
    annotations:
      summary: '{{ $labels.zongzhi_tier }} 的 {{ $labels.service }} 处理事件连续失败 · {{ $labels.service }} at {{ $labels.zongzhi_tier }} keeps failing to apply events'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiEventsFailing.md
  - alert: ZongzhiDeadLetters
    expr: max by (zongzhi_tier, service, queue) (zongzhi_dead_letters) > 0
    for: 1m
    labels:
      severity: page
    annotations:
      summary: '{{ $labels.zongzhi_tier }} 的 {{ $labels.service }} 有 {{ $value }} 条消息无法解码 · {{ $value }} messages to {{ $labels.service }} at {{ $labels.zongzhi_tier }} cannot be decoded'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiDeadLetters.md
  - alert: ZongzhiClocksTurningRed
    expr: max by (zongzhi_tier, service) (zongzhi_clocks{colour="red"}) - max by (zongzhi_tier, service) (zongzhi_clocks{colour="red"} offset 1h) > 0
    for: 5m
    labels:
      severity: ticket
    annotations:
      summary: '{{ $labels.zongzhi_tier }} 过去一小时又有 {{ $value }} 个法定时限超期 · {{ $value }} more statutory time limits ran out at {{ $labels.zongzhi_tier }} within an hour'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiClocksTurningRed.md
  - alert: ZongzhiTelemetryLost
    expr: sum by (zongzhi_tier, service_name) (increase(zongzhi_telemetry_dropped_total[15m])) > 0
    for: 15m
    labels:
      severity: ticket
    annotations:
      summary: '{{ $labels.zongzhi_tier }} 的 {{ $labels.service_name }} 丢弃了链路和日志,出事时会查不全 · {{ $labels.service_name }} at {{ $labels.zongzhi_tier }} drops spans and logs'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiTelemetryLost.md
  - alert: ZongzhiCollectorQueueFull
    expr: otelcol_exporter_queue_size / (otelcol_exporter_queue_capacity > 0) > 0.8
    for: 10m
    labels:
      severity: ticket
    annotations:
      summary: '{{ $labels.namespace }} 的 Collector 待发队列已满八成,下一跳收不走 · the queue of the Collector in {{ $labels.namespace }} is 80 % full; its next hop takes nothing'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiCollectorQueueFull.md
  - alert: ZongzhiVersionsMixed
    expr: count by (zongzhi_tier) (count by (zongzhi_tier, version) (zongzhi_build)) > 1
    for: 1h
    labels:
      severity: ticket
    annotations:
      summary: '{{ $labels.zongzhi_tier }} 同时跑着 {{ $value }} 个版本已一小时,升级可能卡住了 · {{ $labels.zongzhi_tier }} has run {{ $value }} versions for an hour; an upgrade may be stuck'
      runbook_url: `}}{{ .Values.monitoring.rules.runbookUrl }}{{`/ZongzhiVersionsMixed.md`}}
{{- end -}}
