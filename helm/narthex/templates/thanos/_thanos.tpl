{{- define "narthex.thanosImage" -}}
{{- $image := .Values.thanos.image -}}
{{- include "narthex.image" (dict "root" . "image" $image "tag" $image.tag) -}}
{{- end -}}

{{/* Sidecar container. It shares the data directory and talks to narthex on localhost. */}}
{{- define "narthex.sidecarContainer" -}}
{{- $sidecar := .Values.thanos.sidecar -}}
{{- $scheme := include "narthex.scheme" . -}}
- name: thanos-sidecar
  image: {{ include "narthex.thanosImage" . | quote }}
  imagePullPolicy: {{ .Values.thanos.image.pullPolicy }}
  args:
    - sidecar
    - --tsdb.path={{ .Values.storage.path }}
    - --prometheus.url={{ $scheme }}://localhost:9201{{ include "narthex.routePrefix" . }}
    - --prometheus.ready_timeout={{ .Values.probes.startup.budgetSeconds }}s
    - --objstore.config-file=/etc/thanos/objstore/{{ $sidecar.objectStore.key }}
    {{- if $sidecar.httpClient.existingSecret }}
    - --prometheus.http-client-file=/etc/thanos/http-client/{{ $sidecar.httpClient.key }}
    {{- end }}
    - --http-address=:10902
    - --grpc-address=:10901
    {{- with $sidecar.extraArgs }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - name: sidecar-http
      containerPort: 10902
      protocol: TCP
  livenessProbe:
    httpGet:
      path: /-/healthy
      port: sidecar-http
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 6
  resources:
    {{- toYaml $sidecar.resources | nindent 4 }}
  securityContext:
    {{- include "narthex.containerSecurityContext" . | nindent 4 }}
  volumeMounts:
    - name: data
      mountPath: {{ .Values.storage.path }}
      {{- with .Values.persistence.subPath }}
      subPath: {{ . }}
      {{- end }}
    - name: objstore
      mountPath: /etc/thanos/objstore
      readOnly: true
    {{- if $sidecar.httpClient.existingSecret }}
    - name: http-client
      mountPath: /etc/thanos/http-client
      readOnly: true
    {{- end }}
{{- end -}}

{{- define "narthex.sidecarVolumes" -}}
{{- $sidecar := .Values.thanos.sidecar -}}
- name: objstore
  secret:
    secretName: {{ $sidecar.objectStore.existingSecret }}
    defaultMode: 0440
{{- with $sidecar.httpClient.existingSecret }}
- name: http-client
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{/* TLS flags of a Thanos client: {tls, prefix, secure}. */}}
{{- define "narthex.thanosTlsFlags" -}}
{{- $tls := .tls -}}
{{- $prefix := .prefix -}}
{{- if $tls.existingSecret -}}
- {{ .secure }}
{{- with $tls.caKey }}
- {{ $prefix }}-tls-ca=/etc/thanos/tls/{{ . }}
{{- end }}
{{- with $tls.certKey }}
- {{ $prefix }}-tls-cert=/etc/thanos/tls/{{ . }}
{{- end }}
{{- with $tls.keyKey }}
- {{ $prefix }}-tls-key=/etc/thanos/tls/{{ . }}
{{- end }}
{{- with $tls.serverName }}
- {{ $prefix }}-server-name={{ . }}
{{- end }}
{{- end -}}
{{- end -}}

{{/*
Deployment and Service of a Thanos component:
{root, name, component, values, args, ports, hashring?}.
*/}}
{{- define "narthex.thanosDeployment" -}}
{{- $root := .root -}}
{{- $tls := $root.Values.thanos.clientTls.existingSecret -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "narthex.metadata" . | nindent 2 }}
spec:
  replicas: {{ .values.replicas }}
  selector:
    matchLabels:
      {{- include "narthex.componentSelectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "narthex.componentSelectorLabels" . | nindent 8 }}
    spec:
      {{- with include "narthex.imagePullSecrets" $root }}
      {{- . | nindent 6 }}
      {{- end }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      securityContext:
        {{- include "narthex.podSecurityContext" $root | nindent 8 }}
      {{- with $root.Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $root.Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $root.Values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "narthex.componentSelectorLabels" . | nindent 14 }}
      containers:
        - name: thanos
          image: {{ include "narthex.thanosImage" $root | quote }}
          imagePullPolicy: {{ $root.Values.thanos.image.pullPolicy }}
          args:
            {{- .args | nindent 12 }}
            {{- with .values.extraArgs }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            {{- range $name, $port := .ports }}
            - name: {{ $name }}
              containerPort: {{ $port }}
              protocol: TCP
            {{- end }}
          livenessProbe:
            httpGet:
              path: /-/healthy
              port: http
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet:
              path: /-/ready
              port: http
            periodSeconds: 5
            timeoutSeconds: 5
          resources:
            {{- toYaml .values.resources | nindent 12 }}
          securityContext:
            {{- include "narthex.containerSecurityContext" $root | nindent 12 }}
          volumeMounts:
            - name: tmp
              mountPath: /tmp
            {{- with .hashring }}
            - name: hashring
              mountPath: /etc/thanos/hashring
              readOnly: true
            {{- end }}
            {{- if $tls }}
            - name: tls
              mountPath: /etc/thanos/tls
              readOnly: true
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {}
        {{- with .hashring }}
        - name: hashring
          configMap:
            name: {{ . }}
        {{- end }}
        {{- if $tls }}
        - name: tls
          secret:
            secretName: {{ $tls }}
            defaultMode: 0440
        {{- end }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "narthex.metadata" . | nindent 2 }}
spec:
  {{- with include "narthex.ipFamilies" $root }}
  {{- . | nindent 2 }}
  {{- end }}
  selector:
    {{- include "narthex.componentSelectorLabels" . | nindent 4 }}
  ports:
    {{- range $name, $port := .ports }}
    - name: {{ $name }}
      port: {{ $port }}
      targetPort: {{ $name }}
      protocol: TCP
    {{- end }}
{{- if gt (int .values.replicas) 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "narthex.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "narthex.componentSelectorLabels" . | nindent 6 }}
{{- end }}
{{- end -}}
