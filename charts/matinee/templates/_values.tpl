{{/* Converts a duration such as 90s, 5m or 1h30m to seconds. */}}
{{- define "matinee.seconds" -}}
{{- $unit := dict "s" 1 "m" 60 "h" 3600 "d" 86400 -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+[smhd]" . -1 -}}
{{- /* Leading zeros are removed, because they would make the number octal. */ -}}
{{- $sum = add $sum (mul (regexFind "[1-9][0-9]*" . | default "0") (get $unit (regexFind "[smhd]$" .))) -}}
{{- end -}}
{{- $sum -}}
{{- end -}}
