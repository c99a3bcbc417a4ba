{{- /*
Made by `make generate` from operator/ringfence/policy/grants.py. Do not edit.
For the floor, as CEL: GROUP/RESOURCE -> verb -> the first level that holds it (0: ReadOnly, 3: Critical).
*/}}
{{- define "ringfence.permissions" -}}
{'/configmaps': {'get': 0, 'list': 0, 'watch': 0, 'create': 1, 'update': 1, 'patch': 1, 'delete': 2, 'deletecollection': 3},
'/endpoints': {'get': 0, 'list': 0, 'watch': 0},
'/events': {'get': 0, 'list': 0, 'watch': 0, 'create': 1},
'/persistentvolumeclaims': {'get': 0, 'list': 0, 'watch': 0, 'delete': 3},
'/pods': {'get': 0, 'list': 0, 'watch': 0, 'delete': 2},
'/pods/log': {'get': 0},
'/services': {'get': 0, 'list': 0, 'watch': 0},
'apps/daemonsets': {'get': 0, 'list': 0, 'watch': 0},
'apps/deployments': {'get': 0, 'list': 0, 'watch': 0},
'apps/deployments/scale': {'update': 2, 'patch': 2},
'apps/replicasets': {'get': 0, 'list': 0, 'watch': 0},
'apps/statefulsets': {'get': 0, 'list': 0, 'watch': 0},
'apps/statefulsets/scale': {'update': 2, 'patch': 2},
'autoscaling/horizontalpodautoscalers': {'get': 0, 'list': 0, 'watch': 0},
'batch/cronjobs': {'get': 0, 'list': 0, 'watch': 0},
'batch/jobs': {'get': 0, 'list': 0, 'watch': 0, 'delete': 3},
'coordination.k8s.io/leases': {'get': 0, 'list': 0, 'watch': 0, 'create': 1, 'update': 1, 'patch': 1, 'delete': 2},
'discovery.k8s.io/endpointslices': {'get': 0, 'list': 0, 'watch': 0},
'events.k8s.io/events': {'get': 0, 'list': 0, 'watch': 0, 'create': 1},
'networking.k8s.io/ingresses': {'get': 0, 'list': 0, 'watch': 0},
'policy/poddisruptionbudgets': {'get': 0, 'list': 0, 'watch': 0}}
{{- end }}
{{- /* Names of the ClusterRoles of cluster-wide reads, and of their bindings. */}}
{{- define "ringfence.reads" -}}
[ringfence-agent-reads-namespaces, ringfence-agent-reads-nodes, ringfence-agent-reads-persistentvolumes, ringfence-agent-reads-storageclasses]
{{- end }}
{{- /* For the floor, as CEL: what is read -> the first level that holds it. */}}
{{- define "ringfence.reads.levels" -}}
{'namespaces': 2, 'nodes': 2, 'persistentvolumes': 2, 'storageclasses': 2}
{{- end }}
