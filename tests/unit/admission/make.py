"""Builders: each test shows only what differs."""

import json
from typing import Any

from ringfence.api.names import AGENTS_ENABLED, AGENTS_LABEL
from ringfence.store.context import PolicyContext
from ringfence.store.sources import AGENT_POLICY, NAMESPACE, SOURCES

UID = "b2b0e9f4-6d3c-4c7e-9d2c-0a2f7d0a1c11"
IMAGE = "registry.example/acme/researcher@sha256:" + "a" * 64


def agent(spec: Any = None, *, name: str = "researcher", namespace: str = "team", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "ringfence.dev/v1alpha1",
        "kind": "AgentDeployment",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"image": IMAGE} if spec is None else spec,
    }


def policy(spec: Any, *, name: str = "strict") -> dict[str, Any]:
    return {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentPolicy", "metadata": {"name": name}, "spec": spec}


def review(obj: Any = None, old: Any = None, **fields: Any) -> dict[str, Any]:
    plural = fields.pop("plural", "agentdeployments")
    request = {
        "uid": UID,
        "kind": {"group": "ringfence.dev", "version": "v1alpha1", "kind": "AgentDeployment"},
        "resource": {"group": "ringfence.dev", "version": "v1alpha1", "resource": plural},
        "name": "researcher",
        "namespace": "team" if plural == "agentdeployments" else "",
        "operation": "UPDATE" if old is not None else "CREATE",
        "userInfo": {"username": "dev"},
        "object": obj,
        "oldObject": old,
        "dryRun": False,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request | fields}


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def world(*policies: dict[str, Any]) -> PolicyContext:
    """The namespace `team` is open; `closed` is not."""
    made = PolicyContext()
    for kind in SOURCES:
        made.replace(kind, [])
    labels = {AGENTS_LABEL: AGENTS_ENABLED}
    spaces = [{"metadata": {"name": "team", "labels": labels}}, {"metadata": {"name": "closed"}}]
    made.replace(NAMESPACE, spaces)
    made.replace(AGENT_POLICY, policies)
    return made
