{{/* Name of everything. */}}
{{- define "ringfence.name" -}}
{{- .Values.fullnameOverride | default "ringfence" | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels that never change: selectors. Call with (list $ "controller"). */}}
{{- define "ringfence.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: ringfence
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* All labels of an object. Not managed-by=ringfence: that one marks the children of agents. */}}
{{- define "ringfence.labels" -}}
{{- $root := index . 0 -}}
{{ include "ringfence.selector" . }}
app.kubernetes.io/part-of: ringfence
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end -}}

{{- define "ringfence.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ringfence.pullPolicy" -}}
{{- .Values.image.pullPolicy | default (ternary "IfNotPresent" "Always" (ne .Values.image.digest "")) -}}
{{- end -}}

{{/* Who the pods run as: passes the Pod Security Standard `restricted`. */}}
{{- define "ringfence.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "ringfence.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Image and what every container of ours has. */}}
{{- define "ringfence.container" -}}
image: {{ include "ringfence.image" . | quote }}
imagePullPolicy: {{ include "ringfence.pullPolicy" . }}
securityContext:
  {{- include "ringfence.containerSecurityContext" . | nindent 2 }}
{{- end -}}

{{/* Flags that both processes take. */}}
{{- define "ringfence.commonArgs" -}}
{{- range .Values.clusterNetworks }}
- --cluster-network={{ . }}
{{- end }}
{{- range .Values.apiServerNetworks }}
- --api-server-network={{ . }}
{{- end }}
- --log-format={{ .Values.log.format }}
- --log-level={{ .Values.log.level }}
{{- end -}}

{{/* Probes of both processes. */}}
{{- define "ringfence.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: http}
  initialDelaySeconds: 1
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 2
  timeoutSeconds: 3
  failureThreshold: 2
{{- end -}}

{{/* Where the pods may run. Call with (list $ "controller" .Values.controller). */}}
{{- define "ringfence.scheduling" -}}
{{- $values := index . 2 -}}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- $root := index . 0 }}
  {{- $component := index . 1 }}
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "ringfence.selector" (list $root $component) | nindent 8 }}
  {{- end }}
{{- end -}}
