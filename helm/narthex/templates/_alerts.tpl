{{/* Groups of files/rules.yaml without disabled alerts, with labels and runbooks of values. */}}
{{- define "narthex.alertGroups" -}}
{{- $values := .Values.prometheusRule -}}
{{- $names := list -}}
{{- $groups := list -}}
{{- range $group := (.Files.Get "files/rules.yaml" | fromYaml).groups -}}
{{- $rules := list -}}
{{- range $rule := $group.rules -}}
{{- if $rule.alert -}}
{{- $names = append $names $rule.alert -}}
{{- $_ := set $rule "labels" (mergeOverwrite (default dict $rule.labels) $values.alertLabels) -}}
{{- with $values.runbookUrl -}}
{{- $_ := set $rule.annotations "runbook_url" (printf "%s#%s" . (lower $rule.alert)) -}}
{{- end -}}
{{- end -}}
{{- if not (has (default "" $rule.alert) $values.disabled) -}}
{{- $rules = append $rules $rule -}}
{{- end -}}
{{- end -}}
{{- if $rules -}}
{{- $groups = append $groups (set $group "rules" $rules) -}}
{{- end -}}
{{- end -}}
{{- range $values.disabled -}}
{{- if not (has . $names) -}}
{{- fail (printf "prometheusRule.disabled: %q is not one of: %s" . (join ", " $names)) -}}
{{- end -}}
{{- end -}}
{{- toYaml (dict "groups" $groups) -}}
{{- end -}}
