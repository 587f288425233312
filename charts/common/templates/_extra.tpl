{{/* Whatever else an operator wants in the release. */}}
{{- define "zongzhi.extra" -}}
{{- range .Values.extraObjects }}
---
{{ tpl (toYaml .) $ }}
{{- end }}
{{- end -}}
