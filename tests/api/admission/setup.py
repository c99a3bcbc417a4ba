"""The admission server: two replicas behind a Service of ours, and its registration."""

import asyncio
import base64
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from api.review_server import HOST, Replica, Service
from cluster import Cluster
from ringfence.controller.certificates import Names, Settings, keep
from ringfence.kube import Kube

SYSTEM = "ringfence-system"
NAMES = Names.of_service("ringfence-admission", SYSTEM)
KEEPER = Settings(namespace=SYSTEM, names=Names(NAMES.dns, (ip_address(HOST),)))
PINNED = "registry.example/acme/researcher@sha256:" + "a" * 64
WIDE_OPEN = {"image": PINNED, "network": {"egress": [{"cidr": "0.0.0.0/0", "ports": [443]}]}}
AGENTS = "/apis/ringfence.dev/v1alpha1/namespaces/team/agentdeployments"


def agent(name: str, spec: Any = None, namespace: str = "team", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "ringfence.dev/v1alpha1",
        "kind": "AgentDeployment",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"image": PINNED} if spec is None else spec,
    }


def policy(name: str, spec: Any) -> dict[str, Any]:
    return {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentPolicy", "metadata": {"name": name}, "spec": spec}


def namespace(name: str, *, opened: bool = True) -> dict[str, Any]:
    labels = {"ringfence.dev/agents": "enabled"} if opened else {}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def configuration(port: int) -> dict[str, Any]:
    entry = {
        "name": "admission.ringfence.dev",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": f"https://{HOST}:{port}/validate"},
        "rules": [
            {
                "apiGroups": ["ringfence.dev"],
                "apiVersions": ["v1alpha1"],
                "operations": ["CREATE", "UPDATE"],
                "resources": ["agentdeployments", "agentdeployments/scale", "agentpolicies"],
            }
        ],
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "sideEffects": "None",
        "timeoutSeconds": 5,
    }
    metadata = {"name": "ringfence"}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": metadata,
        "webhooks": [entry],
    }


@dataclass
class Setup:
    cluster: Cluster
    service: Service
    folder: Path
    replicas: list[Replica] = field(default_factory=list)

    def start(self, *options: str) -> Replica:
        number = len(list(self.folder.glob("*.log")))
        replica = Replica.start(
            self.cluster.kubeconfig, self.folder / "tls", self.folder / f"{number}.log", "--drain-seconds=2", *options
        )
        self.replicas.append(replica)
        return replica

    def keep(self, now: datetime | None = None) -> float:
        """A pass of the keeper, then what the kubelet does: the Secret's files renewed in one move."""

        async def run() -> float:
            async with await Kube.connect(str(self.cluster.kubeconfig)) as kube:
                return await keep(kube, KEEPER, now=lambda: now or datetime.now(UTC))

        wait = asyncio.run(run())
        self.mount()
        return wait

    def secret(self) -> dict[str, bytes]:
        data = self.cluster.get("secret", "-n", SYSTEM, KEEPER.secret)["data"]
        return {name: base64.b64decode(value) for name, value in data.items()}

    def mount(self) -> None:
        fresh = self.folder / f"data-{time.monotonic_ns()}"
        fresh.mkdir()
        for name, value in self.secret().items():
            (fresh / name).write_bytes(value)
        staged = self.folder / "staged"
        staged.symlink_to(fresh)
        staged.rename(self.folder / "tls")


def refused(cluster: Cluster, *manifests: dict[str, Any]) -> str:
    """What kubectl prints when it fails."""
    with pytest.raises(Exception, match="denied the request") as caught:
        cluster.apply(*manifests)
    return str(caught.value)
