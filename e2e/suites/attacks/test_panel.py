"""Somebody publishes an agent that lets nobody in but the console."""

from harness.kubectl import Kubectl, Object
from harness.manifests import NAMESPACE, TOOLS
from harness.probing import node_address, probe
from suites.attacks.agent import path
from suites.attacks.people import People

OUTSIDE = "198.51.100.7"
"""An address of nobody, which a Service claims."""
PORT = 30880


def test_a_service_of_somebody_elses_lets_nobody_in(people: People, kubectl: Kubectl) -> None:
    ed, node = people("ed"), node_address(kubectl)
    body: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "published"},
        "spec": {
            "type": "NodePort",
            "selector": {"ringfence.dev/agent": "panel"},
            "externalIPs": [OUTSIDE],
            "ports": [{"port": 8080, "targetPort": 8080, "nodePort": PORT}],
        },
    }
    address = ed.create(path("services"), body)["spec"]["clusterIP"]
    try:
        targets = [f"http://{address}:8080/healthz", f"http://{node}:{PORT}/healthz", f"http://{OUTSIDE}:8080/healthz"]
        found = probe(kubectl, TOOLS, "deploy/console", targets)
        assert set(found.values()) == {"reachable"}, "the one that is let in"
        for namespace, pod in ((NAMESPACE, "deploy/unfenced"), (TOOLS, "deploy/ledger")):
            assert set(probe(kubectl, namespace, pod, targets).values()) == {"blocked"}, pod
    finally:
        ed.delete(path("services", "published"))
