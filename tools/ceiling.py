"""charts/ringfence/templates/agent-ceiling.yaml: the most that any agent can ever get: one ClusterRole.

The controller is bound to it, and the API server lets nobody grant what they do not hold.
"""

import yaml

from ringfence.api.names import CEILING_CLUSTER_ROLE
from ringfence.policy.levels import ceiling_rules

PATH = "charts/ringfence/templates/agent-ceiling.yaml"
HEAD = f"""\
# Made by `make generate` from operator/ringfence/policy/levels.py. Do not edit.
# The most that any agent can ever get. The controller holds these rights, and the API server lets nobody grant what
# they do not hold: more than this is refused with every line of ours removed.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {CEILING_CLUSTER_ROLE}
  labels:
    {{{{- include "ringfence.labels" (list . "agent-ceiling") | nindent 4 }}}}
rules:
"""


def files() -> dict[str, str]:
    """Path -> content."""
    return {PATH: HEAD + "".join(map(_rule, ceiling_rules()))}


def _rule(rule: dict[str, list[str]]) -> str:
    return "  - " + "\n    ".join(f"{field}: {_flow(words)}" for field, words in rule.items()) + "\n"


def _flow(words: list[str]) -> str:
    return str(yaml.safe_dump(words, default_flow_style=True, width=10_000)).strip()
