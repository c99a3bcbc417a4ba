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

{{/* Where the image is: image.repository, on the mirror if one is named. */}}
{{- define "ringfence.repository" -}}
{{- $repository := .Values.image.repository -}}
{{- if not $repository -}}
{{- fail "image.repository is not set, and nobody publishes an image for you: set image.repository to where yours is (such as registry.example/platform/ringfence) and image.digest to its sha256:... `make image` builds one, `make release` makes a chart that names its own" -}}
{{- end -}}
{{- $mirror := (.Values.global).imageRegistry | default "" | trimSuffix "/" -}}
{{- $first := splitList "/" $repository | first -}}
{{- if not $mirror -}}
{{ $repository }}
{{- else if and (ne $first $repository) (or (contains "." $first) (contains ":" $first) (eq $first "localhost")) -}}
{{ $mirror }}/{{ trimPrefix (printf "%s/" $first) $repository }}
{{- else -}}
{{ $mirror }}/{{ $repository }}
{{- end -}}
{{- end -}}

{{- define "ringfence.image" -}}
{{- $repository := include "ringfence.repository" . -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else if .Values.image.tag -}}
{{ $repository }}:{{ .Values.image.tag }}
{{- else -}}
{{- fail (printf "image.digest is not set: set it to the sha256:... that the registry shows for %s (or set image.tag)" $repository) -}}
{{- end -}}
{{- end -}}

{{- define "ringfence.pullPolicy" -}}
{{- .Values.image.pullPolicy | default (ternary "IfNotPresent" "Always" (ne .Values.image.digest "")) -}}
{{- end -}}

{{/* Seconds of a duration such as 2160h or 1h30m. */}}
{{- define "ringfence.seconds" -}}
{{- $start := toDate "2006-01-02" "2000-01-01" -}}
{{- sub ($start | mustDateModify . | unixEpoch) ($start | unixEpoch) -}}
{{- end -}}

{{/* How many seconds before a certificate's end its renewal has failed: well after it is due, whatever renewBefore says. */}}
{{- define "ringfence.certificateLate" -}}
{{- $week := 604800 -}}
{{- if eq .Values.certificates.provider "cert-manager" -}}
{{- min $week (div (include "ringfence.seconds" .Values.certificates.certManager.renewBefore) 2) -}}
{{- else -}}
{{ $week }}
{{- end -}}
{{- end -}}

{{/* Who says which ids pods run as: fixed or assigned. */}}
{{- define "ringfence.userIds" -}}
{{- if ne .Values.userIds "detect" -}}
{{ .Values.userIds }}
{{- else -}}
{{ ternary "assigned" "fixed" (.Capabilities.APIVersions.Has "security.openshift.io/v1/SecurityContextConstraints") }}
{{- end -}}
{{- end -}}

{{/* Who the pods run as: passes the Pod Security Standard `restricted`. */}}
{{- define "ringfence.podSecurityContext" -}}
runAsNonRoot: true
{{- if eq (include "ringfence.userIds" .) "fixed" }}
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
{{- end }}
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
