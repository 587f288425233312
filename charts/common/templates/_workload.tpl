{{/* Every long-running part: an account, a deployment, and what scales and protects it. */}}
{{- define "zongzhi.workloads" -}}
{{- range $component, $part := (include "zongzhi.parts" . | fromYaml) }}
{{- $it := dict "root" $ "of" $component "part" $part }}
{{- include "zongzhi.account" $it }}
{{- include "zongzhi.deployment" $it }}
{{- include "zongzhi.scaling" $it }}
{{- include "zongzhi.budget" $it }}
{{- end }}
{{- end -}}

{{/* An account of its own; nothing of ours talks to Kubernetes, so no token is mounted. */}}
{{- define "zongzhi.account" }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
automountServiceAccountToken: false
{{- end }}

{{- define "zongzhi.deployment" }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
spec:
  {{- if eq .part.scaling.mode "none" }}
  replicas: {{ .part.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  # Endpoints, policies and names reach every node a moment later; until then the old pod stays.
  minReadySeconds: 3
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
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
      {{- if .part.database }}
      initContainers:
        {{- include "zongzhi.waitForSchema" . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .part.role }}
          {{- include "zongzhi.container" . | nindent 10 }}
          {{- include "zongzhi.ports" . | nindent 10 }}
          {{- include "zongzhi.probes" . | nindent 10 }}
          {{- include "zongzhi.lifecycle" . | nindent 10 }}
          resources:
            {{- toYaml .part.resources | nindent 12 }}
        {{- with .root.Values.pods.extraContainers }}
        {{- tpl (toYaml .) $.root | nindent 8 }}
        {{- end }}
      volumes:
        {{- include "zongzhi.volumes" . | nindent 8 }}
{{- end }}

{{/* Image, command and environment of a container of ours; all that differs is in the part. */}}
{{- define "zongzhi.container" -}}
image: {{ include "zongzhi.image" (dict "root" .root "image" .root.Values.image) }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: {{ toJson .part.args }}
{{ include "zongzhi.containerSecurity" . }}
envFrom:
  - configMapRef:
      name: {{ include "zongzhi.name" (dict "root" .root "of" "settings") }}
{{- with (include "zongzhi.environment" . | trim) }}
env:
  {{- . | nindent 2 }}
{{- end }}
volumeMounts:
  {{- include "zongzhi.mounts" . | nindent 2 }}
{{- end -}}

{{/* Paths of secrets, never secrets. */}}
{{- define "zongzhi.environment" -}}
{{- if has .part.role (list "serve" "work" "all") }}
- name: HEALTH_PORT
  value: "50050"
{{- end }}
{{- if eq .part.role "serve" }}
- name: GRPC_PORT
  value: {{ (get .root.Values.services .part.service).port | quote }}
{{- end }}
{{- if .part.database }}
- name: DATABASE_URL_FILE
  value: /run/secrets/database/url
{{- end }}
{{- if .part.owner }}
- name: DATABASE_OWNER_URL_FILE
  value: /run/secrets/database-owner/url
{{- end }}
{{- if has "broker" .part.edges }}
- name: BUS_URL_FILE
  value: /run/secrets/broker/url
- name: WORKER
  value: {{ .root.Values.settings.worker }}
{{- end }}
{{- if include "zongzhi.speaksTls" . }}
- name: GRPC_TLS_DIR
  value: /run/secrets/tls
{{- end }}
{{- if .part.demo }}
- name: DEMO
  value: "1"
- name: DEMO_LOGIN_DIR
  value: /run/secrets/login
{{- end }}
{{- if eq (first .part.args) "gateway" }}
{{- with (.root.Values.streams | default dict).most }}
- name: STREAMS
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- with .root.Values.pods.extraEnv }}
{{ tpl (toYaml .) $.root }}
{{- end }}
{{- end -}}

{{/* Whether a part calls or answers other services over TLS. */}}
{{- define "zongzhi.speaksTls" -}}
{{- if has .part.role (list "serve" "gateway") -}}
{{- if ne .root.Values.tls.mode "none" -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{- define "zongzhi.mounts" -}}
- name: tmp
  mountPath: /tmp
- name: keys
  mountPath: /var/lib/zongzhi/keys
  readOnly: true
{{- if .part.database }}
- name: database
  mountPath: /run/secrets/database
  readOnly: true
{{- end }}
{{- if .part.owner }}
- name: database-owner
  mountPath: /run/secrets/database-owner
  readOnly: true
{{- end }}
{{- if has "broker" .part.edges }}
- name: broker
  mountPath: /run/secrets/broker
  readOnly: true
{{- end }}
{{- if include "zongzhi.speaksTls" . }}
- name: tls
  mountPath: /run/secrets/tls
  readOnly: true
{{- end }}
{{- if .part.demo }}
- name: login
  mountPath: /run/secrets/login
  readOnly: true
{{- end }}
{{- with .root.Values.pods.extraVolumeMounts }}
{{ tpl (toYaml .) $.root }}
{{- end }}
{{- end -}}

{{- define "zongzhi.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 1Gi
- name: keys
  secret:
    secretName: {{ include "zongzhi.secret" (dict "root" .root "of" "keys") }}
    defaultMode: 0440
    {{- if has .part.role (list "gateway" "all") }}
    {{- /* Only the gateway signs. */}}
    {{- else }}
    items:
      - key: tokens.jwks
        path: tokens.jwks
      - key: data.key
        path: data.key
    {{- end }}
{{- if .part.database }}
- name: database
  secret:
    secretName: {{ include "zongzhi.databaseSecret" (dict "root" .root "of" .part.database) }}
    defaultMode: 0440
    items:
      - key: url
        path: url
{{- end }}
{{- if .part.owner }}
- name: database-owner
  secret:
    secretName: {{ include "zongzhi.databaseSecret" (dict "root" .root "of" (printf "%s-owner" .part.database)) }}
    defaultMode: 0440
    items:
      - key: url
        path: url
{{- end }}
{{- if has "broker" .part.edges }}
- name: broker
  secret:
    secretName: {{ include "zongzhi.secret" (dict "root" .root "of" "broker") }}
    defaultMode: 0440
    items:
      - key: url
        path: url
{{- end }}
{{- if include "zongzhi.speaksTls" . }}
- name: tls
  secret:
    secretName: {{ include "zongzhi.tlsSecret" (dict "root" .root "of" .part.service) }}
    defaultMode: 0440
{{- end }}
{{- if .part.demo }}
- name: login
  secret:
    secretName: {{ include "zongzhi.secret" (dict "root" .root "of" "login") }}
    defaultMode: 0440
{{- end }}
{{- with .root.Values.pods.extraVolumes }}
{{ tpl (toYaml .) $.root }}
{{- end }}
{{- end -}}

{{- define "zongzhi.ports" -}}
ports:
  {{- if eq .part.role "serve" }}
  - name: grpc
    containerPort: {{ (get .root.Values.services .part.service).port }}
  {{- end }}
  {{- if has .part.role (list "gateway" "all") }}
  - name: http
    containerPort: 8080
  {{- end }}
  {{- if has .part.role (list "serve" "work" "all") }}
  - name: health
    containerPort: 50050
  {{- end }}
  - name: metrics
    containerPort: 9464
{{- end -}}

{{/* Liveness asks the process alone; readiness asks for its own database; nobody's readiness hangs on a neighbour. */}}
{{- define "zongzhi.probes" -}}
{{- if eq .part.role "gateway" }}
startupProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 2
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 2
  timeoutSeconds: 3
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- else }}
startupProbe:
  grpc: {port: 50050, service: live}
  periodSeconds: 2
  failureThreshold: 60
readinessProbe:
  {{- if eq .part.role "all" }}
  httpGet: {path: /readyz, port: http}
  {{- else }}
  grpc: {port: 50050, service: ready}
  {{- end }}
  periodSeconds: 2
  timeoutSeconds: 3
livenessProbe:
  grpc: {port: 50050, service: live}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}
{{- end -}}
