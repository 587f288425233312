{{/* What every pod of ours has in common: an account of its own without a token, "restricted", where it may run. */}}
{{- define "zongzhi.pod" -}}
serviceAccountName: {{ include "zongzhi.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
dnsConfig:
  options:
    # Our names are complete; asking for every search suffix first would only load the cluster's DNS.
    - name: ndots
      value: "2"
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .root.Values.pods.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.pods.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.pods.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.pods.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What every container of ours has in common. */}}
{{- define "zongzhi.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  privileged: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: 10001
  capabilities:
    drop:
      - ALL
{{- end -}}

{{/* Annotations of a pod: it is made anew when what it reads at its start has changed. */}}
{{- define "zongzhi.podAnnotations" -}}
checksum/settings: {{ include "zongzhi.settingsData" .root | sha256sum }}
{{- with .root.Values.pods.annotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Spreads replicas over nodes; never keeps one from starting. */}}
{{- define "zongzhi.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "zongzhi.selector" . | nindent 8 }}
    matchLabelKeys:
      - pod-template-hash
{{- end -}}

{{/* First the load balancers forget the pod, then it gets SIGTERM and finishes what it has begun. */}}
{{- define "zongzhi.lifecycle" -}}
lifecycle:
  preStop:
    sleep:
      seconds: {{ .root.Values.settings.preStopSeconds }}
{{- end -}}

{{/* Seconds from the wish to stop until a pod is killed: longer than sleep and both drains (gateway, services). */}}
{{- define "zongzhi.graceSeconds" -}}
{{ add .root.Values.settings.preStopSeconds (mul 2 .root.Values.settings.drainSeconds) 15 }}
{{- end -}}
