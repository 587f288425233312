{{/*
One job for each database: the schema first, then what the release ships with. An ordinary object of the release whose
name carries a hash of all that it is, so that a new image is a new job and nothing else is. Pods wait for the schema by
an init container of their own, which accepts a newer one: during a rollback the database stays ahead.
*/}}
{{- define "zongzhi.migrations" -}}
{{- include "zongzhi.account" (dict "root" . "of" "migrate") }}
{{- range (include "zongzhi.databases" . | fromYamlArray) }}
{{- $part := dict "role" "migrate" "demo" (and $.Values.demo.enabled (eq . "gateway")) "service" . "database" . "owner" true "edges" list "args" (list "migrate" . "--seed" "--wait" (toString $.Values.migrations.waitSeconds)) }}
{{- include "zongzhi.migration" (dict "root" $ "of" "migrate" "part" $part) }}
{{- end }}
{{- end -}}

{{- define "zongzhi.migration" }}
{{- $spec := include "zongzhi.migrationSpec" . }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "zongzhi.name" (dict "root" .root "of" (printf "migrate-%s" .part.service)) }}-{{ sha256sum $spec | trunc 8 }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "zongzhi.labels" . | nindent 4 }}
  {{- if and .root.Values.migrations.useHelmHooks .root.Release.IsUpgrade }}
  annotations:
    # The first install has no database to wait for: there it is an ordinary job.
    helm.sh/hook: pre-upgrade
    helm.sh/hook-delete-policy: before-hook-creation
  {{- end }}
spec:
  {{- $spec | nindent 2 }}
{{- end }}

{{- define "zongzhi.migrationSpec" -}}
backoffLimit: 20
template:
  metadata:
    labels:
      {{- include "zongzhi.podLabels" . | nindent 6 }}
  spec:
    {{- include "zongzhi.pod" . | nindent 4 }}
    restartPolicy: OnFailure
    containers:
      - name: migrate
        {{- include "zongzhi.container" . | nindent 8 }}
        resources:
          {{- toYaml .root.Values.migrations.resources | nindent 10 }}
    volumes:
      {{- include "zongzhi.volumes" . | nindent 6 }}
{{- end -}}

{{- define "zongzhi.waitForSchema" -}}
{{- $seconds := toString .root.Values.migrations.waitSeconds }}
{{- $part := mergeOverwrite (deepCopy .part) (dict "role" "wait" "edges" list "args" (list "wait-schema" .part.database "--timeout" $seconds)) }}
- name: wait-for-schema
  {{- include "zongzhi.container" (dict "root" .root "of" .of "part" $part) | nindent 2 }}
  resources:
    {{- toYaml .root.Values.migrations.resources | nindent 4 }}
{{- end -}}
