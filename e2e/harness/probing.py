"""Real attempts from inside pods, by the test image's `probe`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cluster.errors import ClusterError

from .kubectl import Kubectl, Object
from .manifests import NAMESPACE, TOOLS

__all__ = ["Target", "Verdict", "pod_of", "pods_of", "probe", "request", "targets"]

Verdict = Literal["reachable", "refused", "blocked", "error"]
"""`refused` means that an answer came back: nothing was dropped, so it is not `blocked`."""

PROVIDER = "api.anthropic.com"
PROVIDER_ADDRESS = "45.90.0.10"
"""Of the pretend internet of the built-in cluster, as all of these."""
BESIDE = "other.model.example"
"""Another name at that address."""
LLM = "203.0.113.10"
ELSEWHERE = "203.0.113.20"
RESOLVER = "203.0.113.53"
METADATA = "169.254.169.254"
SEARCH = f"search.{TOOLS}.svc.cluster.local"


@dataclass(frozen=True)
class Target:
    """Something to try. `allowed`: by the researcher's fence. `pretend`: only the built-in cluster has it."""

    what: str
    address: str
    allowed: bool = False
    pretend: bool = False


def targets(kubectl: Kubectl) -> list[Target]:
    """What a compromised agent would try first, in this cluster; and the two ways that the researcher has."""
    service = kubectl.get("service", "kubernetes", "-n", "default")["spec"]["clusterIP"]
    kubelet = node_address(kubectl)
    neighbour = pods_of(kubectl, NAMESPACE, "app=unfenced")[-1]["status"]["podIP"]
    ledger = kubectl.get("service", "ledger", "-n", TOOLS)["spec"]["clusterIP"]
    return [
        Target("LLM API on the internet, by name", f"https://{PROVIDER}/", allowed=True, pretend=True),
        Target("the search service", f"https://{SEARCH}:8443/", allowed=True),
        Target("the LLM's host by its address", f"https://{PROVIDER_ADDRESS}/", pretend=True),
        Target("another host on the internet", f"https://{ELSEWHERE}/", pretend=True),
        Target("another port of the LLM's host", f"tcp://{PROVIDER}:7", pretend=True),
        Target("a public DNS resolver", f"dns://example.com@{RESOLVER}", pretend=True),
        Target("cloud metadata service", f"http://{METADATA}/latest/", pretend=True),
        Target("another pod of its namespace", f"http://{neighbour}:8080/"),
        Target("another service of namespace tools", f"http://{ledger}/"),
        Target("Kubernetes API server", f"https://{service}/version"),
        Target("the node's kubelet", f"https://{kubelet}:10250/pods"),
    ]


def probe(
    kubectl: Kubectl, namespace: str, pod: str, addresses: Sequence[str], *, seconds: float = 2
) -> dict[str, Verdict]:
    """Try all addresses at once from inside a pod (`pod`: a pod's name, or deploy/NAME); address -> verdict."""
    words = ["/testbox", "probe", "-expect", "any", "-timeout", f"{seconds:g}s", *addresses]
    told = kubectl("exec", "-n", namespace, pod, "--", *words, timeout=seconds + 30)
    found = {line["target"]: line["verdict"] for line in map(json.loads, told.splitlines())}
    if missing := set(addresses) - found.keys():
        raise ClusterError(f"{pod} said nothing about {', '.join(sorted(missing))}")
    return found


def request(kubectl: Kubectl, namespace: str, pod: str, url: str, *headers: str, **flags: str) -> Object:
    """One request from inside a pod, as any program sends it: `status`, `headers` and `body` of the answer, or `error`.

    `headers`: "NAME: VALUE". `flags`: of the test image's `request`, such as method="POST".
    """
    words = [word for name, value in flags.items() for word in (f"-{name}", value)]
    words += [word for header in headers for word in ("-header", header)]
    told = kubectl("exec", "-n", namespace, pod, "--", "/testbox", "request", *words, url, ok=True)
    found: Object = json.loads(told.splitlines()[0])
    return found


def pods_of(kubectl: Kubectl, namespace: str, selector: str) -> list[Object]:
    """Pods that run and are not on their way out, by name."""
    pods = kubectl.items("pods", "-n", namespace, "-l", selector)
    return sorted(
        (pod for pod in pods if not pod["metadata"].get("deletionTimestamp") and pod["status"].get("podIP")),
        key=lambda pod: str(pod["metadata"]["name"]),
    )


def pod_of(kubectl: Kubectl, namespace: str, selector: str) -> Object:
    """The first of them. Raises ClusterError when there is none."""
    found = pods_of(kubectl, namespace, selector)
    if not found:
        raise ClusterError(f"no pod {selector} in namespace {namespace}")
    return found[0]


def node_address(kubectl: Kubectl) -> str:
    """Internal address of a node."""
    node = kubectl.items("nodes")[0]
    return next(str(entry["address"]) for entry in node["status"]["addresses"] if entry["type"] == "InternalIP")
