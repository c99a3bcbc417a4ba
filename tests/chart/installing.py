"""The chart on an API server, as helm installs it.

Its pods stay pending: there is no node, and nothing here needs one.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from api.server import Server
from chart.rendering import CHART, IMAGE, NAMESPACE
from cluster import Cluster
from cluster.shell import run, wait_for

AGENTS = "/apis/ringfence.dev/v1alpha1/namespaces/default/agentdeployments?dryRun=All"


@contextmanager
def installed(cluster: Cluster, *words: str) -> Iterator[Cluster]:
    """While the block runs. `words`: more arguments of `helm install`."""
    run(["helm", "-n", NAMESPACE, "install", "ringfence", str(CHART), *IMAGE, *words], env=cluster.env)
    try:
        _wait_until_agents_are_known(cluster)
        yield cluster
    finally:
        run(["helm", "-n", NAMESPACE, "uninstall", "ringfence"], env=cluster.env)


def _wait_until_agents_are_known(cluster: Cluster) -> None:
    """The API server looks every five seconds for schemas that its mutating policies need (docs/limits.md)."""
    server = Server(cluster.server, cluster.kubeconfig)
    agent = {
        "apiVersion": "ringfence.dev/v1alpha1",
        "kind": "AgentDeployment",
        "metadata": {"name": "a"},
        "spec": {"image": "a"},
    }
    body = json.dumps(agent).encode()
    try:
        wait_for(
            "the API server to know agents in its policies", lambda: server.request("POST", AGENTS, body).code != 503
        )
    finally:
        server.close()
