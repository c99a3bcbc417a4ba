{{/* Metadata of an object for a monitoring system. Call with (list $ NAME COMPONENT VALUES). */}}
{{- define "ringfence.monitoring.metadata" -}}
{{- $root := index . 0 -}}
{{- $values := index . 3 -}}
name: {{ index . 1 }}
namespace: {{ $values.namespace | default $root.Release.Namespace }}
labels:
  {{- include "ringfence.labels" (list $root (index . 2)) | nindent 2 }}
  {{- with $values.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $values.annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* One endpoint of a ServiceMonitor or PodMonitor. */}}
{{- define "ringfence.monitoring.endpoint" -}}
- port: http
  path: /metrics
  interval: {{ .interval }}
  scrapeTimeout: {{ .scrapeTimeout }}
  # Our series say themselves which agent's namespace they are about; without this it would be renamed exported_namespace.
  honorLabels: true
  {{- with .relabelings }}
  relabelings: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .metricRelabelings }}
  metricRelabelings: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
