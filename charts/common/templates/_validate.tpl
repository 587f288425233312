{{/* What cannot work stops here, with a sentence that says what to do. Each has a test. */}}
{{- define "zongzhi.validate" -}}
{{- include "zongzhi.validateTier" . }}
{{- include "zongzhi.validateDoor" . }}
{{- include "zongzhi.validateStores" . }}
{{- include "zongzhi.validateTls" . }}
{{- include "zongzhi.validateParts" . }}
{{- include "zongzhi.validateCollector" . }}
{{- end -}}

{{- define "zongzhi.validateTier" -}}
{{- if not (regexMatch "^[0-9]{12}$" (toString .Values.tier.code)) }}
{{- fail "请设置 tier.code:本级的 12 位区划代码,如 \"341702000000\"(要加引号)。 Set tier.code to the 12-digit division code of this tier, quoted." }}
{{- end }}
{{- end -}}

{{- define "zongzhi.validateDoor" -}}
{{- if and .Values.ingress.enabled .Values.gatewayApi.enabled }}
{{- fail "ingress 和 gatewayApi 只能开一个。 Enable ingress or gatewayApi, not both." }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- fail "请在 ingress.hosts 写域名。 Name at least one host in ingress.hosts." }}
{{- end }}
{{- if and .Values.gatewayApi.enabled (not .Values.gatewayApi.parentRefs) }}
{{- fail "请在 gatewayApi.parentRefs 写要挂到哪个 Gateway。 Name the Gateway in gatewayApi.parentRefs." }}
{{- end }}
{{- end -}}

{{- define "zongzhi.validateStores" -}}
{{- range $store := (list "database" "broker") }}
{{- $it := get $.Values $store }}
{{- if and (eq $it.mode "external") (not $it.external.cidrs) }}
{{- fail (printf "%s.mode 为 external 时,请在 %s.external.cidrs 写服务器的地址段,网络策略只放行它们。 With %s.mode external, list the server's addresses in %s.external.cidrs; the network policy opens nothing else." $store $store $store $store) }}
{{- end }}
{{- end }}
{{- if and (eq .Values.broker.mode "external") .Values.broker.uplink.enabled }}
{{- fail "外部 RabbitMQ 的 AMQPS 入口请在它那里开,这里关掉 broker.uplink.enabled。 An external broker opens AMQPS itself; disable broker.uplink.enabled." }}
{{- end }}
{{- end -}}

{{- define "zongzhi.validateTls" -}}
{{- if and (eq .Values.tls.mode "certManager") (not .Values.tls.issuer.name) }}
{{- fail "tls.mode 为 certManager 时请设置 tls.issuer.name。 With tls.mode certManager, set tls.issuer.name." }}
{{- end }}
{{- if and (eq .Values.tls.mode "none") .Values.broker.uplink.enabled }}
{{- fail "下级只走 AMQPS:broker.uplink.enabled 需要 tls.mode 不为 none。 Children come over AMQPS only: broker.uplink.enabled needs a tls.mode other than none." }}
{{- end }}
{{- end -}}

{{- define "zongzhi.validateParts" -}}
{{- if not .Values.services }}
{{- fail "services 里至少要有一个服务。 Name at least one service in services." }}
{{- end }}
{{- range $name, $service := .Values.services }}
{{- range $service.calls }}
{{- if not (hasKey $.Values.services .) }}
{{- fail (printf "services.%s.calls 里的 %s 不是本级的服务。 services.%s.calls names %s, which is no service of this tier." $name . $name .) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $component, $part := (include "zongzhi.parts" . | fromYaml) }}
{{- if and (ne $part.scaling.mode "none") (gt (int $part.scaling.min) (int $part.scaling.max)) }}
{{- fail (printf "%s 的 scaling.min 大于 scaling.max。 scaling.min of %s is above scaling.max." $component $component) }}
{{- end }}
{{- end }}
{{- end -}}
