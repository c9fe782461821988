{{/* What the Services for HTTP and gRPC have in common. */}}
{{- define "narthex.clientService" -}}
{{- $service := .Values.service -}}
type: {{ $service.type }}
{{- with include "narthex.ipFamilies" . }}
{{ . }}
{{- end }}
{{- with $service.loadBalancerClass }}
loadBalancerClass: {{ . }}
{{- end }}
{{- with $service.loadBalancerSourceRanges }}
loadBalancerSourceRanges:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $service.externalTrafficPolicy }}
externalTrafficPolicy: {{ . }}
{{- end }}
{{- end -}}
