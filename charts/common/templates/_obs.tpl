{{/* All metrics ports of the release behind one headless service, and who scrapes them by setting. */}}
{{- define "zongzhi.observed" -}}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "zongzhi.meta" (dict "root" . "of" "metrics") | nindent 2 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    app.kubernetes.io/name: zongzhi
    app.kubernetes.io/instance: {{ .Release.Name }}
    zongzhi/metrics: "true"
  ports:
    - name: metrics
      port: 9464
      targetPort: metrics
    {{- if and .Values.collector.enabled (not (hasKey .Values "services")) }}
    - name: otel-metrics
      port: 9465
      targetPort: otel-metrics
    {{- end }}
{{- if .Values.monitoring.serviceMonitor.enabled }}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  {{- include "zongzhi.meta" (dict "root" . "of" "metrics") | nindent 2 }}
  {{- with .Values.monitoring.serviceMonitor.labels }}
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  # Alerts look for job="zongzhi".
  jobLabel: app.kubernetes.io/part-of
  selector:
    matchLabels:
      {{- include "zongzhi.selector" (dict "root" . "of" "metrics") | nindent 6 }}
  namespaceSelector:
    matchNames:
      - {{ .Release.Namespace }}
  endpoints:
    - port: metrics
      interval: {{ .Values.monitoring.serviceMonitor.interval }}
      # Our metrics have a label `service` of their own.
      honorLabels: true
    {{- if and .Values.collector.enabled (not (hasKey .Values "services")) }}
    - port: otel-metrics
      interval: {{ .Values.monitoring.serviceMonitor.interval }}
    {{- end }}
{{- end }}
{{- end -}}
