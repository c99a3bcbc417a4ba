"""charts/ringfence/templates/agent-ceiling.yaml: the most that any agent can ever get: one ClusterRole.

The operator is bound to it, and the API server lets nobody grant what they do not hold.
"""


def files() -> dict[str, str]:
    """Path -> content."""
    return {}
