{{/* A database or broker of one pod and one volume, for kind and the like. Production takes an operator or an address. */}}
{{- define "zongzhi.store" -}}
{{- include "zongzhi.account" . }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
spec:
  clusterIP: None
  selector:
    {{- include "zongzhi.selector" . | nindent 4 }}
  ports:
    {{- range $name, $port := .ports }}
    - name: {{ $name }}
      port: {{ $port }}
      targetPort: {{ $name }}
    {{- end }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
spec:
  serviceName: {{ include "zongzhi.name" . }}
  replicas: 1
  selector:
    matchLabels:
      {{- include "zongzhi.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        # No version: a store is not restarted because the program around it is a newer one.
        {{- include "zongzhi.selector" . | nindent 8 }}
        app.kubernetes.io/part-of: zongzhi
        zongzhi/tier: {{ .root.Values.tier.code | quote }}
    spec:
      {{- include "zongzhi.pod" . | nindent 6 }}
      terminationGracePeriodSeconds: 30
      containers:
        - name: {{ .of }}
          image: {{ include "zongzhi.image" (dict "root" .root "image" .store.image) }}
          imagePullPolicy: {{ .store.image.pullPolicy }}
          {{- include "zongzhi.containerSecurity" . | nindent 10 }}
          ports:
            {{- range $name, $port := .ports }}
            - name: {{ $name }}
              containerPort: {{ $port }}
            {{- end }}
          startupProbe:
            {{- toYaml .probe | nindent 12 }}
            periodSeconds: 2
            timeoutSeconds: 5
            failureThreshold: 150
          readinessProbe:
            {{- toYaml .probe | nindent 12 }}
            periodSeconds: 5
            timeoutSeconds: 5
          livenessProbe:
            {{- toYaml .probe | nindent 12 }}
            periodSeconds: 20
            timeoutSeconds: 10
            failureThreshold: 6
          volumeMounts:
            - name: tmp
              mountPath: /tmp
            {{- toYaml .mounts | nindent 12 }}
          resources:
            {{- toYaml .store.resources | nindent 12 }}
      volumes:
        - name: tmp
          emptyDir:
            sizeLimit: 256Mi
        {{- toYaml .volumes | nindent 8 }}
  volumeClaimTemplates:
    - metadata:
        name: data
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .store.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ .store.size }}
{{- end -}}
