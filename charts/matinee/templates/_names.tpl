{{/* Names, labels and other metadata that all objects share. */}}

{{- define "matinee.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimAll "-." -}}
{{- end -}}

{{/*
A name that is valid for every kind: the name of a Service has no dots and begins with a letter; the name of a release may have dots and begin
with a digit. It is so short that it fits into a label with the longest suffix.
*/}}
{{- define "matinee.fullname" -}}
{{- $name := .Values.fullnameOverride -}}
{{- if not $name -}}
{{- $chart := include "matinee.name" . -}}
{{- $name = ternary .Release.Name (printf "%s-%s" .Release.Name $chart) (contains $chart .Release.Name) -}}
{{- end -}}
{{- if regexMatch "^[0-9]" $name -}}
{{- $name = printf "m-%s" $name -}}
{{- end -}}
{{- $name | replace "." "-" | trunc 45 | trimAll "-" -}}
{{- end -}}

{{- define "matinee.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "matinee.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "matinee.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "matinee.settingsName" -}}
{{- include "matinee.fullname" . }}-settings
{{- end -}}

{{- define "matinee.leaseName" -}}
{{- default (include "matinee.fullname" .) .Values.config.leaderElection.leaseName -}}
{{- end -}}

{{- define "matinee.webhookSecretName" -}}
{{- default (printf "%s-webhook" (include "matinee.fullname" .)) .Values.webhook.existingSecret.name -}}
{{- end -}}

{{- define "matinee.webhookSecretKeys" -}}
{{- ternary .Values.webhook.existingSecret.keys (list "secret") (ne .Values.webhook.existingSecret.name "") | toJson -}}
{{- end -}}

{{/* Labels that never change during an object's life. Takes root and component. */}}
{{- define "matinee.selectorLabels" -}}
app.kubernetes.io/name: {{ include "matinee.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* All labels of an object. Takes root, component and labels. */}}
{{- define "matinee.labels" -}}
{{- $labels := include "matinee.selectorLabels" . | fromYaml -}}
{{- $fixed := dict
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name (.root.Chart.Version | replace "+" "_"))
  "app.kubernetes.io/version" .root.Chart.AppVersion
  "app.kubernetes.io/managed-by" .root.Release.Service
  "app.kubernetes.io/part-of" "matinee" -}}
{{- toYaml (merge $labels $fixed (default dict .labels) (deepCopy .root.Values.commonLabels)) -}}
{{- end -}}

{{/*
The fields of an object's `metadata`. Takes root, name and component; optionally labels, annotations and namespace; and cluster: true for
objects without a namespace.
*/}}
{{- define "matinee.metadata" -}}
name: {{ .name }}
{{- if not .cluster }}
namespace: {{ default (include "matinee.namespace" .root) .namespace }}
{{- end }}
labels:
  {{- include "matinee.labels" . | nindent 2 }}
{{- with merge (deepCopy (default dict .annotations)) (deepCopy .root.Values.commonAnnotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
