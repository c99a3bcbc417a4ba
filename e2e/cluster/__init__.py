"""The built-in cluster: a real Kubernetes on one Linux machine, without Docker and without a registry.

`python -m cluster up` for people; for tests:

    from cluster import Cluster
    cluster = Cluster.up(name="mine", mode="api")
    cluster.kubectl("get", "namespaces")
"""

from .api import Cluster
from .errors import ClusterError, CommandFailed

__all__ = ["Cluster", "ClusterError", "CommandFailed"]
