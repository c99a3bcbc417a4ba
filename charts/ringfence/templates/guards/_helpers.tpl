{{- /*
What guards of namespaces with agents have in common. Each guard is one ValidatingAdmissionPolicy: the API server decides
by itself, also while nothing of Ringfence runs.
*/}}

{{- /* Head of a guard: (list . "children"). */}}
{{- define "ringfence.guard.metadata" -}}
{{- $root := first . -}}
name: {{ include "ringfence.name" $root }}-guard-{{ last . }}
labels: {{- include "ringfence.labels" (list $root "guard") | nindent 2 }}
{{- end }}

{{- /*
The binding of a guard to the opened namespaces; nothing else pays for it. Audit: the refusal stands in the API server's audit
log with the names of policy and binding, beside who asked for what.
*/}}
{{- define "ringfence.guard.binding" -}}
{{- $root := first . -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{- include "ringfence.guard.metadata" . | nindent 2 }}
spec:
  policyName: {{ include "ringfence.name" $root }}-guard-{{ last . }}
  validationActions: [Deny, Audit]
  matchResources:
    matchPolicy: Equivalent
    namespaceSelector: {matchLabels: {ringfence.dev/agents: enabled}}
{{- end }}

{{- /* Who may do anything to what belongs to agents: the controller, and parts of the cluster by their exact names. */}}
{{- define "ringfence.guard.parts" -}}
{{- $root := first . -}}
{{- $names := list (printf "system:serviceaccount:%s:%s-controller" $root.Release.Namespace (include "ringfence.name" $root)) -}}
{{- range rest . -}}
{{- $names = append $names (printf "system:serviceaccount:kube-system:%s" .) -}}
{{- end -}}
{{- $names = append $names "system:kube-controller-manager" -}}
{{- concat $names $root.Values.guards.exempt | toJson -}}
{{- end }}

{{- /*
Whether the files of an agent, which are annotations of its pods and of their template, are as before: (list "object.metadata"
"oldObject.metadata").
*/}}
{{- define "ringfence.guard.files" -}}
{{- $files := ".?annotations.orValue({}).filter(k, k.startsWith('ringfence.dev/file-'))" -}}
({{ first . }}{{ $files }} + {{ last . }}{{ $files }}).all(k, {{ first . }}.?annotations[?k] == {{ last . }}.?annotations[?k])
{{- end }}

{{- /*
Whether somebody may change the guards themselves. Kubernetes asks no admission about these: who may, could take any guard away, and
nobody else is an administrator of Ringfence. As a string of YAML.
*/}}
{{- define "ringfence.guard.keeper" -}}
{{- printf "authorizer.group('admissionregistration.k8s.io').resource('validatingadmissionpolicies').name('%s-guard-own').check('update').allowed()" (include "ringfence.name" .) | quote -}}
{{- end -}}

{{- /* Namespaces that no label opens to agents, as a list in CEL: operator/ringfence/policy/opened.py has the same. */}}
{{- define "ringfence.closed" -}}
{{- printf "['kube-node-lease', 'kube-public', 'kube-system', '%s']" .Release.Namespace -}}
{{- end -}}
