{{/* Seconds of a duration such as 90s, 5m or 1h30m. */}}
{{- define "matinee.seconds" -}}
{{- $unit := dict "s" 1 "m" 60 "h" 3600 "d" 86400 -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+[smhd]" . -1 -}}
{{- /* Without zeros at its beginning, with which a number would be octal. */ -}}
{{- $sum = add $sum (mul (regexFind "[1-9][0-9]*" . | default "0") (get $unit (regexFind "[smhd]$" .))) -}}
{{- end -}}
{{- $sum -}}
{{- end -}}
