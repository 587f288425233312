{{/*
The OpenTelemetry Collector of a tier: takes what its own pods tell (4318) and, over TLS, what the tiers below hand up
(4319), keeps it in a queue on disk, and hands it on to the next hop for as long as that takes. A kill loses nothing that
was taken: it is in the queue before the sender hears "yes", and batches are made behind the queue, not before it.
A district or a town has one pod of its own; a village has it beside the only process, on the only volume.
*/}}
{{- define "zongzhi.collector" -}}
{{- if .Values.collector.enabled }}
{{- $it := dict "root" . "of" "collector" }}
{{- include "zongzhi.collectorSettings" $it }}
{{- include "zongzhi.account" $it }}
{{- include "zongzhi.collectorServices" $it }}
{{- include "zongzhi.collectorPod" $it }}
{{- end }}
{{- end -}}

{{/* Where this tier's own pods send spans, metrics and logs; empty: nowhere. */}}
{{- define "zongzhi.otlpEndpoint" -}}
{{- if not .Values.collector.enabled -}}{{ .Values.telemetry.endpoint }}
{{- else if hasKey .Values "services" -}}http://{{ include "zongzhi.host" (dict "root" . "of" "collector") }}:4318
{{- else -}}http://127.0.0.1:4318
{{- end -}}
{{- end -}}

{{/* Where this tier's collector hands on to. */}}
{{- define "zongzhi.nextHop" -}}
{{- if and (hasKey .Values "jaeger") .Values.jaeger.enabled -}}http://{{ include "zongzhi.host" (dict "root" . "of" "jaeger") }}:4318
{{- else -}}{{ .Values.collector.nextHop.endpoint }}
{{- end -}}
{{- end -}}

{{/* The same text for a pod of its own, for a village's, and for tests: what differs comes by environment variables. */}}
{{- define "zongzhi.collectorConfig" -}}
{{- $prometheus := dig "prometheus" "endpoint" "" .Values.collector -}}
{{- $children := dig "children" "enabled" false .Values.collector -}}
extensions:
  file_storage:
    directory: ${env:QUEUE_DIR}
    create_directory: true
    fsync: true
  health_check:
    endpoint: ${env:HOST:-0.0.0.0}:${env:HEALTH_PORT:-13133}
receivers:
  otlp:
    protocols:
      http:
        endpoint: ${env:HOST:-0.0.0.0}:${env:OTLP_PORT:-4318}
  {{- if $children }}
  otlp/children:
    protocols:
      http:
        endpoint: ${env:HOST:-0.0.0.0}:${env:CHILDREN_PORT:-4319}
        {{- if .Values.collector.children.tls }}
        tls:
          cert_file: /run/secrets/tls/tls.crt
          key_file: /run/secrets/tls/tls.key
          reload_interval: 1h
        {{- end }}
  {{- end }}
processors:
  memory_limiter:
    check_interval: 1s
    limit_percentage: 75
    spike_limit_percentage: 20
exporters:
  otlp_http:
    endpoint: ${env:NEXT_HOP}
    {{- if .Values.collector.nextHop.caSecret }}
    tls:
      ca_file: /run/secrets/next-hop/ca.crt
    {{- end }}
    {{- include "zongzhi.neverGiveUp" . | nindent 4 }}
  {{- if $prometheus }}
  otlp_http/prometheus:
    metrics_endpoint: {{ $prometheus }}
    {{- include "zongzhi.neverGiveUp" . | nindent 4 }}
  {{- end }}
  # What nobody asked for ends here, unwritten.
  debug:
    verbosity: basic
service:
  extensions: [health_check, file_storage]
  telemetry:
    logs:
      level: warn
      encoding: json
    metrics:
      level: normal
      readers:
        - pull:
            exporter:
              prometheus:
                host: ${env:HOST:-0.0.0.0}
                port: ${env:METRICS_PORT:-9464}
  pipelines:
    {{- range $signal := (list "traces" "metrics" "logs") }}
    {{ $signal }}:
      receivers: [otlp{{ if $children }}, otlp/children{{ end }}]
      processors: [memory_limiter]
      {{- if and $prometheus (eq $signal "metrics") }}
      exporters: [otlp_http/prometheus]
      {{- else if has $signal $.Values.collector.signals }}
      exporters: [otlp_http]
      {{- else }}
      exporters: [debug]
      {{- end }}
    {{- end }}
{{- end -}}

{{/* Tries for ever, from a queue on disk; a full queue refuses, and the sender keeps what it has. */}}
{{- define "zongzhi.neverGiveUp" -}}
compression: gzip
timeout: 10s
retry_on_failure:
  initial_interval: 1s
  max_interval: 30s
  max_elapsed_time: 0s
sending_queue:
  storage: file_storage
  queue_size: {{ .Values.collector.queueSize }}
  num_consumers: 2
  batch:
    sizer: items
    flush_timeout: 1s
    min_size: 512
    max_size: 4096
{{- end -}}

