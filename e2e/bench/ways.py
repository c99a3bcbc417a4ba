"""An API server in which creating an agent passes through nothing, rules, a webhook that decides nothing, or ours.

The ways are namespaces, told apart by a label; each has its own registration.
"""

from __future__ import annotations

import base64
import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import yaml

from api.review_server import HOST, Replica, free_port
from api.server import Server
from cluster import Cluster, programs
from cluster.shell import run, wait_for
from harness.install import ROOT
from ringfence.controller.certificates import Names
from ringfence.controller.certificates.issue import issue

from .objects import IMAGE

__all__ = ["SERVICE", "WAYS", "Place", "agent", "ask", "collection", "serving", "space"]

LABEL = "ringfence.dev/bench-admission"
WAYS = ("none", "ten_rules", "allows_everything", "webhook", "webhook_and_floor")
SERVICE = "ringfence-admission.bench.svc"
VARIABLES = {
    "egress": "object.spec.?network.?egress.orValue([])",
    "rules": "object.spec.?permissions.?rules.orValue([])",
    "secrets": "object.spec.?secrets.orValue([])",
}
TEN_RULES = (
    "object.spec.image.contains('@sha256:')",
    "object.spec.?permissions.?level.orValue('ReadOnly') in ['ReadOnly', 'LimitedWrite']",
    "variables.rules.all(r, r.verbs.all(v, v != '*'))",
    "variables.rules.all(r, r.resources.all(s, s != '*' && s != 'secrets'))",
    "variables.rules.all(r, r.apiGroups.all(g, g != '*' && g != 'rbac.authorization.k8s.io'))",
    "variables.egress.size() <= 64",
    "variables.egress.all(e, !has(e.cidr) || cidr(e.cidr).prefixLength() >= 8)",
    "variables.egress.all(e, !has(e.cidr) || !cidr(e.cidr).containsIP('169.254.169.254'))",
    "variables.egress.all(e, !has(e.ports) || e.ports.all(p, p != 53 && p != 853))",
    "variables.secrets.all(s, !has(s.source.existing) || !s.source.existing.secretName.startsWith('ringfence-'))",
)
"""What a platform engineer would write without Ringfence, as far as the API server's own language goes."""


@dataclass(frozen=True)
class Place:
    """The API server, our admission process, and the process id of the webhook that decides nothing."""

    cluster: Cluster
    replica: Replica
    peer: int = 0

    def cpu(self) -> float:
        """Seconds that the admission process has worked so far."""
        return self.replica.metric("process_cpu_seconds_total")


@contextmanager
def serving(cluster: Cluster, folder: Path) -> Iterator[Place]:
    """One `ringfence admission` beside the API server, each way in force. Its files go to `folder`."""
    made = issue(Names((SERVICE,), (ip_address(HOST),)), datetime.now(UTC))
    (folder / "tls.crt").write_bytes(made.certificate)
    (folder / "tls.key").write_bytes(made.key)
    cluster.kubectl("apply", "-f", str(ROOT / "crds"))
    wait_for("the CRDs", lambda: cluster.kubectl("explain", "agd"), timeout=30)
    cluster.apply(*map(_namespace, WAYS))
    replica = Replica.start(cluster.kubeconfig, folder, folder / "log", "--drain-seconds=0")
    port = free_port()
    try:
        replica.wait_ready()
        cluster.apply(
            *_ten_rules(),
            *_floor(cluster),
            _webhook("allows-everything", port, made.authority, "allows_everything"),
            _webhook("ringfence", replica.port, made.authority, "webhook", "webhook_and_floor"),
        )
        here = Place(cluster, replica)
        _wait_in_force(here)
        with _allowing_everything(folder, port) as peer:
            yield replace(here, peer=peer)
    finally:
        replica.stop()


