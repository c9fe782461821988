{{/* Fails for values that the schema accepts one by one but that do not fit together. */}}
{{- define "narthex.validate" -}}
{{- $values := .Values -}}
{{- $volume := $values.persistence -}}
{{- $replicas := int $values.replicas -}}

{{- if and (gt $replicas 1) $volume.enabled $volume.existingClaim -}}
{{- fail (printf "replicas is %d, but persistence.existingClaim allows only 1" $replicas) -}}
{{- end -}}
{{- range $name := list "ingress" "httpRoute" "grpcRoute" -}}
{{- if and (gt $replicas 1) (get $values $name).enabled -}}
{{- $text := "%s.enabled needs replicas 1, not %d: each replica is a store of its own" -}}
{{- fail (printf $text $name $replicas) -}}
{{- end -}}
{{- end -}}
{{- range $name := list "httpRoute" "grpcRoute" -}}
{{- $route := get $values $name -}}
{{- if and $route.enabled (not $route.parentRefs) -}}
{{- fail (printf "%s.parentRefs is empty; name at least one gateway" $name) -}}
{{- end -}}
{{- end -}}
{{- if and $values.grpcRoute.enabled (not $values.grpc.enabled) -}}
{{- fail "grpcRoute.enabled needs grpc.enabled" -}}
{{- end -}}
{{- if and $values.ingress.enabled (not $values.ingress.hosts) -}}
{{- fail "ingress.hosts is empty; name at least one host" -}}
{{- end -}}

