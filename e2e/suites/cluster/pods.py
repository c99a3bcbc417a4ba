"""Pods, policies and probes for the suites of the built-in cluster."""

import json
from collections.abc import Mapping
from typing import Any

from cluster import Cluster, CommandFailed
from cluster.shell import wait_for

LLM = "https://llm.example/"
ELSEWHERE = "https://203.0.113.20/"
ECHO = "udp://203.0.113.10:7"
METADATA = "http://169.254.169.254/"
RESOLVER = "dns://anything.example@203.0.113.53"
API_SERVER = "tcp://10.96.0.1:443"

OUTSIDE = [LLM, ELSEWHERE, ECHO, METADATA, RESOLVER, API_SERVER, "dns://kubernetes.default"]
"""Everything that a pod of an open cluster reaches beyond other pods."""

SERVE = ["echo", "-tcp", ":7", "-udp", ":7", "-http", ":80"]


def pod(name: str, *args: str, image: str, **spec: Any) -> dict[str, Any]:
    """A pod of the test image, labelled app=NAME."""
    container = {
        "name": "main",
        "image": image,
        "args": [*(args or SERVE)],
        "ports": [{"name": "web", "containerPort": 80}],
        **spec.pop("container", {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0, **spec},
    }


def policy(name: str, app: str, **spec: Any) -> dict[str, Any]:
    """A NetworkPolicy over the pods of an app; without more, it denies everything both ways."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {
            "podSelector": {"matchLabels": {"app": app}},
            "policyTypes": ["Ingress", "Egress"],
            **spec,
        },
    }


class Space:
    """A namespace of a cluster."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl("-n", self.name, *args, stdin=stdin)

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        text = "\n---\n".join(json.dumps(manifest) for manifest in manifests)
        self.kubectl("apply", "-f", "-", stdin=text)

    def run(self, *pods: Mapping[str, Any]) -> None:
        """Apply pods and wait until they are ready."""
        self.apply(*pods)
        for manifest in pods:
            name = manifest["metadata"]["name"]
            self.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")

    def address(self, name: str) -> str:
        return self.kubectl("get", "pod", name, "-o", "jsonpath={.status.podIP}")

    def probe(self, name: str, *targets: str, timeout: str = "2s") -> dict[str, str]:
        """Target -> verdict, tried from inside a pod."""
        told = self.kubectl("exec", name, "--", "/testbox", "probe", "-timeout", timeout, "-expect", "any", *targets)
        return {line["target"]: line["verdict"] for line in map(json.loads, told.splitlines())}

    def wait_verdict(self, name: str, target: str, verdict: str) -> None:
        """Wait until a probe from a pod gives this verdict."""
        wait_for(
            f"{target} to be {verdict} from {name}",
            lambda: self.probe(name, target, timeout="1s") == {target: verdict},
            timeout=30,
        )

    def logs(self, name: str) -> str:
        return self.kubectl("logs", name)

    def exists(self, *what: str) -> bool:
        try:
            self.kubectl("get", *what)
        except CommandFailed:
            return False
        return True
