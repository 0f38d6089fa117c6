{{/* What is reached from outside; nothing else of the port is. Each path is taken exactly, but for what is below /environments. */}}
{{- define "matinee.paths" -}}
- {path: /webhooks/github, below: false}
- {path: /slack/commands, below: false}
{{- if .Values.pages }}
- {path: /environments, below: true}
{{- end }}
{{- end -}}
