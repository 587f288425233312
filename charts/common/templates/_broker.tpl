{{/* RabbitMQ: the Cluster Operator's, somebody else's (nothing to make), or a small one for clusters that test. */}}
{{- define "zongzhi.broker" -}}
{{- $it := dict "root" . "of" "broker" }}
{{- if eq .Values.broker.mode "operator" }}{{ include "zongzhi.rabbitmqCluster" $it }}{{ end }}
{{- if eq .Values.broker.mode "statefulset" }}
{{- $secret := include "zongzhi.secret" $it }}
{{- $items := list (dict "key" "default_user.conf" "path" "default_user.conf") }}
{{- $volumes := list (dict "name" "broker" "secret" (dict "secretName" $secret "defaultMode" 288 "items" $items)) }}
{{- $mounts := list (dict "name" "broker" "mountPath" "/run/secrets/broker" "readOnly" true) (dict "name" "data" "mountPath" "/var/lib/rabbitmq") }}
{{- $ports := dict "amqp" 5672 }}
{{- if .Values.broker.uplink.enabled }}
{{- $tls := include "zongzhi.tlsSecret" $it }}
{{- $volumes = append $volumes (dict "name" "tls" "secret" (dict "secretName" $tls "defaultMode" 288)) }}
{{- $mounts = append $mounts (dict "name" "tls" "mountPath" "/run/secrets/tls" "readOnly" true) }}
{{- $_ := set $ports "amqps" 5671 }}
{{- end }}
{{- include "zongzhi.store" (mergeOverwrite $it (dict "store" .Values.broker.statefulset "ports" $ports "mounts" $mounts "volumes" $volumes "probe" (dict "tcpSocket" (dict "port" "amqp")))) }}
{{- end }}
{{- include "zongzhi.uplink" (dict "root" . "of" "broker") }}
{{- end -}}

{{/* Where the children of this tier come in, over AMQPS and nothing else. */}}
{{- define "zongzhi.uplink" }}
{{- if .root.Values.broker.uplink.enabled }}
{{- $uplink := .root.Values.broker.uplink }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "zongzhi.meta" (dict "root" .root "of" "uplink") | nindent 2 }}
  {{- with $uplink.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ $uplink.type }}
  selector:
    {{- include "zongzhi.podsOf" . | nindent 4 }}
  ports:
    - name: amqps
      port: 5671
      targetPort: 5671
      {{- with $uplink.nodePort }}
      nodePort: {{ . }}
      {{- end }}
{{- end }}
{{- end }}

{{- define "zongzhi.rabbitmqCluster" }}
{{- $operator := .root.Values.broker.operator }}
---
apiVersion: rabbitmq.com/v1beta1
kind: RabbitmqCluster
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
spec:
  replicas: {{ $operator.replicas }}
  {{- with $operator.image }}
  image: {{ . }}
  {{- end }}
  secretBackend:
    externalSecret:
      name: {{ include "zongzhi.secret" . }}
  persistence:
    storage: {{ $operator.size }}
    {{- with $operator.storageClass }}
    storageClassName: {{ . }}
    {{- end }}
  resources:
    {{- toYaml $operator.resources | nindent 4 }}
  {{- if .root.Values.broker.uplink.enabled }}
  tls:
    secretName: {{ include "zongzhi.tlsSecret" . }}
    caSecretName: {{ include "zongzhi.tlsSecret" . }}
  {{- end }}
  terminationGracePeriodSeconds: 604800
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels:
                {{- include "zongzhi.podsOf" . | nindent 16 }}
  rabbitmq:
    additionalConfig: |
      disk_free_limit.absolute = 2GB
      vm_memory_high_watermark.relative = 0.4
      heartbeat = 30
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
    {{- include "zongzhi.brokerDoors" . | nindent 4 }}
    - from:
        - podSelector:
            matchLabels:
              {{- include "zongzhi.podsOf" . | nindent 14 }}
      ports:
        - port: 4369
        - port: 25672
    - from:
        - namespaceSelector:
            matchLabels:
              kubernetes.io/metadata.name: {{ $operator.operatorNamespace }}
      ports:
        - port: 15672
    {{- with .root.Values.networkPolicy.metricsFrom }}
    - from:
        {{- toYaml . | nindent 8 }}
      ports:
        - port: 15692
    {{- end }}
  egress:
    {{- include "zongzhi.dnsRule" . | nindent 4 }}
    {{- include "zongzhi.egressRule" (dict "root" .root "of" "kubernetes") | nindent 4 }}
    - to:
        - podSelector:
            matchLabels:
              {{- include "zongzhi.podsOf" . | nindent 14 }}
      ports:
        - port: 4369
        - port: 25672
{{- end }}
