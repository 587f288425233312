{{/* Everything of a district or a town. */}}
{{- define "zongzhi.tier" -}}
{{- include "zongzhi.validate" . }}
{{- include "zongzhi.settings" . }}
{{ include "zongzhi.workloads" . }}
{{ include "zongzhi.services" . }}
{{ include "zongzhi.migrations" . }}
{{ include "zongzhi.tls" . }}
{{ include "zongzhi.database" . }}
{{ include "zongzhi.broker" . }}
{{ include "zongzhi.door" . }}
{{ include "zongzhi.policies" . }}
{{ include "zongzhi.collector" . }}
{{- if hasKey .Values "jaeger" }}
{{ include "zongzhi.jaeger" . }}
{{- end }}
{{ include "zongzhi.observed" . }}
{{ include "zongzhi.alerts" . }}
{{ include "zongzhi.extra" . }}
{{- end -}}
