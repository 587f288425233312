{{/*
Certificates between services. selfMade: a job makes an authority and each part's own, a cron job renews them.
certManager: an issuer of the cluster does. existing: the secrets are there. none: plain text, for a try.
*/}}
{{- define "zongzhi.tls" -}}
{{- if eq .Values.tls.mode "selfMade" }}{{ include "zongzhi.selfMade" (dict "root" . "of" "certificates") }}{{ end }}
{{- if eq .Values.tls.mode "certManager" }}{{ include "zongzhi.certManager" . }}{{ end }}
{{- end -}}

{{- define "zongzhi.certManager" }}
{{- range $service, $hosts := (include "zongzhi.certified" . | fromYaml) }}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  {{- include "zongzhi.meta" (dict "root" $ "of" (printf "tls-%s" $service)) | nindent 2 }}
spec:
  secretName: {{ include "zongzhi.tlsSecret" (dict "root" $ "of" $service) }}
  duration: 2160h
  renewBefore: 720h
  privateKey:
    algorithm: ECDSA
    size: 256
    rotationPolicy: Always
  usages:
    - server auth
    - client auth
  dnsNames:
    {{- toYaml $hosts | nindent 4 }}
  uris:
    - spiffe://zongzhi/tier/{{ $.Values.tier.code }}/svc/{{ $service }}
  issuerRef:
    name: {{ $.Values.tls.issuer.name }}
    kind: {{ $.Values.tls.issuer.kind }}
    group: cert-manager.io
{{- end }}
{{- end }}

{{- define "zongzhi.selfMade" }}
{{- include "zongzhi.account" . }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
rules:
  # A name cannot be given for what does not exist yet; everything else is by name.
  - apiGroups: [""]
    resources: [secrets]
    verbs: [create]
  - apiGroups: [""]
    resources: [secrets]
    verbs: [get, update]
    resourceNames:
      - {{ include "zongzhi.tlsSecret" (dict "root" .root "of" "ca") }}
      {{- range $service, $_ := (include "zongzhi.certified" .root | fromYaml) }}
      - {{ include "zongzhi.tlsSecret" (dict "root" $.root "of" $service) }}
      {{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ include "zongzhi.name" . }}
subjects:
  - kind: ServiceAccount
    name: {{ include "zongzhi.name" . }}
    namespace: {{ .root.Release.Namespace }}
{{- $spec := include "zongzhi.selfMadeSpec" . }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "zongzhi.name" . }}-{{ sha256sum $spec | trunc 8 }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "zongzhi.labels" . | nindent 4 }}
spec:
  {{- $spec | nindent 2 }}
---
apiVersion: batch/v1
kind: CronJob
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
spec:
  schedule: {{ .root.Values.tls.renewSchedule | quote }}
  concurrencyPolicy: Forbid
  successfulJobsHistoryLimit: 1
  failedJobsHistoryLimit: 2
  jobTemplate:
    metadata:
      labels:
        {{- include "zongzhi.labels" . | nindent 8 }}
    spec:
      {{- $spec | nindent 6 }}
{{- end }}

{{- define "zongzhi.selfMadeSpec" -}}
backoffLimit: 20
template:
  metadata:
    labels:
      {{- include "zongzhi.podLabels" . | nindent 6 }}
  spec:
    {{- include "zongzhi.pod" . | nindent 4 }}
    restartPolicy: OnFailure
    containers:
      - name: certificates
        image: {{ include "zongzhi.image" (dict "root" .root "image" .root.Values.image) }}
        imagePullPolicy: {{ .root.Values.image.pullPolicy }}
        args:
          - certificates
          - --namespace={{ .root.Release.Namespace }}
          - --release={{ .root.Release.Name }}
          - --authority={{ include "zongzhi.tlsSecret" (dict "root" .root "of" "ca") }}
          {{- range $service, $hosts := (include "zongzhi.certified" .root | fromYaml) }}
          - {{ $service }}={{ include "zongzhi.tlsSecret" (dict "root" $.root "of" $service) }}:{{ join "," $hosts }}
          {{- end }}
        {{- include "zongzhi.containerSecurity" . | nindent 8 }}
        envFrom:
          - configMapRef:
              name: {{ include "zongzhi.name" (dict "root" .root "of" "settings") }}
        volumeMounts:
          - name: tmp
            mountPath: /tmp
          - name: token
            mountPath: /var/run/secrets/kubernetes.io/serviceaccount
            readOnly: true
        resources:
          {{- toYaml .root.Values.migrations.resources | nindent 10 }}
    volumes:
      - name: tmp
        emptyDir:
          sizeLimit: 64Mi
      # The one pod of ours that talks to Kubernetes, with a token of ten minutes.
      - name: token
        projected:
          defaultMode: 0440
          sources:
            - serviceAccountToken:
                path: token
                expirationSeconds: 600
            - configMap:
                name: kube-root-ca.crt
                items:
                  - key: ca.crt
                    path: ca.crt
            - downwardAPI:
                items:
                  - path: namespace
                    fieldRef:
                      fieldPath: metadata.namespace
{{- end -}}