{{- range $labels := list "commonLabels" "podLabels" -}}
{{- range $key := list "app.kubernetes.io/name" "app.kubernetes.io/instance" -}}
{{- if hasKey (get $values $labels) $key -}}
{{- fail (printf "%s must not set %s, which is part of the selector" $labels $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- include "narthex.validateRetention" . -}}

{{- with dig "limits" "memory" "" $values.resources -}}
{{- $bytes := include "narthex.bytes" (dict "value" . "name" "resources.limits.memory") -}}
{{- if and $values.sizing.fromMemoryLimit (lt (int64 $bytes) 536870912) -}}
{{- fail (printf "resources.limits.memory is %v; narthex needs at least 512Mi" .) -}}
{{- end -}}
{{- end -}}

{{- if and $values.web.tls (not $values.web.config.existingSecret) -}}
{{- fail "web.tls needs web.config.existingSecret, the file that enables TLS" -}}
{{- end -}}
{{- if and $values.web.tls (not $values.web.http2) $values.grpc.enabled -}}
{{- fail "web.http2 is false: set grpc.enabled to false, because gRPC over TLS needs HTTP/2" -}}
{{- end -}}
{{- if and $values.management.metrics (not $values.management.enabled) -}}
{{- fail "management.metrics needs management.enabled" -}}
{{- end -}}
{{- if and (eq $values.probes.method "management") (not $values.management.enabled) -}}
{{- fail "probes.method is management, but management.enabled is false" -}}
{{- end -}}
{{- range $key := list "passwordKey" "caKey" "certKey" "keyKey" -}}
{{- if and (get $values.client $key) (not $values.client.existingSecret) -}}
{{- fail (printf "client.%s needs client.existingSecret" $key) -}}
{{- end -}}
{{- end -}}
{{- range $one, $other := dict "username" "passwordKey" "passwordKey" "username"
  "certKey" "keyKey" "keyKey" "certKey" -}}
{{- if and (get $values.client $one) (not (get $values.client $other)) -}}
{{- fail (printf "client.%s needs client.%s" $one $other) -}}
{{- end -}}
{{- end -}}

{{- $service := $values.service -}}
{{- if eq $service.type "ClusterIP" -}}
{{- range $name, $value := dict "http.nodePort" $service.http.nodePort
  "grpc.nodePort" $service.grpc.nodePort "externalTrafficPolicy" $service.externalTrafficPolicy -}}
{{- if $value -}}
{{- fail (printf "service.%s needs service.type NodePort or LoadBalancer" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if ne $service.type "LoadBalancer" -}}
{{- range $name := list "loadBalancerClass" "loadBalancerSourceRanges" -}}
{{- if get $service $name -}}
{{- fail (printf "service.%s needs service.type LoadBalancer" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Lists with keys: server-side apply rejects a key that is set twice. */ -}}
{{- range $list, $used := dict
  "extraEnv" (list "POD_NAME")
  "extraVolumes" (list "data" "config" "web" "certificates" "client" "objstore" "http-client")
  "extraContainers" (list "narthex" "thanos-sidecar")
  "initContainers" (list "narthex" "thanos-sidecar") -}}
{{- range get $values $list -}}
{{- if has .name $used -}}
{{- fail (printf "%s: the name %s is used already" $list .name) -}}
{{- end -}}
{{- $used = append $used .name -}}
{{- end -}}
{{- end -}}
{{- $paths := list $values.storage.path -}}
{{- range list "config" "web" "certificates" "client" -}}
{{- $paths = append $paths (print "/etc/narthex/" .) -}}
{{- end -}}
{{- range $values.extraVolumeMounts -}}
{{- if has .mountPath $paths -}}
{{- fail (printf "extraVolumeMounts: %s is mounted already" .mountPath) -}}
{{- end -}}
{{- $paths = append $paths .mountPath -}}
{{- end -}}

{{- $flags := include "narthex.flags" . | fromYamlArray -}}
{{- range $values.extraArgs -}}
{{- $flag := splitList "=" . | first -}}
{{- if hasPrefix "--storage.tsdb.retention." $flag -}}
{{- fail (printf "extraArgs: set storage.retention instead of %s" $flag) -}}
{{- end -}}
{{- if include "narthex.hasFlag" (dict "args" $flags "flag" $flag) -}}
{{- fail (printf "extraArgs: the chart sets %s; use its value" $flag) -}}
{{- end -}}
{{- end -}}

{{- $inCluster := "" -}}
{{- range $job := default list (get $values.config.data "scrape_configs") -}}
{{- range default list (get $job "kubernetes_sd_configs") -}}
{{- if not (or (get . "api_server") (get . "kubeconfig_file")) -}}
{{- $inCluster = get $job "job_name" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $inCluster (not $values.kubernetesDiscovery.enabled) -}}
{{- $text := "job %s of config.data has kubernetes_sd_configs; set kubernetesDiscovery.enabled" -}}
{{- fail (printf $text $inCluster) -}}
{{- end -}}

{{- if and $volume.resizeJob.enabled (not $volume.resizeJob.image) -}}
{{- fail "persistence.resizeJob.image is empty; name an image with kubectl" -}}
{{- end -}}
{{- if and $volume.resizeJob.enabled (or $volume.existingClaim (not $volume.enabled)) -}}
{{- fail "persistence.resizeJob.enabled needs claims that the chart creates" -}}
{{- end -}}

{{- $monitor := $values.serviceMonitor -}}
{{- $policy := $values.networkPolicy -}}
{{- if and $monitor.enabled $values.client.username (not $monitor.basicAuth)
  (not $values.management.metrics) -}}
{{- fail "serviceMonitor.basicAuth is empty, but client.username shows that narthex has users" -}}
{{- end -}}
{{- if and $policy.enabled $monitor.enabled (not $policy.scrapers) -}}
{{- fail "networkPolicy.scrapers is empty; name the Prometheus that uses serviceMonitor" -}}
{{- end -}}

{{- include "narthex.validateThanos" . -}}
{{- end -}}

{{/* Compares all retention sizes with the volume, if its size is known. */}}
{{- define "narthex.validateRetention" -}}
{{- $own := dig "storage" "tsdb" "retention" dict .Values.config.data -}}
{{- $retention := .Values.storage.retention -}}
{{- if and $own (or $retention.size $retention.time) -}}
{{- fail "config.data.storage.tsdb.retention and storage.retention are both set; use one" -}}
{{- end -}}
{{- $volume := include "narthex.volumeBytes" . -}}
{{- $sizes := dict "storage.retention.size" $retention.size -}}
{{- $_ := set $sizes "config.data.storage.tsdb.retention.size" (get (default dict $own) "size") -}}
{{- range $name, $size := $sizes -}}
{{- if $size -}}
{{- $bytes := include "narthex.bytes" (dict "value" $size "name" $name) -}}
{{- if and $volume (gt (int64 $bytes) (int64 $volume)) -}}
{{- $text := "%s is %v, but the volume has only %s bytes (persistence)" -}}
{{- fail (printf $text $name $size $volume) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "narthex.validateThanos" -}}
{{- $values := .Values -}}
{{- $thanos := $values.thanos -}}
{{- if $thanos.enabled -}}
{{- if gt (int $thanos.router.replicationFactor) (int $values.replicas) -}}
{{- $text := "thanos.router.replicationFactor is %d, but replicas is only %d" -}}
{{- fail (printf $text (int $thanos.router.replicationFactor) (int $values.replicas)) -}}
{{- end -}}
{{- if not $values.grpc.enabled -}}
{{- fail "thanos.enabled needs grpc.enabled" -}}
{{- end -}}
{{- if and $values.web.tls (not $thanos.clientTls.existingSecret) -}}
{{- fail "thanos.clientTls.existingSecret is empty, but web.tls is true" -}}
{{- end -}}
{{- $sidecar := $thanos.sidecar -}}
{{- if and $values.client.username (ne $values.grpc.auth "cert") -}}
{{- fail "thanos.enabled needs grpc.auth cert, because Thanos has no password (client.username)" -}}
{{- end -}}
{{- if and $sidecar.enabled (or $values.web.tls $values.client.username)
  (not $sidecar.httpClient.existingSecret) -}}
{{- $name := "thanos.sidecar.httpClient.existingSecret" -}}
{{- fail (printf "%s is empty, but narthex has TLS or users" $name) -}}
{{- end -}}
{{- if and $sidecar.enabled (not $sidecar.objectStore.existingSecret) -}}
{{- $name := "thanos.sidecar.objectStore.existingSecret" -}}
{{- fail (printf "%s is empty; name it, or set thanos.sidecar.enabled to false" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
