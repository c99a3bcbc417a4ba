"""Agents, policies and reviews of known size, for measurements: a typical one, and the worst that the API takes."""

from __future__ import annotations

import json
import random
from typing import Any

__all__ = ["IMAGE", "large_review", "review", "typical_agent", "worst_agent", "worst_policy"]

IMAGE = "registry.example/acme/researcher@sha256:" + "a" * 64
KNOWN_GROUPS = (
    "",
    "apps",
    "autoscaling",
    "batch",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "policy",
)
KNOWN_RESOURCES = ("configmaps", "endpoints", "events", "pods", "pods/log", "services", "deployments", "jobs", "leases")
ALL_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")


def typical_agent() -> dict[str, Any]:
    """A spec with a little of everything that passes the built-in policy."""
    return {
        "image": IMAGE,
        "env": [{"name": f"SETTING_{number}", "value": "x" * 20} for number in range(5)],
        "ports": [{"name": "panel", "port": 8080}],
        "resources": {"limits": {"cpu": "1", "memory": "512Mi"}, "requests": {"cpu": "100m"}},
        "permissions": {
            "level": "ReadOnly",
            "rules": [
                {"apiGroups": [""], "resources": ["configmaps", "pods"], "verbs": ["get", "list"]},
                {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch"]},
            ],
        },
        "network": {
            "egress": [{"service": {"name": "search", "port": 8443}}],
            "ingress": [{"from": {"podLabels": {"app": "console"}}, "port": "panel"}],
        },
        "secrets": [
            {
                "name": "provider",
                "source": {"generate": {}},
                "rotation": {"every": "720h"},
                "delivery": {"file": {"path": "/var/run/ringfence/provider"}},
            }
        ],
    }


def worst_agent() -> dict[str, Any]:
    """A spec at the bounds of the API, in which nearly every word violates a rule."""
    rules = [
        {
            "apiGroups": [*KNOWN_GROUPS, *(f"group{one}.example" for one in range(16 - len(KNOWN_GROUPS)))],
            "resources": [*KNOWN_RESOURCES, *(f"things{one}" for one in range(32 - len(KNOWN_RESOURCES)))],
            "verbs": [*ALL_VERBS, *(f"verb{one}" for one in range(16 - len(ALL_VERBS)))],
            "resourceNames": [f"name-{one}" for one in range(64)] if number % 2 else [],
        }
        for number in range(32)
    ]
    some = random.Random(1)
    networks = [
        f"2001:{some.randrange(65536):x}:{some.randrange(65536):x}::/48"
        if number % 2
        else f"{some.randrange(1, 223)}.{some.randrange(256)}.{some.randrange(256)}.0/24"
        for number in range(64)
    ]
    secrets = [
        {
            "name": f"secret-{number}",
            "source": {"generate": {}},
            "rotation": {"every": "9000h"},
            "delivery": {"file": {"path": f"/var/run/ringfence/{'d' * 50}/{'e' * 50}/{'f' * 50}/{number}"}},
        }
        for number in range(16)
    ]
    return {
        "image": "registry.example/acme/researcher:latest",
        "env": [{"name": f"V{number}", "value": "x" * 1000} for number in range(128)],
        "args": ["y" * 1000] * 128,
        "permissions": {"level": "ReadOnly", "rules": rules},
        "network": {"egress": [{"cidr": cidr, "ports": [53, 853, *range(1000, 1014)]} for cidr in networks]},
        "secrets": secrets,
    }


def worst_policy() -> dict[str, Any]:
    """A policy at the bounds of the API that allows next to nothing."""
    allow = {
        "apiGroups": ["", "apps"],
        "resources": ["configmaps", "pods", "services"],
        "resourceNames": [f"name-{one}" for one in range(64)],
        "verbs": ["get", "create"],
    }
    some = random.Random(2)
    cidrs = {f"{some.randrange(1, 223)}.{some.randrange(256)}.{some.randrange(256)}.0/24" for _ in range(256)}
    return {
        "permissions": {"allow": [allow] * 64},
        "egress": {"maxPublicAddresses": 10, "cidrs": sorted(cidrs)},
        "images": {"registries": [f"registry-{one}.example" for one in range(64)]},
    }


def review(spec: dict[str, Any], *, namespace: str, old: dict[str, Any] | None = None) -> bytes:
    """The bytes of an AdmissionReview as the API server writes them: no blanks, a newline at the end. A dry run."""

    def body(one: dict[str, Any]) -> dict[str, Any]:
        metadata = {"name": "bench", "namespace": namespace}
        return {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentDeployment", "metadata": metadata, "spec": one}

    kind = {"group": "ringfence.dev", "version": "v1alpha1"}
    request = {
        "uid": "b2b0e9f4-6d3c-4c7e-9d2c-0a2f7d0a1c11",
        "kind": {**kind, "kind": "AgentDeployment"},
        "resource": {**kind, "resource": "agentdeployments"},
        "name": "bench",
        "namespace": namespace,
        "operation": "UPDATE" if old else "CREATE",
        "userInfo": {"username": "ringfence-admin", "groups": ["system:masters", "system:authenticated"]},
        "object": body(spec),
        "oldObject": body(old) if old else None,
        "dryRun": True,
    }
    whole = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}
    return json.dumps(whole, separators=(",", ":")).encode() + b"\n"


def large_review(namespace: str) -> bytes:
    """6 MiB: an UPDATE of an object of 3 MiB, as large as the API server takes."""
    env = [{"name": f"V{number}", "value": "x" * 24_500} for number in range(128)]
    spec = {**typical_agent(), "env": env}
    return review(spec, namespace=namespace, old={**spec, "replicas": 2})
