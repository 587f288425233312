{{/*
The drawing: every long-running part of a district or a town, and whom it calls. Everything else is made from it:
deployments, services, policies in both directions, budgets, scaling.

  petition-serve:
    role: serve           how it is started and probed
    service: petition     whose it is
    args: [serve, petition]
    database: petition    whose database it enters; none when left out
    edges: [database, broker]
    replicas, scaling, resources, …   .Values.<role> ← .Values.services.<name>.<role>
*/}}
{{- define "zongzhi.parts" -}}
{{- $parts := dict -}}
{{- $services := list -}}
{{- range $name, $service := .Values.services -}}
{{- $serving := printf "%s-serve" $name -}}
{{- $services = append $services $serving -}}
{{- $calls := list "database" "broker" "parent" "telemetry" -}}
{{- range $service.calls -}}{{- $calls = append $calls (printf "%s-serve" .) -}}{{- end -}}
{{- $serve := mergeOverwrite (deepCopy $.Values.serve) (deepCopy ($service.serve | default dict)) -}}
{{- $serve = mergeOverwrite $serve (dict "role" "serve" "service" $name "database" $name "args" (list "serve" $name) "edges" $calls) -}}
{{- $_ := set $parts $serving $serve -}}
{{- $work := mergeOverwrite (deepCopy $.Values.work) (deepCopy ($service.work | default dict)) -}}
{{- $work = mergeOverwrite $work (dict "role" "work" "service" $name "database" $name "args" (list "work" $name) "edges" (list "database" "broker" "telemetry")) -}}
{{- $_ := set $parts (printf "%s-work" $name) $work -}}
{{- end -}}
{{- $http := dict "role" "gateway" "service" "gateway" "database" "gateway" "edges" (concat $services (list "database" "telemetry")) -}}
{{- $args := list "gateway" "--workers" (toString .Values.gateway.workers) "--threads" (toString .Values.gateway.threads) -}}
{{- $_ := set $parts "gateway" (mergeOverwrite (deepCopy .Values.gateway) $http (dict "args" $args)) -}}
{{- if .Values.streams.enabled -}}
{{- $args = list "gateway" "--streams" "--workers" "1" "--threads" (toString .Values.streams.threads) -}}
{{- $_ := set $parts "streams" (mergeOverwrite (deepCopy .Values.streams) (deepCopy $http) (dict "args" $args)) -}}
{{- end -}}
{{- toYaml $parts -}}
{{- end -}}

{{/* The databases of this release: each service's, and the gateway's with the accounts. */}}
{{- define "zongzhi.databases" -}}
{{- append (keys .Values.services | sortAlpha) "gateway" | toYaml -}}
{{- end -}}

{{/* Everybody of this release that calls somebody, long-running or not: {component: [whom]}. */}}
{{- define "zongzhi.edges" -}}
{{- $edges := dict "certificates" (list "kubernetes") "smoke" (list "gateway") "migrate" (list "database") -}}
{{- range $component, $part := (include "zongzhi.parts" . | fromYaml) -}}
{{- $_ := set $edges $component $part.edges -}}
{{- end -}}
{{- if .Values.collector.enabled -}}
{{- range $component, $calls := $edges -}}
{{- if has "telemetry" $calls -}}{{- $_ := set $edges $component (append (without $calls "telemetry") "collector") -}}{{- end -}}
{{- end -}}
{{- $jaeger := and (hasKey .Values "jaeger") .Values.jaeger.enabled -}}
{{- $out := list (ternary "jaeger" "nextHop" $jaeger) -}}
{{- if dig "prometheus" "endpoint" "" .Values.collector -}}{{- $out = append $out "prometheus" -}}{{- end -}}
{{- $_ := set $edges "collector" $out -}}
{{- if $jaeger -}}{{- $_ := set $edges "jaeger" list -}}{{- end -}}
{{- end -}}
{{- if eq .Values.database.mode "statefulset" -}}{{- $_ := set $edges "database" list -}}{{- end -}}
{{- if eq .Values.broker.mode "statefulset" -}}{{- $_ := set $edges "broker" list -}}{{- end -}}
{{- if ne .Values.tls.mode "selfMade" -}}{{- $_ := unset $edges "certificates" -}}{{- end -}}
{{- if not .Values.smoke.enabled -}}{{- $_ := unset $edges "smoke" -}}{{- end -}}
{{- toYaml $edges -}}
{{- end -}}

{{/* Who shows a certificate, and by which names it is reached: {petition: [hosts]}. Only the broker is reached from outside. */}}
{{- define "zongzhi.certified" -}}
{{- $found := dict -}}
{{- $reached := append (keys .Values.services) "gateway" -}}
{{- if .Values.broker.uplink.enabled -}}{{- $reached = append $reached "broker" -}}{{- end -}}
{{- if and .Values.collector.enabled .Values.collector.children.enabled .Values.collector.children.tls -}}
{{- $reached = append $reached "collector" -}}
{{- end -}}
{{- range $reached -}}
{{- $name := include "zongzhi.name" (dict "root" $ "of" .) -}}
{{- $hosts := list $name (printf "%s.%s.svc" $name $.Release.Namespace) (include "zongzhi.host" (dict "root" $ "of" .)) -}}
{{- if eq . "broker" -}}{{- $hosts = concat $hosts $.Values.broker.uplink.hosts -}}{{- end -}}
{{- if hasKey $.Values.services . -}}
{{- $hosts = append $hosts (include "zongzhi.host" (dict "root" $ "of" (printf "%s-each" .))) -}}
{{- end -}}
{{- if eq . "collector" -}}
{{- $children := dict "root" $ "of" "collector-children" -}}
{{- $own := printf "%s.%s.svc" (include "zongzhi.name" $children) $.Release.Namespace -}}
{{- $hosts = concat $hosts (list $own (include "zongzhi.host" $children)) $.Values.collector.children.hosts -}}
{{- end -}}
{{- $_ := set $found . $hosts -}}
{{- end -}}
{{- toYaml $found -}}
{{- end -}}
