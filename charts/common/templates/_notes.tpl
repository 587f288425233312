{{/* What to do next; Chinese first. */}}
{{- define "zongzhi.notes" -}}
{{- $gateway := include "zongzhi.name" (dict "root" . "of" "gateway") -}}
{{- $keys := include "zongzhi.secret" (dict "root" . "of" "keys") -}}
综治中心 {{ .Values.tier.code }} 已提交给集群。The release {{ .Release.Name }} is with the cluster.

1. 密钥{{ if .Values.services }}和密码{{ end }}:secret {{ $keys }} 等须已存在,没有则 pod 会一直等。Secrets must exist; pods wait for them.
   ZONGZHI_TIER={{ .Values.tier.code }} DATA_DIR=$(mktemp -d) zongzhi keys secrets --release {{ .Release.Name }} --namespace {{ .Release.Namespace }}{{ if not .Values.services }} --village{{ end }} | kubectl create -f -
2. 等待就绪 wait:
   kubectl -n {{ .Release.Namespace }} get pods -l app.kubernetes.io/instance={{ .Release.Name }} --watch
3. 自检:经公开接口登记一件、读回、作废 · file a petition through the public API and read it back:
   helm test {{ .Release.Name }} --namespace {{ .Release.Namespace }}
4. 打开 open:
{{- if .Values.ingress.enabled }}
{{- range .Values.ingress.hosts }}
   http{{ if $.Values.ingress.tlsSecret }}s{{ end }}://{{ . }}/docs
{{- end }}
{{- else if .Values.gatewayApi.enabled }}
{{- range .Values.gatewayApi.hosts }}
   https://{{ . }}/docs
{{- end }}
{{- else }}
   kubectl -n {{ .Release.Namespace }} port-forward service/{{ $gateway }} 8080:80
   http://127.0.0.1:8080/docs
{{- end }}
{{- include "zongzhi.warnings" . }}
{{- end -}}

{{/* What is fine for a try and not for production. */}}
{{- define "zongzhi.warnings" -}}
{{- if .Values.demo.enabled }}

注意:demo.enabled 建了演示账号,生产环境请关闭。Mind: demo.enabled makes a demo account; not for production.
{{- end }}
{{- if .Values.services }}
{{- if or (eq .Values.database.mode "statefulset") (eq .Values.broker.mode "statefulset") }}

注意:statefulset 形态的数据库或 RabbitMQ 只有一个 pod,没有备份,只供测试。Mind: stores of mode statefulset are for tests: one pod, no backup.
{{- end }}
{{- if eq .Values.tls.mode "none" }}

注意:tls.mode 为 none,服务之间是明文。Mind: with tls.mode none, services talk in plain text.
{{- end }}
{{- else }}

一个村只有一个 pod、一个卷:升级时停几十秒,请备份这个卷。A village is one pod and one volume: upgrades take some seconds; back the volume up.
{{- end }}
{{- if not .Values.image.digest }}

建议设置 image.digest。Setting image.digest is recommended.
{{- end }}
{{- end -}}
