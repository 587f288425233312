{{/* A HorizontalPodAutoscaler or KEDA's ScaledObject, never both; then the deployment names no number itself. */}}
{{- define "zongzhi.scaling" -}}
{{- if eq .part.scaling.mode "hpa" }}{{ include "zongzhi.hpa" . }}{{ end }}
{{- if eq .part.scaling.mode "keda" }}{{ include "zongzhi.keda" . }}{{ end }}
{{- end -}}

{{- define "zongzhi.hpa" }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "zongzhi.name" . }}
  minReplicas: {{ .part.scaling.min }}
  maxReplicas: {{ .part.scaling.max }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ .part.scaling.cpuPercent }}
{{- end }}

{{- define "zongzhi.keda" }}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
spec:
  scaleTargetRef:
    name: {{ include "zongzhi.name" . }}
  minReplicaCount: {{ .part.scaling.min }}
  maxReplicaCount: {{ .part.scaling.max }}
  triggers:
    {{- if eq .part.role "work" }}
    - type: rabbitmq
      metadata:
        protocol: amqp
        queueName: q.{{ .root.Values.tier.code }}.{{ .part.service }}
        mode: QueueLength
        value: {{ .part.scaling.queueLength | quote }}
      authenticationRef:
        name: {{ include "zongzhi.name" . }}
    {{- else }}
    - type: cpu
      metricType: Utilization
      metadata:
        value: {{ .part.scaling.cpuPercent | quote }}
    {{- end }}
{{- if eq .part.role "work" }}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
spec:
  secretTargetRef:
    - parameter: host
      name: {{ include "zongzhi.secret" (dict "root" .root "of" "broker") }}
      key: url
{{- end }}
{{- end }}

{{/* How many replicas there are at the least. */}}
{{- define "zongzhi.least" -}}
{{ ternary .part.replicas .part.scaling.min (eq .part.scaling.mode "none") }}
{{- end -}}

{{/* Only where one may go while another stays; with a single replica a budget would block every drain. */}}
{{- define "zongzhi.budget" }}
{{- if gt (int (include "zongzhi.least" .)) 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "zongzhi.selector" . | nindent 6 }}
{{- end }}
{{- end }}
