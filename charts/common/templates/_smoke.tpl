{{/* `helm test`: a petition through the public API, read back, voided. The login is a secret that the operator made. */}}
{{- define "zongzhi.smoke" -}}
{{- if .Values.smoke.enabled }}
{{- $it := dict "root" . "of" "smoke" }}
{{- include "zongzhi.account" $it }}
---
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "zongzhi.meta" $it | nindent 2 }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation
spec:
  backoffLimit: 0
  template:
    metadata:
      labels:
        {{- include "zongzhi.podLabels" $it | nindent 8 }}
    spec:
      {{- include "zongzhi.pod" $it | nindent 6 }}
      restartPolicy: Never
      containers:
        - name: smoke
          image: {{ include "zongzhi.image" (dict "root" . "image" .Values.image) }}
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          args:
            - smoke
            - --gateway=http://{{ include "zongzhi.host" (dict "root" . "of" "gateway") }}
            - --login=/run/secrets/login
            - --division={{ .Values.tier.division | default .Values.tier.code }}
          {{- include "zongzhi.containerSecurity" $it | nindent 10 }}
          envFrom:
            - configMapRef:
                name: {{ include "zongzhi.name" (dict "root" . "of" "settings") }}
          volumeMounts:
            - name: login
              mountPath: /run/secrets/login
              readOnly: true
          resources:
            {{- toYaml .Values.smoke.resources | nindent 12 }}
      volumes:
        - name: login
          secret:
            secretName: {{ include "zongzhi.secret" (dict "root" . "of" "login") }}
            defaultMode: 0440
{{- end }}
{{- end -}}
