{{/* Jaeger v2 in the district: it keeps the traces that collectors hand up, and shows them. One pod, files on a volume. */}}
{{- define "zongzhi.jaeger" -}}
{{- if .Values.jaeger.enabled }}
{{- $it := dict "root" . "of" "jaeger" }}
{{- include "zongzhi.account" $it }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "zongzhi.meta" $it | nindent 2 }}
data:
  config.yaml: |
    {{- include "zongzhi.jaegerConfig" . | nindent 4 }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "zongzhi.meta" $it | nindent 2 }}
spec:
  selector:
    {{- include "zongzhi.selector" $it | nindent 4 }}
  ports:
    - name: otlp
      port: 4318
      targetPort: otlp
    - name: http
      port: 16686
      targetPort: http
{{- include "zongzhi.jaegerPod" $it }}
{{- end }}
{{- end -}}

{{- define "zongzhi.jaegerConfig" -}}
extensions:
  healthcheckv2:
    use_v2: true
    http:
      endpoint: 0.0.0.0:13133
  jaeger_storage:
    backends:
      kept:
        badger:
          directories:
            keys: /var/lib/jaeger/keys
            values: /var/lib/jaeger/values
          ephemeral: false
          ttl:
            spans: {{ .Values.jaeger.keepHours }}h
  jaeger_query:
    storage:
      traces: kept
    http:
      endpoint: 0.0.0.0:16686
receivers:
  otlp:
    protocols:
      http:
        endpoint: 0.0.0.0:4318
processors:
  batch: {}
exporters:
  jaeger_storage_exporter:
    trace_storage: kept
service:
  extensions: [healthcheckv2, jaeger_storage, jaeger_query]
  telemetry:
    metrics:
      level: normal
      readers:
        - pull:
            exporter:
              prometheus:
                host: 0.0.0.0
                port: 9464
  pipelines:
    traces:
      receivers: [otlp]
      processors: [batch]
      exporters: [jaeger_storage_exporter]
{{- end -}}

{{- define "zongzhi.jaegerPod" }}
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
        checksum/config: {{ include "zongzhi.jaegerConfig" .root | sha256sum }}
        {{- with .root.Values.pods.annotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "zongzhi.pod" . | nindent 6 }}
      {{- include "zongzhi.spread" . | nindent 6 }}
      terminationGracePeriodSeconds: 30
      containers:
        - name: jaeger
          image: {{ include "zongzhi.image" (dict "root" .root "image" .root.Values.jaeger.image) }}
          imagePullPolicy: {{ .root.Values.jaeger.image.pullPolicy }}
          args: ["--config", "/etc/jaeger/config.yaml"]
          {{- include "zongzhi.containerSecurity" . | nindent 10 }}
          ports:
            - name: otlp
              containerPort: 4318
            - name: http
              containerPort: 16686
            - name: health
              containerPort: 13133
            - name: metrics
              containerPort: 9464
          startupProbe:
            httpGet: {path: /status, port: health}
            periodSeconds: 2
            failureThreshold: 60
          readinessProbe:
            httpGet: {path: /status, port: health}
            periodSeconds: 5
            timeoutSeconds: 3
          livenessProbe:
            httpGet: {path: /status, port: health}
            periodSeconds: 20
            timeoutSeconds: 5
            failureThreshold: 6
          volumeMounts:
            - name: config
              mountPath: /etc/jaeger
              readOnly: true
            - name: data
              mountPath: /var/lib/jaeger
            - name: tmp
              mountPath: /tmp
          resources:
            {{- toYaml .root.Values.jaeger.resources | nindent 12 }}
      volumes:
        - name: config
          configMap:
            name: {{ include "zongzhi.name" . }}
        - name: tmp
          emptyDir:
            sizeLimit: 256Mi
  volumeClaimTemplates:
    - metadata:
        name: data
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .root.Values.jaeger.volume.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ .root.Values.jaeger.volume.size }}
{{- end }}
