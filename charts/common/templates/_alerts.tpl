{{/* Alerts for Prometheus and dashboards for Grafana; written once, in infra/observability. */}}
{{- define "zongzhi.alerts" -}}
{{- if .Values.monitoring.rules.enabled }}
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  {{- include "zongzhi.meta" (dict "root" . "of" "alerts") | nindent 2 }}
  {{- with .Values.monitoring.rules.labels }}
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "zongzhi.alertGroups" . | nindent 2 }}
{{- end }}
{{- if .Values.monitoring.dashboards.enabled }}
{{- range $name := (list "zongzhi-tier" "zongzhi-fleet") }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "zongzhi.meta" (dict "root" $ "of" (printf "dashboard-%s" (trimPrefix "zongzhi-" $name))) | nindent 2 }}
  {{- with $.Values.monitoring.dashboards.labels }}
    {{- toYaml . | nindent 4 }}
  {{- end }}
data:
  {{ $name }}.json: |
    {{- include (printf "zongzhi.dashboard.%s" $name) $ | nindent 4 }}
{{- end }}
{{- end }}
{{- end -}}
