{{/* Headless where the caller balances by itself (gRPC); an address of its own where anybody calls (HTTP). */}}
{{- define "zongzhi.services" -}}
{{- range $name, $service := .Values.services }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "zongzhi.meta" (dict "root" $ "of" $name) | nindent 2 }}
spec:
  clusterIP: None
  selector:
    {{- include "zongzhi.selector" (dict "root" $ "of" (printf "%s-serve" $name)) | nindent 4 }}
  ports:
    - name: grpc
      port: {{ $service.port }}
      targetPort: grpc
      appProtocol: grpc
{{- end }}
{{- include "zongzhi.httpService" (dict "root" . "of" "gateway" "component" "gateway" "service" .Values.gateway.service) }}
{{- if .Values.streams.enabled }}
{{- include "zongzhi.httpService" (dict "root" . "of" "streams" "component" "streams" "service" (dict "type" "ClusterIP")) }}
{{- end }}
{{- end -}}

{{- define "zongzhi.httpService" }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
  {{- with .service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .service.type }}
  selector:
    {{- include "zongzhi.selector" (dict "root" .root "of" .component) | nindent 4 }}
  ports:
    - name: http
      port: 80
      targetPort: http
      {{- with .service.nodePort }}
      nodePort: {{ . }}
      {{- end }}
{{- end }}
