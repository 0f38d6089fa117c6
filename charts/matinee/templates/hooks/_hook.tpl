{{/* Annotations of a hook's objects, which exist only while the hook runs. Takes events and weight. */}}
{{- define "matinee.hook" -}}
helm.sh/hook: {{ .events }}
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{/* The account of a hook. Takes root, name, component and events. */}}
{{- define "matinee.hookAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "matinee.metadata" (dict "root" .root "name" .name "component" .component "annotations" (include "matinee.hook" (dict "events" .events "weight" "-10") | fromYaml)) | nindent 2 }}
{{- end -}}

{{/* Binds a role to a hook's account of the same name. Takes root, name, component, events and kind, which is Role or ClusterRole. */}}
{{- define "matinee.hookBinding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  {{- include "matinee.metadata" (dict "root" .root "name" .name "component" .component "cluster" (eq .kind "ClusterRole") "annotations" (include "matinee.hook" (dict "events" .events "weight" "-8") | fromYaml)) | nindent 2 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: {{ .kind }}, name: {{ .name }}}
subjects:
- {kind: ServiceAccount, name: {{ .name }}, namespace: {{ include "matinee.namespace" .root }}}
{{- end -}}
