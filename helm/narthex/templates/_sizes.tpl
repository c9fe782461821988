{{/*
Number of bytes of a size: {value, name}. The value is a Kubernetes quantity (50Gi, 2G), a size of
narthex (512MB and 512MiB are both 2^20 bytes), or several of these in a row (1GB512MB).
*/}}
{{- define "narthex.bytes" -}}
{{- if kindIs "string" .value -}}
{{- $factors := dict "" 1 "B" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 -}}
{{- range $power, $letter := list "K" "M" "G" "T" "P" "E" -}}
{{- $factor := 1.0 -}}
{{- range until (add1 $power | int) -}}{{- $factor = mulf $factor 1024 -}}{{- end -}}
{{- range $suffix := list "i" "B" "iB" -}}
{{- $_ := set $factors (print $letter $suffix) $factor -}}
{{- end -}}
{{- end -}}
{{- $size := "[0-9]+(\\.[0-9]+)?[A-Za-z]*" -}}
{{- $total := 0.0 -}}
{{- $known := regexMatch (printf "^(%s)+$" $size) .value -}}
{{- range regexFindAll $size .value -1 -}}
{{- $unit := regexFind "[A-Za-z]*$" . -}}
{{- if not (hasKey $factors $unit) -}}
{{- $known = false -}}
{{- else -}}
{{- $total = addf $total (mulf (trimSuffix $unit . | float64) (get $factors $unit)) -}}
{{- end -}}
{{- end -}}
{{- if not $known -}}
{{- fail (printf "%s: %q is not a size; write for example 50Gi or 200GB" .name .value) -}}
{{- end -}}
{{- printf "%d" (floor $total | int64) -}}
{{- else -}}
{{- printf "%d" (int64 .value) -}}
{{- end -}}
{{- end -}}

{{/* Size of the volume in bytes; empty if the chart does not know it. */}}
{{- define "narthex.volumeBytes" -}}
{{- $volume := .Values.persistence -}}
{{- if not $volume.enabled -}}
{{- with $volume.emptyDir.sizeLimit -}}
{{- include "narthex.bytes" (dict "value" . "name" "persistence.emptyDir.sizeLimit") -}}
{{- end -}}
{{- else if not $volume.existingClaim -}}
{{- include "narthex.bytes" (dict "value" $volume.size "name" "persistence.size") -}}
{{- end -}}
{{- end -}}

{{/*
Retention as in narthex.yml: time, size or percentage. A share of a known volume is a size, because
some storage classes show the disk of the node instead of the volume.
*/}}
{{- define "narthex.retention" -}}
{{- $retention := .Values.storage.retention -}}
{{- $volume := include "narthex.volumeBytes" . -}}
{{- with $retention.time }}
time: {{ . }}
{{- end }}
{{- if $retention.size }}
size: {{ $retention.size }}
{{- else if $retention.percentage }}
{{- if $volume }}
{{- $share := divf (mulf $volume $retention.percentage) 100 }}
size: {{ printf "%dMB" (divf $share 1048576 | floor | int64) }}
{{- else }}
percentage: {{ $retention.percentage }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Memory budget: an eighth of the limit, 128 MB to 2047 MB; empty without a limit. */}}
{{- define "narthex.memoryBudget" -}}
{{- $limit := dig "limits" "memory" "" .Values.resources -}}
{{- if and .Values.sizing.fromMemoryLimit $limit -}}
{{- $bytes := include "narthex.bytes" (dict "value" $limit "name" "resources.limits.memory") -}}
{{- printf "%dMB" (div (int64 $bytes) 8388608 | max 128 | min 2047) -}}
{{- end -}}
{{- end -}}
