{{/* PostgreSQL: CloudNativePG's, somebody else's (nothing to make), or a small one for clusters that test. */}}
{{- define "zongzhi.database" -}}
{{- if eq .Values.database.mode "cnpg" }}{{ include "zongzhi.cnpg" (dict "root" . "of" "database") }}{{ end }}
{{- if eq .Values.database.mode "statefulset" }}
{{- $roles := list }}
{{- range (include "zongzhi.databases" . | fromYamlArray) }}
{{- $roles = concat $roles (list . (printf "%s-owner" .)) }}
{{- end }}
{{- $volumes := list }}{{ $mounts := list }}
{{- range $roles }}
{{- $secret := include "zongzhi.databaseSecret" (dict "root" $ "of" .) }}
{{- $items := list (dict "key" "username" "path" "username") (dict "key" "password" "path" "password") }}
{{- $volumes = append $volumes (dict "name" (printf "role-%s" .) "secret" (dict "secretName" $secret "defaultMode" 288 "items" $items)) }}
{{- $mounts = append $mounts (dict "name" (printf "role-%s" .) "mountPath" (printf "/run/secrets/roles/%s" .) "readOnly" true) }}
{{- end }}
{{- $mounts = append $mounts (dict "name" "data" "mountPath" "/var/lib/postgresql") }}
{{- $probe := dict "exec" (dict "command" (list "pg_isready" "-h" "127.0.0.1" "-p" "5432")) }}
{{- include "zongzhi.store" (dict "root" . "of" "database" "store" .Values.database.statefulset "ports" (dict "postgresql" 5432) "mounts" $mounts "volumes" $volumes "probe" $probe) }}
{{- end }}
{{- end -}}

{{- define "zongzhi.cnpg" }}
{{- $cnpg := .root.Values.database.cnpg }}
---
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
spec:
  instances: {{ $cnpg.instances }}
  {{- with $cnpg.imageName }}
  imageName: {{ . }}
  {{- end }}
  primaryUpdateStrategy: unsupervised
  enableSuperuserAccess: false
  storage:
    size: {{ $cnpg.size }}
    {{- with $cnpg.storageClass }}
    storageClass: {{ . }}
    {{- end }}
  {{- with $cnpg.walSize }}
  walStorage:
    size: {{ . }}
  {{- end }}
  postgresql:
    parameters:
      max_connections: {{ $cnpg.maxConnections | quote }}
      log_statement: none
      log_min_error_statement: panic
      log_parameter_max_length_on_error: "0"
    {{- if gt (int $cnpg.instances) 1 }}
    synchronous:
      method: any
      number: 1
      dataDurability: {{ $cnpg.dataDurability }}
    {{- end }}
  bootstrap:
    initdb:
      database: zongzhi
      owner: zongzhi
      encoding: UTF8
      localeCollate: C.UTF-8
      localeCType: C.UTF-8
  managed:
    roles:
      {{- range (include "zongzhi.databases" .root | fromYamlArray) }}
      {{- range (list . (printf "%s-owner" .)) }}
      - name: zongzhi_{{ . | replace "-" "_" }}
        ensure: present
        login: true
        passwordSecret:
          name: {{ include "zongzhi.databaseSecret" (dict "root" $.root "of" .) }}
      {{- end }}
      {{- end }}
  resources:
    {{- toYaml $cnpg.resources | nindent 4 }}
  affinity:
    enablePodAntiAffinity: true
    topologyKey: kubernetes.io/hostname
  monitoring:
    enablePodMonitor: {{ .root.Values.monitoring.serviceMonitor.enabled }}
  {{- with $cnpg.backup.objectStore }}
  plugins:
    - name: barman-cloud.cloudnative-pg.io
      isWALArchiver: true
      parameters:
        barmanObjectName: {{ . }}
  {{- end }}
{{- if $cnpg.backup.objectStore }}
---
apiVersion: postgresql.cnpg.io/v1
kind: ScheduledBackup
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
spec:
  schedule: {{ $cnpg.backup.schedule | quote }}
  method: plugin
  pluginConfiguration:
    name: barman-cloud.cloudnative-pg.io
  cluster:
    name: {{ include "zongzhi.name" . }}
{{- end }}
{{- range (include "zongzhi.databases" .root | fromYamlArray) }}
---
apiVersion: postgresql.cnpg.io/v1
kind: Database
metadata:
  {{- include "zongzhi.meta" (dict "root" $.root "of" (printf "database-%s" .)) | nindent 2 }}
spec:
  cluster:
    name: {{ include "zongzhi.name" $ }}
  name: zongzhi_{{ . }}
  owner: zongzhi_{{ . }}_owner
  encoding: UTF8
  locale: C.UTF-8
  template: template0
{{- end }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "zongzhi.podsOf" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- include "zongzhi.storeCallers" . | nindent 4 }}
    - from:
        - podSelector:
            matchLabels:
              {{- include "zongzhi.podsOf" . | nindent 14 }}
      ports:
        - port: 5432
        - port: 8000
    - from:
        - namespaceSelector:
            matchLabels:
              kubernetes.io/metadata.name: {{ $cnpg.operatorNamespace }}
      ports:
        - port: 5432
        - port: 8000
    {{- with .root.Values.networkPolicy.metricsFrom }}
    - from:
        {{- toYaml . | nindent 8 }}
      ports:
        - port: 9187
    {{- end }}
  egress:
    {{- include "zongzhi.dnsRule" . | nindent 4 }}
    {{- include "zongzhi.egressRule" (dict "root" .root "of" "kubernetes") | nindent 4 }}
    - to:
        - podSelector:
            matchLabels:
              {{- include "zongzhi.podsOf" . | nindent 14 }}
      ports:
        - port: 5432
        - port: 8000
    {{- with $cnpg.backup.to }}
    - to:
        {{- toYaml . | nindent 8 }}
    {{- end }}
{{- end }}

{{/* Ingress rules for those of this release that call a store. */}}
{{- define "zongzhi.storeCallers" -}}
{{- $edges := include "zongzhi.edges" .root | fromYaml -}}
{{- range $caller, $called := $edges }}
{{- if has $.of $called }}
- from:
    - podSelector:
        matchLabels:
          {{- include "zongzhi.selector" (dict "root" $.root "of" $caller) | nindent 10 }}
  ports:
    - port: {{ include "zongzhi.portOf" $ }}
{{- end }}
{{- end }}
{{- end -}}
