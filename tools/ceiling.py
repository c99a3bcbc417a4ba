"""The most that any agent can ever get, in the chart: the ClusterRole, and the same list for the floor.

The controller holds the ClusterRole where agents are let in: the API server lets nobody grant what they do not hold.
"""

import yaml

from ringfence.api.names import CEILING_CLUSTER_ROLE, CEILING_LABEL
from ringfence.policy.grants import CLUSTER_READS, ClusterGrant
from ringfence.policy.levels import LEVELS, LOWEST, VERB_ORDER, ceiling_rules
from ringfence.resources.reads import PREFIX as READS_PREFIX

PATH = "charts/ringfence/templates/agent-ceiling.yaml"
HEAD = f"""\
# Made by `make generate` from operator/ringfence/policy/grants.py. Do not edit.
# The most that any agent can ever get. The controller holds these rights where agents are let in: the API server lets
# nobody grant what they do not hold.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {CEILING_CLUSTER_ROLE}
  labels:
    {{{{- include "ringfence.labels" (list . "agent-ceiling") | nindent 4 }}}}
# Kubernetes fills it with the rules of all ClusterRoles of this label: the one below, and those that an administrator
# makes for custom resources. The guard `ceiling-rules` sees to it that they are about these alone. No `rules` stand
# here: these are Kubernetes' to write, and who applies some as well has a conflict.
aggregationRule:
  clusterRoleSelectors:
    - matchLabels: {{{CEILING_LABEL}: "true"}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: ringfence-agent-permissions
  labels:
    {CEILING_LABEL}: "true"
    {{{{- include "ringfence.labels" (list . "agent-ceiling") | nindent 4 }}}}
rules:
"""
READS_PATH = "charts/ringfence/templates/agent-reads.yaml"
READS_HEAD = """\
# Made by `make generate` from operator/ringfence/policy/grants.py. Do not edit.
# Reads outside of all namespaces that agents can be given (permissions.clusterReads): a ClusterRole for each kind, and
# its binding, whose subjects are the agents that have it. The controller writes these subjects, and no other binding.
"""
READS_PAIR = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {name}
  labels:
    {{{{- include "ringfence.labels" (list . "agent-reads") | nindent 4 }}}}
rules:
{rule}---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {name}
  labels:
    {{{{- include "ringfence.labels" (list . "agent-reads") | nindent 4 }}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {name}}}
"""
FLOOR_PATH = "charts/ringfence/templates/_permissions.tpl"
FLOOR_HEAD = """\
{{- /*
Made by `make generate` from operator/ringfence/policy/grants.py. Do not edit.
For the floor, as CEL: GROUP/RESOURCE -> verb -> the first level that holds it (0: ReadOnly, 3: Critical).
*/}}
{{- define "ringfence.permissions" -}}
"""
FLOOR_TAIL = "{{- end }}\n"
READS = """\
{{- /* Names of the ClusterRoles of cluster-wide reads, and of their bindings. */}}
{{- define "ringfence.reads" -}}
[%s]
{{- end }}
{{- /* For the floor, as CEL: what is read -> the first level that holds it. */}}
{{- define "ringfence.reads.levels" -}}
{%s}
{{- end }}
"""


def files() -> dict[str, str]:
    """Path -> content."""
    return {
        PATH: HEAD + "".join(map(_rule, ceiling_rules())),
        READS_PATH: READS_HEAD + "---\n".join(map(_pair, CLUSTER_READS)),
        FLOOR_PATH: FLOOR_HEAD + _for_the_floor() + FLOOR_TAIL + _reads(),
    }


def _pair(one: ClusterGrant) -> str:
    rule = _rule({"apiGroups": [one.group], "resources": [one.resource], "verbs": list(one.verbs)})
    return READS_PAIR.format(name=f"{READS_PREFIX}{one.resource}", rule=rule)


def _reads() -> str:
    names = ", ".join(f"{READS_PREFIX}{one.resource}" for one in CLUSTER_READS)
    return READS % (names, ", ".join(f"'{one.resource}': {LEVELS.index(one.level)}" for one in CLUSTER_READS))


def _for_the_floor() -> str:
    """CEL: GROUP/RESOURCE -> verb -> the first level that holds it, as its place among the levels."""
    rows = []
    for (group, resource), verbs in sorted(LOWEST.items()):
        words = ", ".join(f"'{verb}': {LEVELS.index(verbs[verb])}" for verb in VERB_ORDER if verb in verbs)
        rows.append(f"'{group}/{resource}': {{{words}}}")
    return "{" + ",\n".join(rows) + "}\n"


def _rule(rule: dict[str, list[str]]) -> str:
    return "  - " + "\n    ".join(f"{field}: {_flow(words)}" for field, words in rule.items()) + "\n"


def _flow(words: list[str]) -> str:
    return str(yaml.safe_dump(words, default_flow_style=True, width=10_000)).strip()
