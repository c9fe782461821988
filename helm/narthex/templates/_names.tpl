{{/* Name of the chart; part of the selector. */}}
{{- define "narthex.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/*
Name of the StatefulSet, and beginning of all other names. A pod label holds the name of the
StatefulSet and a hash, so that 63 characters leave 50 for the name.
*/}}
{{- define "narthex.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "narthex.headlessName" -}}
{{- include "narthex.fullname" . }}-headless
{{- end -}}

{{- define "narthex.routerName" -}}
{{- include "narthex.fullname" . }}-router
{{- end -}}

{{- define "narthex.queryName" -}}
{{- include "narthex.fullname" . }}-query
{{- end -}}

{{/* Name of the ConfigMap with the configuration file. */}}
{{- define "narthex.configMapName" -}}
{{- default (include "narthex.fullname" .) .Values.config.existingConfigMap -}}
{{- end -}}

{{- define "narthex.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "narthex.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/*
The two fixed labels. Selector and volumeClaimTemplates are immutable and hold nothing else, so that
no version and no common label blocks an upgrade.
*/}}
{{- define "narthex.selectorLabels" -}}
app.kubernetes.io/name: {{ include "narthex.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Selector labels of another component: {root, component}. They never match narthex pods. */}}
{{- define "narthex.componentSelectorLabels" -}}
app.kubernetes.io/name: {{ include "narthex.name" .root }}-{{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end -}}

{{/* Labels of every object except pods and claims. */}}
{{- define "narthex.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: narthex
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
Name, namespace, labels and annotations of an object:
{root, name, component?, labels?, annotations?, namespace?, clusterScoped?}.
*/}}
{{- define "narthex.metadata" -}}
{{- $root := .root -}}
{{- $selector := include "narthex.selectorLabels" $root | fromYaml -}}
{{- if .component -}}
{{- $args := dict "root" $root "component" .component -}}
{{- $selector = include "narthex.componentSelectorLabels" $args | fromYaml -}}
{{- end -}}
{{- $labels := include "narthex.commonLabels" $root | fromYaml -}}
{{- $labels = mergeOverwrite $labels (default dict .labels) $selector -}}
{{- $annotations := dict -}}
{{- $annotations = mergeOverwrite $annotations $root.Values.commonAnnotations -}}
{{- $annotations = mergeOverwrite $annotations (default dict .annotations) -}}
name: {{ .name }}
{{- if not .clusterScoped }}
namespace: {{ default $root.Release.Namespace .namespace }}
{{- end }}
labels:
  {{- toYaml $labels | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Reference of an image: {root, image, tag}. */}}
{{- define "narthex.image" -}}
{{- $registry := default .image.registry (dig "imageRegistry" "" .root.Values.global) -}}
{{- with $registry }}{{ . | trimSuffix "/" }}/{{ end -}}
{{- .image.repository -}}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ default .tag .image.tag }}{{ end -}}
{{- end -}}

{{- define "narthex.imagePullSecrets" -}}
{{- $secrets := list -}}
{{- $global := default list (dig "imagePullSecrets" list .Values.global) -}}
{{- range concat $global .Values.imagePullSecrets -}}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- with uniq $secrets -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* "true" if the cluster assigns user and group. */}}
{{- define "narthex.openshift" -}}
{{- if kindIs "bool" .Values.openshift -}}
{{- .Values.openshift -}}
{{- else -}}
{{- .Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
{{- end -}}
{{- end -}}

{{- define "narthex.podSecurityContext" -}}
{{- $context := .Values.podSecurityContext -}}
{{- if eq (include "narthex.openshift" .) "true" -}}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" "supplementalGroups" -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{- define "narthex.containerSecurityContext" -}}
{{- $context := .Values.securityContext -}}
{{- if eq (include "narthex.openshift" .) "true" -}}
{{- $context = omit $context "runAsUser" "runAsGroup" -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{/* Nodes on which the pods of hooks can run, which are those of narthex. */}}
{{- define "narthex.hookNodes" -}}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* IP families of a Service. */}}
{{- define "narthex.ipFamilies" -}}
{{- $families := dict -}}
{{- with .Values.service.ipFamilyPolicy -}}
{{- $_ := set $families "ipFamilyPolicy" . -}}
{{- end -}}
{{- with .Values.service.ipFamilies -}}
{{- $_ := set $families "ipFamilies" . -}}
{{- end -}}
{{- with $families }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{/* Rules for what kubernetes_sd_configs lists in a namespace. */}}
{{- define "narthex.discoveryRules" -}}
- apiGroups: [""]
  resources: [pods, services, endpoints]
  verbs: [get, list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [get, list, watch]
# Owners of pods, for attach_metadata.
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get, list, watch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch]
{{- end -}}
