{{/* First nothing in either direction, then one rule for each edge of the drawing, on both of its ends, and DNS. */}}
{{- define "zongzhi.policies" -}}
{{- include "zongzhi.drawnPolicies" (dict "root" . "edges" (include "zongzhi.edges" . | fromYaml)) }}
{{- end -}}

{{- define "zongzhi.drawnPolicies" -}}
{{- include "zongzhi.denyAll" .root }}
{{- $root := .root }}
{{- $edges := .edges }}
{{- range $component, $calls := $edges }}
{{- $callers := list }}
{{- range $caller, $called := $edges }}
{{- if has $component $called }}{{ $callers = append $callers $caller }}{{ end }}
{{- end }}
{{- include "zongzhi.policy" (dict "root" $root "of" $component "calls" $calls "callers" ($callers | sortAlpha)) }}
{{- end }}
{{- end -}}

{{- define "zongzhi.denyAll" }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "zongzhi.meta" (dict "root" . "of" "deny-all") | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      app.kubernetes.io/name: zongzhi
      app.kubernetes.io/instance: {{ .Release.Name }}
  policyTypes: [Ingress, Egress]
{{- end }}

{{- define "zongzhi.policy" }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "zongzhi.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- include "zongzhi.ingressRules" . | trim | default "[]" | nindent 4 }}
  egress:
    {{- include "zongzhi.dnsRule" . | nindent 4 }}
    {{- range .calls }}
    {{- with (include "zongzhi.egressRule" (dict "root" $.root "of" .) | trim) }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- end }}
{{- end }}

{{/* The port on which a component is called. */}}
{{- define "zongzhi.portOf" -}}
{{- if eq .of "database" -}}5432
{{- else if eq .of "broker" -}}5672
{{- else if has .of (list "collector" "jaeger") -}}4318
{{- else if hasSuffix "-serve" .of -}}{{ (get .root.Values.services (trimSuffix "-serve" .of)).port }}
{{- else -}}8080
{{- end -}}
{{- end -}}

{{- define "zongzhi.ingressRules" -}}
{{- range .callers }}
- from:
    - podSelector:
        matchLabels:
          {{- include "zongzhi.selector" (dict "root" $.root "of" .) | nindent 10 }}
  ports:
    - port: {{ include "zongzhi.portOf" $ }}
{{- end }}
{{- if has .of (list "gateway" "streams" "village") }}
{{- /* The door of the house: everybody, unless the operator names who. */}}
- {{ with .root.Values.networkPolicy.gatewayFrom -}}
  from:
    {{- toYaml . | nindent 4 }}
  {{ end -}}
  ports:
    - port: 8080
{{- end }}
{{- if and .root.Values.networkPolicy.metricsFrom (not (has .of (list "database" "broker" "migrate" "certificates" "smoke"))) }}
- from:
    {{- toYaml .root.Values.networkPolicy.metricsFrom | nindent 4 }}
  ports:
    - port: 9464
    {{- if and (eq .of "village") .root.Values.collector.enabled }}
    - port: 9465
    {{- end }}
{{- end }}
{{- if and (eq .of "collector") .root.Values.collector.children.enabled }}
- {{ with .root.Values.collector.children.from -}}
  from:
    {{- toYaml . | nindent 4 }}
  {{ end -}}
  ports:
    - port: 4319
{{- end }}
{{- if and (eq .of "jaeger") .root.Values.jaeger.from }}
- from:
    {{- toYaml .root.Values.jaeger.from | nindent 4 }}
  ports:
    - port: 16686
{{- end }}
{{- if eq .of "broker" }}
{{- include "zongzhi.brokerDoors" . }}
{{- end }}
{{- end -}}

{{/* Children come in over AMQPS; KEDA counts queues. */}}
{{- define "zongzhi.brokerDoors" -}}
{{- if .root.Values.broker.uplink.enabled }}
- {{ with .root.Values.broker.uplink.from -}}
  from:
    {{- toYaml . | nindent 4 }}
  {{ end -}}
  ports:
    - port: 5671
{{- end }}
{{- if include "zongzhi.usesKeda" .root }}
- from:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .root.Values.networkPolicy.kedaNamespace }}
  ports:
    - port: 5672
{{- end }}
{{- end -}}

{{- define "zongzhi.usesKeda" -}}
{{- range $_, $part := (include "zongzhi.parts" . | fromYaml) -}}
{{- if eq $part.scaling.mode "keda" -}}keda{{- end -}}
{{- end -}}
{{- end -}}

{{- define "zongzhi.dnsRule" -}}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .root.Values.networkPolicy.dns.namespace }}
      podSelector:
        matchLabels:
          {{- toYaml .root.Values.networkPolicy.dns.labels | nindent 10 }}
  ports:
    {{- range .root.Values.networkPolicy.dns.ports }}
    - port: {{ . }}
      protocol: UDP
    - port: {{ . }}
      protocol: TCP
    {{- end }}
{{- end -}}

{{/* One edge, seen from its caller. */}}
{{- define "zongzhi.egressRule" -}}
{{- if eq .of "telemetry" }}
{{- include "zongzhi.telemetryRule" . }}
{{- else if has .of (list "nextHop" "prometheus") }}
{{- $hop := get .root.Values.collector .of }}
- {{ with $hop.to -}}
  to:
    {{- toYaml . | nindent 4 }}
  {{ end -}}
  ports:
    - port: {{ $hop.port }}
{{- else if eq .of "parent" }}
{{- with .root.Values.parent.cidrs }}
- to:
    {{- range . }}
    - ipBlock:
        cidr: {{ . }}
    {{- end }}
  ports:
    - port: 5671
{{- end }}
{{- else if eq .of "kubernetes" }}
- to:
    {{- range .root.Values.networkPolicy.kubernetes.cidrs }}
    - ipBlock:
        cidr: {{ . }}
    {{- end }}
  ports:
    {{- range .root.Values.networkPolicy.kubernetes.ports }}
    - port: {{ . }}
    {{- end }}
{{- else if and (has .of (list "database" "broker")) (eq (get .root.Values .of).mode "external") }}
- to:
    {{- range (get .root.Values .of).external.cidrs }}
    - ipBlock:
        cidr: {{ . }}
    {{- end }}
  ports:
    - port: {{ (get .root.Values .of).external.port }}
{{- else }}
- to:
    - podSelector:
        matchLabels:
          {{- include "zongzhi.podsOf" . | nindent 10 }}
  ports:
    - port: {{ include "zongzhi.portOf" . }}
{{- end }}
{{- end -}}

{{/* The pods of a component; those of an operator's cluster carry the operator's labels. */}}
{{- define "zongzhi.podsOf" -}}
{{- if and (eq .of "database") (eq .root.Values.database.mode "cnpg") -}}
cnpg.io/cluster: {{ include "zongzhi.name" . }}
{{- else if and (eq .of "broker") (eq .root.Values.broker.mode "operator") -}}
app.kubernetes.io/name: {{ include "zongzhi.name" . }}
{{- else -}}
{{ include "zongzhi.selector" . }}
{{- end -}}
{{- end -}}

{{/* Spans, metrics and logs go to one collector, in the cluster or not. */}}
{{- define "zongzhi.telemetryRule" -}}
{{- if include "zongzhi.otlpEndpoint" .root }}
- {{ with .root.Values.telemetry.to -}}
  to:
    {{- toYaml . | nindent 4 }}
  {{ end -}}
  ports:
    - port: {{ .root.Values.telemetry.port }}
{{- end }}
{{- end -}}
