{{/*
Two names for each gRPC service. <service>-each leads to every replica, and callers spread their calls over them. With a
single replica callers use <service>, one address for whoever serves: when the pod is replaced, the next connection finds
the new one at once, where a name would first have to be looked up again.
*/}}
{{- define "zongzhi.services" -}}
{{- range $name, $service := .Values.services }}
{{- include "zongzhi.grpcService" (dict "root" $ "of" $name "service" $name "port" $service.port "headless" false) }}
{{- include "zongzhi.grpcService" (dict "root" $ "of" (printf "%s-each" $name) "service" $name "port" $service.port "headless" true) }}
{{- end }}
{{- include "zongzhi.httpService" (dict "root" . "of" "gateway" "component" "gateway" "service" .Values.gateway.service) }}
{{- if .Values.streams.enabled }}
{{- include "zongzhi.httpService" (dict "root" . "of" "streams" "component" "streams" "service" (dict "type" "ClusterIP")) }}
{{- end }}
{{- end -}}

{{- define "zongzhi.grpcService" }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
spec:
  {{- if .headless }}
  clusterIP: None
  {{- end }}
  selector:
    {{- include "zongzhi.selector" (dict "root" .root "of" (printf "%s-serve" .service)) | nindent 4 }}
  ports:
    - name: grpc
      port: {{ .port }}
      targetPort: grpc
      appProtocol: grpc
{{- end }}

{{/* The name by which callers reach a service. */}}
{{- define "zongzhi.serviceHost" -}}
{{- $part := get (include "zongzhi.parts" .root | fromYaml) (printf "%s-serve" .of) -}}
{{- $several := gt (int (include "zongzhi.least" (dict "part" $part))) 1 -}}
{{ include "zongzhi.host" (dict "root" .root "of" (ternary (printf "%s-each" .of) .of $several)) }}
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