@contextmanager
def _allowing_everything(folder: Path, port: int) -> Iterator[int]:
    """A webhook in Go that decides nothing: its process id."""
    certificate = ("-cert", str(folder / "tls.crt"), "-key", str(folder / "tls.key"))
    argv = [str(programs.testbox() / "testbox"), "review", "-listen", f"{HOST}:{port}", *certificate]
    with (folder / "allows-everything.log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        wait_for("the webhook that allows everything", lambda: _listens(port), timeout=60)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex((HOST, port)) == 0


def _namespace(way: str) -> dict[str, Any]:
    labels = {"ringfence.dev/agents": "enabled", LABEL: way}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space(way), "labels": labels}}


def space(way: str) -> str:
    """The namespace of a way."""
    return "bench-" + way.replace("_", "-")


def _only(*ways: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": LABEL, "operator": "In", "values": list(ways)}]}


def _webhook(name: str, port: int, authority: bytes, *ways: str) -> dict[str, Any]:
    entry = {
        "name": f"{name}.bench.ringfence.dev",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {
            "url": f"https://{HOST}:{port}/validate",
            "caBundle": base64.b64encode(authority).decode(),
        },
        "rules": [{**_agents(), "operations": ["CREATE", "UPDATE"]}],
        "namespaceSelector": _only(*ways),
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "timeoutSeconds": 5,
    }
    return {**_registered("ValidatingWebhookConfiguration", name), "webhooks": [entry]}


def _agents() -> dict[str, Any]:
    return {"apiGroups": ["ringfence.dev"], "apiVersions": ["v1alpha1"], "resources": ["agentdeployments"]}


def _registered(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}}


def _ten_rules() -> list[dict[str, Any]]:
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [{**_agents(), "operations": ["CREATE", "UPDATE"]}]},
        "variables": [{"name": name, "expression": text} for name, text in VARIABLES.items()],
        "validations": [{"expression": rule} for rule in TEN_RULES],
    }
    bound = {"policyName": "ten", "validationActions": ["Deny"]}
    return [
        {**_registered("ValidatingAdmissionPolicy", "ten"), "spec": spec},
        {
            **_registered("ValidatingAdmissionPolicyBinding", "ten"),
            "spec": {**bound, "matchResources": {"namespaceSelector": _only("ten_rules")}},
        },
    ]


def _floor(cluster: Cluster) -> list[dict[str, Any]]:
    """The chart's own, bound to one of the namespaces only."""
    chart = ROOT / "charts" / "ringfence"
    values = ["-f", str(chart / "ci" / "image-values.yaml"), "-s", "templates/floor.yaml"]
    rendered = run(["helm", "template", "ringfence", str(chart), *values], env=cluster.env)
    documents: list[dict[str, Any]] = [one for one in yaml.safe_load_all(rendered) if one]
    for one in documents:
        if one["kind"] == "ValidatingAdmissionPolicyBinding":
            one["spec"]["matchResources"] = {"namespaceSelector": _only("webhook_and_floor")}
    return documents


def _wait_in_force(here: Place) -> None:
    """Until each of the ways refuses what it is to refuse: the API server learns of it a moment later.

    The webhook that allows everything is not started yet, and one that does not answer refuses, too.
    """
    worst = {"image": IMAGE, "network": {"egress": [{"cidr": "0.0.0.0/0", "ports": [443]}]}}
    client = Server(here.cluster.server, here.cluster.kubeconfig)
    try:
        for way in WAYS[1:]:
            wait_for(f"{way} to be in force", lambda way=way: not ask(client, way, worst), timeout=60)  # type: ignore[misc]
    finally:
        client.close()


def ask(client: Server, way: str, spec: dict[str, Any]) -> bool:
    """Whether a dry run of creating it passes."""
    return client.request("POST", collection(way), json.dumps(agent(way, spec)).encode()).ok


def collection(way: str) -> str:
    """Where a dry run of creating an agent is asked for."""
    return f"/apis/ringfence.dev/v1alpha1/namespaces/{space(way)}/agentdeployments?dryRun=All"


def agent(way: str, spec: dict[str, Any], name: str = "bench") -> dict[str, Any]:
    """The manifest of one."""
    return {
        "apiVersion": "ringfence.dev/v1alpha1",
        "kind": "AgentDeployment",
        "metadata": {"name": name, "namespace": space(way)},
        "spec": spec,
    }
