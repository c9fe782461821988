{{/* The configuration file: config.data, retention, and the label that tells copies apart. */}}
{{- define "narthex.configFile" -}}
{{- $file := deepCopy .Values.config.data -}}
{{- $storage := default dict (get $file "storage") -}}
{{- $tsdb := default dict (get $storage "tsdb") -}}
{{- $retention := include "narthex.retention" . | fromYaml -}}
{{- if and $retention (not (hasKey $tsdb "retention")) -}}
{{- $_ := set $tsdb "retention" $retention -}}
{{- $_ := set $storage "tsdb" $tsdb -}}
{{- $_ := set $file "storage" $storage -}}
{{- end -}}
{{- if .Values.thanos.enabled -}}
{{- $global := default dict (get $file "global") -}}
{{- $labels := default dict (get $global "external_labels") -}}
{{- if not (hasKey $labels "replica") -}}
{{- $_ := set $labels "replica" "${POD_NAME}" -}}
{{- $_ := set $global "external_labels" $labels -}}
{{- $_ := set $file "global" $global -}}
{{- end -}}
{{- end -}}
{{- toYaml $file -}}
{{- end -}}

{{/* "true" if narthex scrapes targets. */}}
{{- define "narthex.scraping" -}}
{{- $data := .Values.config.data -}}
{{- $own := or (get $data "scrape_configs") (get $data "scrape_config_files") -}}
{{- if .Values.config.existingConfigMap -}}
{{- .Values.networkPolicy.scraping -}}
{{- else -}}
{{- not (empty $own) -}}
{{- end -}}
{{- end -}}

{{/* "true" if a Sidecar runs in each pod. */}}
{{- define "narthex.sidecar" -}}
{{- and .Values.thanos.enabled .Values.thanos.sidecar.enabled -}}
{{- end -}}

{{/*
Digest of the values in restartOn. It changes the pod template, and so restarts the pods, when one
of these values changes.
*/}}
{{- define "narthex.restartChecksum" -}}
{{- $values := .Values -}}
{{- $found := dict -}}
{{- range $path := .Values.restartOn -}}
{{- $keys := splitList "." $path -}}
{{- if not (hasKey $values (first $keys)) -}}
{{- fail (printf "restartOn: there is no value %q" $path) -}}
{{- end -}}
{{- $value := $values -}}
{{- range $keys -}}
{{- if kindIs "map" $value -}}
{{- $value = get $value . -}}
{{- else -}}
{{- $value = "" -}}
{{- end -}}
{{- end -}}
{{- $_ := set $found $path $value -}}
{{- end -}}
{{- toJson $found | sha256sum -}}
{{- end -}}

{{/*
Flags of narthex check with the credentials of `client`: {root, otherHost}. With otherHost, the host
of the URL is not the name of the Service, which the server's certificate has.
*/}}
{{- define "narthex.clientFlags" -}}
{{- $root := .root -}}
{{- $client := $root.Values.client -}}
{{- $serverName := $client.serverName -}}
{{- if and .otherHost $root.Values.web.tls (not $serverName) -}}
{{- $serverName = include "narthex.serviceHost" $root -}}
{{- end -}}
{{- with $client.username }}
- --username={{ . }}
{{- end }}
{{- with $client.passwordKey }}
- --password-file=/etc/narthex/client/{{ . }}
{{- end }}
{{- with $client.caKey }}
- --ca-file=/etc/narthex/client/{{ . }}
{{- end }}
{{- with $client.certKey }}
- --cert-file=/etc/narthex/client/{{ . }}
{{- end }}
{{- with $client.keyKey }}
- --key-file=/etc/narthex/client/{{ . }}
{{- end }}
{{- with $serverName }}
- --server-name={{ . }}
{{- end }}
{{- end -}}

