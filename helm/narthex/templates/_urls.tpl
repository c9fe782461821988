{{- define "narthex.scheme" -}}
{{- .Values.web.tls | ternary "https" "http" -}}
{{- end -}}

{{/* Prefix of all HTTP routes, as narthex derives it: empty, or a path with a leading slash. */}}
{{- define "narthex.routePrefix" -}}
{{- $path := .Values.web.routePrefix -}}
{{- if and (not $path) .Values.web.externalUrl -}}
{{- $path = (urlParse .Values.web.externalUrl).path -}}
{{- end -}}
{{- with trimAll "/" $path }}/{{ . }}{{ end -}}
{{- end -}}

{{/* Host of a pod in the headless Service: {root, index}. */}}
{{- define "narthex.podHost" -}}
{{- $headless := include "narthex.headlessName" .root -}}
{{- $name := include "narthex.fullname" .root -}}
{{- printf "%s-%d.%s.%s.svc" $name (int .index) $headless .root.Release.Namespace -}}
{{- end -}}

{{/* Host of the client Service in the cluster. */}}
{{- define "narthex.serviceHost" -}}
{{- printf "%s.%s.svc" (include "narthex.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* URL of the client Service in the cluster. */}}
{{- define "narthex.serviceUrl" -}}
{{- $host := include "narthex.serviceHost" . -}}
{{- $port := int .Values.service.http.port -}}
{{- $prefix := include "narthex.routePrefix" . -}}
{{- printf "%s://%s:%d%s" (include "narthex.scheme" .) $host $port $prefix -}}
{{- end -}}

{{/* URL under which clients reach this release. */}}
{{- define "narthex.clientUrl" -}}
{{- $values := .Values -}}
{{- $prefix := include "narthex.routePrefix" . -}}
{{- if regexMatch "^https?://" $values.web.externalUrl -}}
{{- trimSuffix "/" $values.web.externalUrl -}}
{{- else if $values.ingress.enabled -}}
{{- $scheme := ternary "https" "http" (not (empty $values.ingress.tls)) -}}
{{- $path := default $prefix (trimSuffix "/" $values.ingress.path) -}}
{{- printf "%s://%s%s" $scheme (first $values.ingress.hosts) $path -}}
{{- else if and $values.httpRoute.enabled $values.httpRoute.hostnames -}}
{{- $path := default $prefix (trimSuffix "/" $values.httpRoute.path) -}}
{{- printf "https://%s%s" (first $values.httpRoute.hostnames) $path -}}
{{- else -}}
{{- include "narthex.serviceUrl" . -}}
{{- end -}}
{{- end -}}
