{{/*
A village: one pod, one volume, nothing to scale. The pod is ended before the next begins, as one file has one writer;
schema and seeds come first, in the same pod, so nothing waits for anything.
*/}}
{{- define "zongzhi.village" -}}
{{- include "zongzhi.validateTier" . }}
{{- include "zongzhi.validateDoor" . }}
{{- include "zongzhi.validateCollector" . }}
{{- $part := dict "role" "all" "demo" .Values.demo.enabled "service" "gateway" "edges" list "args" (list "all") "resources" .Values.resources }}
{{- $it := dict "root" . "of" "village" "part" $part }}
{{- include "zongzhi.settings" . }}
{{- if .Values.collector.enabled }}{{ include "zongzhi.collectorSettings" (dict "root" . "of" "collector") }}{{ end }}
{{- include "zongzhi.account" $it }}
{{ include "zongzhi.villageVolume" $it }}
{{ include "zongzhi.villageDeployment" $it }}
{{ include "zongzhi.httpService" (dict "root" . "of" "gateway" "component" "village" "service" .Values.service) }}
{{ include "zongzhi.door" . }}
{{- $edges := dict "village" (list "parent" (ternary "nextHop" "telemetry" .Values.collector.enabled)) }}
{{- if .Values.smoke.enabled }}{{ $_ := set $edges "smoke" (list "village") }}{{ end }}
{{ include "zongzhi.drawnPolicies" (dict "root" . "edges" $edges) }}
{{ include "zongzhi.observed" . }}
{{ include "zongzhi.extra" . }}
{{- end -}}

{{- define "zongzhi.villageVolume" }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
  {{- if eq .root.Values.volume.onUninstall "keep" }}
  annotations:
    # What was accepted outlives the release.
    helm.sh/resource-policy: keep
  {{- end }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with .root.Values.volume.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ .root.Values.volume.size }}
{{- end }}

{{- define "zongzhi.villageDeployment" }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
spec:
  replicas: 1
  revisionHistoryLimit: 3
  strategy:
    type: Recreate
  selector:
    matchLabels:
      {{- include "zongzhi.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "zongzhi.podLabels" . | nindent 8 }}
      annotations:
        {{- include "zongzhi.podAnnotations" . | nindent 8 }}
    spec:
      {{- include "zongzhi.pod" . | nindent 6 }}
      {{- include "zongzhi.spread" . | nindent 6 }}
      terminationGracePeriodSeconds: {{ include "zongzhi.graceSeconds" . }}
      initContainers:
        {{- $before := mergeOverwrite (deepCopy $.part) (dict "role" "migrate" "args" (list "migrate" "--seed")) }}
        - name: migrate
          {{- include "zongzhi.villageContainer" (dict "root" $.root "of" $.of "part" $before) | nindent 10 }}
          resources:
            {{- toYaml $.part.resources | nindent 12 }}
      containers:
        - name: all
          {{- include "zongzhi.villageContainer" . | nindent 10 }}
          {{- include "zongzhi.ports" . | nindent 10 }}
          {{- include "zongzhi.probes" . | nindent 10 }}
          {{- include "zongzhi.lifecycle" . | nindent 10 }}
          resources:
            {{- toYaml .part.resources | nindent 12 }}
        {{- if .root.Values.collector.enabled }}
        {{- include "zongzhi.collectorContainer" . | nindent 8 }}
        {{- end }}
        {{- with .root.Values.pods.extraContainers }}
        {{- tpl (toYaml .) $.root | nindent 8 }}
        {{- end }}
      volumes:
        - name: data
          persistentVolumeClaim:
            claimName: {{ include "zongzhi.name" . }}
        {{- if .root.Values.collector.enabled }}
        {{- include "zongzhi.collectorVolumes" . | nindent 8 }}
        {{- end }}
        {{- include "zongzhi.volumes" . | nindent 8 }}
{{- end }}

{{- define "zongzhi.villageContainer" -}}
{{ include "zongzhi.container" . }}
  - name: data
    mountPath: /var/lib/zongzhi
{{- end -}}