{{/* Arguments of narthex, except extraArgs. */}}
{{- define "narthex.flags" -}}
{{- $web := .Values.web -}}
{{- $storage := .Values.storage -}}
- --storage.tsdb.path={{ $storage.path }}
- --storage.tsdb.wal-sync={{ $storage.walSync }}
{{- with $storage.diskReserve }}
- --storage.tsdb.disk-reserve={{ . }}
{{- end }}
{{- if not (kindIs "invalid" $storage.maxActiveSeries) }}
- --storage.tsdb.max-active-series={{ int64 $storage.maxActiveSeries }}
{{- end }}
{{- with $storage.features }}
- --enable-feature={{ join "," . }}
{{- end }}
{{- if .Values.config.existingConfigMap }}
{{- $retention := include "narthex.retention" . | fromYaml }}
{{- with $retention.time }}
- --storage.tsdb.retention.time={{ . }}
{{- end }}
{{- with $retention.size }}
- --storage.tsdb.retention.size={{ . }}
{{- end }}
{{- end }}
- --config.file=/etc/narthex/config/{{ .Values.config.key }}
- --config.auto-reload
- --config.auto-reload-interval={{ .Values.config.reloadInterval }}
{{- if .Values.config.ignoreUnsupported }}
- --config.ignore-unsupported
{{- end }}
- --web.listen-address=:9201
{{- if .Values.management.enabled }}
- --web.management-listen-address=:9202
{{- if .Values.management.metrics }}
- --web.management-metrics
{{- end }}
{{- end }}
{{- if $web.config.existingSecret }}
- --web.config.file=/etc/narthex/web/{{ $web.config.key }}
{{- end }}
{{- with $web.externalUrl }}
- --web.external-url={{ . }}
{{- end }}
{{- with $web.routePrefix }}
- --web.route-prefix={{ . }}
{{- end }}
{{- if $web.healthWithoutAuth }}
- --web.health-without-auth
{{- end }}
{{- with $web.corsOrigin }}
- --web.cors.origin={{ . }}
{{- end }}
{{- if $web.enableLifecycle }}
- --web.enable-lifecycle
{{- end }}
{{- if $web.enableAdminApi }}
- --web.enable-admin-api
{{- end }}
{{- if not .Values.grpc.enabled }}
- --grpc.enabled=false
{{- else if ne .Values.grpc.auth "basic" }}
- --grpc.auth={{ .Values.grpc.auth }}
{{- end }}
{{- if .Values.thanos.enabled }}
- --thanos.tenant-label-name={{ .Values.thanos.tenantLabel }}
{{- end }}
{{- if eq (include "narthex.sidecar" .) "true" }}
- --storage.tsdb.delay-compact-file.path={{ $storage.path }}/thanos.shipper.json
{{- end }}
{{- with include "narthex.memoryBudget" . }}
{{- $budget := . }}
{{- range list "web" "scrape" }}
{{- include "narthex.ownFlag" (dict "args" $.Values.extraArgs
  "flag" (printf "--%s.max-bytes-in-flight" .) "value" $budget) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A flag with its value on a line of its own, unless args has the flag: {args, flag, value}. */}}
{{- define "narthex.ownFlag" -}}
{{- if not (include "narthex.hasFlag" .) }}
- {{ .flag }}={{ .value }}
{{- end }}
{{- end -}}

{{/* "true" if args has a flag, with or without a value: {args, flag}. */}}
{{- define "narthex.hasFlag" -}}
{{- $flag := .flag -}}
{{- range .args -}}
{{- if eq (splitList "=" . | first) $flag -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{- define "narthex.probeMethod" -}}
{{- if ne .Values.probes.method "auto" -}}
{{- .Values.probes.method -}}
{{- else if .Values.management.enabled -}}
management
{{- else if .Values.web.config.existingSecret -}}
exec
{{- else -}}
http
{{- end -}}
{{- end -}}

{{/* Handler of a probe: {root, check}. check is healthy or ready. */}}
{{- define "narthex.probe" -}}
{{- $root := .root -}}
{{- $prefix := include "narthex.routePrefix" $root -}}
{{- $scheme := include "narthex.scheme" $root -}}
{{- $method := include "narthex.probeMethod" $root -}}
{{- if eq $method "management" -}}
httpGet:
  path: /-/{{ .check }}
  port: management
{{- else if eq $method "http" -}}
httpGet:
  path: {{ $prefix }}/-/{{ .check }}
  port: http
  scheme: {{ upper $scheme }}
{{- else -}}
exec:
  command:
    - /bin/narthex
    - check
    - {{ .check }}
    - --url={{ $scheme }}://localhost:9201{{ $prefix }}
    {{- with include "narthex.clientFlags" (dict "root" $root "otherHost" true) | trim }}
    {{- . | nindent 4 }}
    {{- end }}
{{- end -}}
{{- end -}}

{{/* Mount and volume of the credentials of `client`. */}}
{{- define "narthex.clientMount" -}}
{{- if .Values.client.existingSecret }}
- name: client
  mountPath: /etc/narthex/client
  readOnly: true
{{- end }}
{{- end -}}

{{- define "narthex.clientVolume" -}}
{{- with .Values.client.existingSecret }}
- name: client
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end -}}
