"""How soon a rotated key reaches its agent."""

from __future__ import annotations

import json
from typing import Any

from cluster.shell import seconds_until, step
from harness import rotating
from harness.api import Api
from harness.environment import Environment
from harness.kubectl import Object
from harness.rotating import KEYS, RotatingAgent

from .numbers import ratio, summary, timed

__all__ = ["clean", "prepare", "rotations"]

PLAIN = "plain"
"""A pod without Ringfence that mounts a Secret of ordinary kind: how fast its file changes is the floor."""


def prepare(environment: Environment) -> None:
    """The namespace, before Ringfence is installed with `agentNamespaces={keys}`."""
    environment.kubectl.apply(rotating.namespace())


def rotations(environment: Environment, api: Api, count: int) -> dict[str, Any]:
    """By file: order to stored, stored to seen, beside an ordinary Secret's way. By variable: order to ready again."""
    environment.kubectl.apply(rotating.policy(environment.testbox))
    return {"file": _by_file(environment, api, count), "env": _by_variable(environment, api, count)}


def _by_file(environment: Environment, api: Api, count: int) -> dict[str, Any]:
    agent = RotatingAgent(environment, api, "filed")
    agent.create(calls=False)
    environment.kubectl.apply(*map(json.dumps, _plain(environment.testbox)))
    environment.kubectl("wait", "-n", KEYS, f"pod/{PLAIN}", "--for=condition=Ready", "--timeout=60s")
    stored, seen, floor = [], [], []
    with step(f"{count} rotations, delivered as a file"):
        for number in range(count):
            stored.append(timed(agent.rotate))
            value = agent.value()
            seen.append(timed(lambda value=value: agent.wait_file(value)))  # type: ignore[misc]
            floor.append(_ordinary(environment, api, f"value-{number}"))
    told, ordinary = summary(seen), summary(floor)
    return {
        "order_to_stored_seconds": summary(stored),
        "stored_to_seen_seconds": told,
        "floor_ordinary_secret_seconds": ordinary,
        "times_floor": ratio(told["p50"], ordinary["p50"]),
    }


def _by_variable(environment: Environment, api: Api, count: int) -> dict[str, Any]:
    agent = RotatingAgent(environment, api, "varied")
    agent.create(variable="AGENT_KEY", **rotating.STRICT)
    stored, ready = [], []
    with step(f"{count} rotations, delivered as a variable"):
        for _ in range(count):
            stored.append(timed(agent.rotate))
            ready.append(timed(agent.wait_restarted))
    refused = len(agent.refusals())
    return {"order_to_stored_seconds": summary(stored), "stored_to_ready_seconds": summary(ready), "refused": refused}


def _ordinary(environment: Environment, api: Api, value: str) -> float:
    patch = {"stringData": {"value": value}}
    api.patch(f"/api/v1/namespaces/{KEYS}/secrets/{PLAIN}", patch)

    def there() -> bool:
        return environment.kubectl("exec", "-n", KEYS, PLAIN, "--", "/testbox", "cat", "/keys/value") == value

    return seconds_until("the ordinary file to change", there, timeout=180)


def _plain(image: str) -> list[Object]:
    metadata = {"name": PLAIN, "namespace": KEYS}
    container = {
        "name": PLAIN,
        "image": image,
        "args": ["agent"],
        "securityContext": rotating.RESTRICTED,
        "volumeMounts": [{"name": "keys", "mountPath": "/keys"}],
    }
    spec = {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": "keys", "secret": {"secretName": PLAIN}}],
    }
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"value": "first"}}
    return [secret, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}]


def clean(environment: Environment) -> None:
    """Remove what an earlier run left."""
    if environment.kubectl.find("namespace", KEYS):
        environment.kubectl("delete", "agd", "--all", "-n", KEYS, "--timeout=300s", timeout=310)
        environment.kubectl("delete", "namespace", KEYS, "--timeout=300s", timeout=310)