{{- define "zongzhi.collectorSettings" }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
data:
  config.yaml: |
    {{- include "zongzhi.collectorConfig" .root | nindent 4 }}
{{- end }}

{{- define "zongzhi.collectorServices" }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
spec:
  selector:
    {{- include "zongzhi.selector" . | nindent 4 }}
  ports:
    - name: otlp
      port: 4318
      targetPort: otlp
{{- with .root.Values.collector.children }}
{{- if .enabled }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "zongzhi.meta" (dict "root" $.root "of" "collector-children") | nindent 2 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .type }}
  selector:
    {{- include "zongzhi.selector" $ | nindent 4 }}
  ports:
    - name: children
      port: 4319
      targetPort: children
      {{- if and (ne .type "ClusterIP") .nodePort }}
      nodePort: {{ .nodePort }}
      {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "zongzhi.collectorPod" }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
spec:
  serviceName: {{ include "zongzhi.name" . }}
  replicas: 1
  selector:
    matchLabels:
      {{- include "zongzhi.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "zongzhi.podLabels" . | nindent 8 }}
        zongzhi/metrics: "true"
      annotations:
        checksum/config: {{ include "zongzhi.collectorConfig" .root | sha256sum }}
        {{- with .root.Values.pods.annotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "zongzhi.pod" . | nindent 6 }}
      {{- include "zongzhi.spread" . | nindent 6 }}
      terminationGracePeriodSeconds: 30
      containers:
        {{- include "zongzhi.collectorContainer" . | nindent 8 }}
      volumes:
        {{- include "zongzhi.collectorVolumes" . | nindent 8 }}
  volumeClaimTemplates:
    - metadata:
        name: queue
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .root.Values.collector.volume.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ .root.Values.collector.volume.size }}
{{- end }}

{{- define "zongzhi.collectorContainer" -}}
{{- $collector := .root.Values.collector -}}
{{- $village := not (hasKey .root.Values "services") -}}
- name: collector
  image: {{ include "zongzhi.image" (dict "root" .root "image" $collector.image) }}
  imagePullPolicy: {{ $collector.image.pullPolicy }}
  args: ["--config", "/etc/collector/config.yaml"]
  {{- include "zongzhi.containerSecurity" . | nindent 2 }}
  env:
    - name: QUEUE_DIR
      value: /var/lib/collector/queue
    - name: NEXT_HOP
      value: {{ include "zongzhi.nextHop" .root | quote }}
    {{- if $village }}
    # The process beside it has 9464.
    - name: METRICS_PORT
      value: "9465"
    {{- end }}
    - name: GOMEMLIMIT
      valueFrom:
        resourceFieldRef:
          resource: limits.memory
          containerName: collector
  ports:
    - name: otlp
      containerPort: 4318
    {{- if dig "children" "enabled" false $collector }}
    - name: children
      containerPort: 4319
    {{- end }}
    - name: otel-health
      containerPort: 13133
    - name: {{ ternary "otel-metrics" "metrics" $village }}
      containerPort: {{ ternary 9465 9464 $village }}
  startupProbe:
    httpGet: {path: /, port: otel-health}
    periodSeconds: 2
    failureThreshold: 60
  readinessProbe:
    httpGet: {path: /, port: otel-health}
    periodSeconds: 5
    timeoutSeconds: 3
  livenessProbe:
    httpGet: {path: /, port: otel-health}
    periodSeconds: 20
    timeoutSeconds: 5
    failureThreshold: 6
  volumeMounts:
    - name: collector-config
      mountPath: /etc/collector
      readOnly: true
    - name: {{ ternary "data" "queue" $village }}
      mountPath: /var/lib/collector
      {{- if $village }}
      subPath: collector
      {{- end }}
    {{- if $collector.nextHop.caSecret }}
    - name: next-hop
      mountPath: /run/secrets/next-hop
      readOnly: true
    {{- end }}
    {{- if and (dig "children" "enabled" false $collector) $collector.children.tls }}
    - name: tls
      mountPath: /run/secrets/tls
      readOnly: true
    {{- end }}
  resources:
    {{- toYaml $collector.resources | nindent 4 }}
{{- end -}}

{{- define "zongzhi.collectorVolumes" -}}
{{- $collector := .root.Values.collector -}}
- name: collector-config
  configMap:
    name: {{ include "zongzhi.name" (dict "root" .root "of" "collector") }}
{{- with $collector.nextHop.caSecret }}
- name: next-hop
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items:
      - key: ca.crt
        path: ca.crt
{{- end }}
{{- if and (dig "children" "enabled" false $collector) $collector.children.tls }}
- name: tls
  secret:
    secretName: {{ include "zongzhi.tlsSecret" (dict "root" .root "of" "collector") }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{/* What cannot work stops here. */}}
{{- define "zongzhi.validateCollector" -}}
{{- if .Values.collector.enabled }}
{{- if not (include "zongzhi.nextHop" .) }}
{{- fail "collector.enabled 时请设置 collector.nextHop.endpoint(上级的 Collector),区级也可以开 jaeger.enabled。 With collector.enabled, set collector.nextHop.endpoint; a district may enable jaeger instead." }}
{{- end }}
{{- if .Values.telemetry.endpoint }}
{{- fail "collector.enabled 和 telemetry.endpoint 只能用一个:前者会接管各服务的去向。 Use collector.enabled or telemetry.endpoint, not both." }}
{{- end }}
{{- if and (dig "children" "enabled" false .Values.collector) .Values.collector.children.tls (eq .Values.tls.mode "none") }}
{{- fail "collector.children.tls 需要 tls.mode 不为 none。 collector.children.tls needs a tls.mode other than none." }}
{{- end }}
{{- end }}
{{- if and (hasKey .Values "jaeger") .Values.jaeger.enabled (not .Values.collector.enabled) }}
{{- fail "jaeger.enabled 需要 collector.enabled:链路先经过 Collector。 jaeger.enabled needs collector.enabled: spans pass the collector first." }}
{{- end }}
{{- end -}}
