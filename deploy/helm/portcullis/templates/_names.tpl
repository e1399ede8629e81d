{{/* The name of everything: the release's, with that of the chart unless it is part of it. Pods and revisions have longer ones. */}}
{{- define "portcullis.name" -}}
{{- $name := contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) -}}
{{- $name | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{/* By what everything finds the pods of this release. */}}
{{- define "portcullis.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "portcullis.labels" -}}
{{ include "portcullis.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Name, namespace and labels. The context is the root and what follows the name. */}}
{{- define "portcullis.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "portcullis.name" $root }}{{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
labels: {{- include "portcullis.labels" $root | nindent 2 }}
{{- end }}
