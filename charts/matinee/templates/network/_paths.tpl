{{/* The paths of the port that are reachable from outside. Each path matches exactly, except /environments, which matches as a prefix. */}}
{{- define "matinee.paths" -}}
- {path: /webhooks/github, below: false}
- {path: /slack/commands, below: false}
{{- if .Values.pages }}
- {path: /environments, below: true}
{{- end }}
{{- end -}}
