{{/* How the world reaches the gateway: an Ingress, a Gateway API route, or neither. Event streams go to their own pods. */}}
{{- define "zongzhi.door" -}}
{{- if .Values.ingress.enabled }}{{ include "zongzhi.ingress" (dict "root" . "of" "gateway") }}{{ end }}
{{- if .Values.gatewayApi.enabled }}{{ include "zongzhi.route" (dict "root" . "of" "gateway") }}{{ end }}
{{- end -}}

{{- define "zongzhi.ingress" }}
{{- $ingress := .root.Values.ingress }}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
  {{- with $ingress.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with $ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- with $ingress.tlsSecret }}
  tls:
    - hosts:
        {{- toYaml $ingress.hosts | nindent 8 }}
      secretName: {{ . }}
  {{- end }}
  rules:
    {{- range $ingress.hosts }}
    - host: {{ . }}
      http:
        paths:
          {{- range (include "zongzhi.streamPaths" $.root | fromYamlArray) }}
          - path: {{ .path }}
            pathType: {{ .type }}
            backend:
              service:
                name: {{ include "zongzhi.name" (dict "root" $.root "of" "streams") }}
                port:
                  name: http
          {{- end }}
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ include "zongzhi.name" $ }}
                port:
                  name: http
    {{- end }}
{{- end }}

{{- define "zongzhi.streamPaths" -}}
{{- $streams := .Values.streams | default dict -}}
{{- ternary ($streams.paths | default list) list ($streams.enabled | default false) | toYaml -}}
{{- end -}}

{{- define "zongzhi.route" }}
{{- $api := .root.Values.gatewayApi }}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  {{- include "zongzhi.meta" . | nindent 2 }}
spec:
  parentRefs:
    {{- toYaml $api.parentRefs | nindent 4 }}
  {{- with $api.hosts }}
  hostnames:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    {{- range (include "zongzhi.streamPaths" .root | fromYamlArray) }}
    - matches:
        - path:
            type: {{ get (dict "Exact" "Exact" "Prefix" "PathPrefix" "ImplementationSpecific" "RegularExpression") .type }}
            value: {{ .path }}
      backendRefs:
        - name: {{ include "zongzhi.name" (dict "root" $.root "of" "streams") }}
          port: 80
    {{- end }}
    - matches:
        - path:
            type: PathPrefix
            value: /
      backendRefs:
        - name: {{ include "zongzhi.name" $ }}
          port: 80
{{- end }}
