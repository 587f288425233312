{{/* The settings that all roles share, as the environment variables that `zongzhi settings` lists. */}}
{{- define "zongzhi.settingsData" -}}
ZONGZHI_TIER: {{ .Values.tier.code | quote }}
LOG_LEVEL: {{ .Values.settings.logLevel | quote }}
DRAIN_S: {{ .Values.settings.drainSeconds | quote }}
SWEEP_INTERVAL_S: {{ .Values.settings.sweepSeconds | quote }}
OUTBOX_KEEP_DAYS: {{ .Values.settings.outboxKeepDays | quote }}
DATA_DIR: /var/lib/zongzhi
GRPC_HOST: "0.0.0.0"
HEALTH_HOST: "0.0.0.0"
METRICS_HOST: "0.0.0.0"
METRICS_PORT: "9464"
GATEWAY_HOST: "0.0.0.0"
GATEWAY_PORT: "8080"
{{- if (include "zongzhi.otlpEndpoint" .) }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ include "zongzhi.otlpEndpoint" . | quote }}
{{- end }}
{{- range $name, $service := (.Values.services | default dict) }}
{{ upper $name }}_ADDRESS: "dns:///{{ include "zongzhi.serviceHost" (dict "root" $ "of" $name) }}:{{ $service.port }}"
{{- end }}
{{- range $name, $value := .Values.settings.extra }}
{{ $name }}: {{ tpl (toString $value) $ | quote }}
{{- end }}
{{- end -}}

{{- define "zongzhi.settings" }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "zongzhi.meta" (dict "root" . "of" "settings") | nindent 2 }}
data:
  {{- include "zongzhi.settingsData" . | nindent 2 }}
{{- end }}
