{{/* <release>-<of>, short enough for every kind of object; a long one ends in its own hash. (dict "root" $ "of" "petition") */}}
{{- define "zongzhi.name" -}}
{{- $name := printf "%s-%s" .root.Release.Name .of -}}
{{- if le (len $name) 52 -}}{{ $name }}
{{- else -}}{{ printf "%s-%s" (trunc 43 $name | trimSuffix "-") (sha256sum $name | trunc 8) }}
{{- end -}}
{{- end -}}

{{/* The full DNS name of a service of this release. */}}
{{- define "zongzhi.host" -}}
{{ include "zongzhi.name" . }}.{{ .root.Release.Namespace }}.svc.{{ .root.Values.networkPolicy.clusterDomain }}
{{- end -}}

{{/* What selects the pods of one component of this release, and nobody else's. */}}
{{- define "zongzhi.selector" -}}
app.kubernetes.io/name: zongzhi
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .of }}
{{- end -}}

{{/* Labels of an object; selectors never hold the chart's version. */}}
{{- define "zongzhi.labels" -}}
{{ include "zongzhi.selector" . }}
app.kubernetes.io/part-of: zongzhi
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
zongzhi/tier: {{ .root.Values.tier.code | quote }}
{{- end -}}

{{/* Labels of a pod: what selects it, and what people look for. */}}
{{- define "zongzhi.podLabels" -}}
{{ include "zongzhi.selector" . }}
app.kubernetes.io/part-of: zongzhi
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
zongzhi/tier: {{ .root.Values.tier.code | quote }}
{{- if and .part (has .part.role (list "serve" "work" "gateway" "all")) }}
zongzhi/metrics: "true"
{{- end }}
{{- with .root.Values.pods.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* name, namespace and labels of every object. */}}
{{- define "zongzhi.meta" -}}
name: {{ include "zongzhi.name" . }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "zongzhi.labels" . | nindent 2 }}
{{- end -}}

{{/* The secret that holds something; the operator made it. (dict "root" $ "of" "keys") */}}
{{- define "zongzhi.secret" -}}
{{- get .root.Values.secrets .of | default (printf "%s-%s" .root.Release.Name .of) -}}
{{- end -}}

{{/* The secret of a database role: petition, petition-owner, … */}}
{{- define "zongzhi.databaseSecret" -}}
{{ .root.Values.secrets.databasePrefix | default (printf "%s-db" .root.Release.Name) }}-{{ .of }}
{{- end -}}

{{/* The secret with a service's certificate. */}}
{{- define "zongzhi.tlsSecret" -}}
{{ .root.Values.tls.secretPrefix | default (printf "%s-tls" .root.Release.Name) }}-{{ .of }}
{{- end -}}
