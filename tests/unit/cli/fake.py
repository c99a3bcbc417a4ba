"""A cluster in memory, and agents to put into it."""

from typing import Any

import pytest
from click.testing import CliRunner, Result

from ringfence.api.names import AGENTS_ENABLED, AGENTS_LABEL, API_VERSION
from ringfence.cli import cluster
from ringfence.cli.main import cli
from ringfence.kube import ApiError, NotFound, Unreachable, path_of
from unit.fakes.kube import FakeKube

NOW = "2026-05-01T12:00:00Z"
NAMESPACE = "research"


class Cluster(FakeKube):
    """The fake API server as a person at a terminal sees it."""

    @property
    def created(self) -> list[tuple[str, dict[str, Any]]]:
        return [(one.path, one.body) for one in self.writes if one.verb == "create"]

    def answer(self, status: int, *, path: str) -> None:
        """Have requests for `path` end with that HTTP status; 0: without an answer."""
        failures = {
            0: Unreachable(f"GET {path}: ClientConnectorError"),
            404: NotFound(404, "NotFound", "the server could not find the requested resource"),
        }
        self.refuse(failures.get(status) or ApiError(status, "Forbidden", f"you cannot read {path}"), path=path)

    def put(self, group_version: str, plural: str, found: dict[str, Any]) -> dict[str, Any]:
        """Store an object where the API server would have it."""
        metadata = found["metadata"]
        return self.cluster.put(path_of(group_version, plural, metadata.get("namespace"), metadata["name"]), found)

    def put_agent(self, name: str = "researcher", **changes: Any) -> dict[str, Any]:
        return self.put(API_VERSION, "agentdeployments", agent(name, **changes))

    def put_namespace(self, labels: dict[str, str] | None = None) -> None:
        labels = {AGENTS_LABEL: AGENTS_ENABLED} if labels is None else labels
        self.put("v1", "namespaces", {"metadata": {"name": NAMESPACE, "labels": labels}})

    def run(self, monkeypatch: pytest.MonkeyPatch, *arguments: str, color: bool = False) -> Result:
        """`ringfence ARGUMENTS` against this cluster."""

        async def connect(where: cluster.Where) -> cluster.Session:
            return cluster.Session(self, where.namespace or NAMESPACE)

        monkeypatch.setattr(cluster, "connect", connect)
        return CliRunner().invoke(cli, list(arguments), color=color)


def condition(kind: str, status: str = "True", reason: str = "Ready", message: str = "all is well") -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-05-01T11:00:00Z",
    }


SECRETS = [
    {
        "name": "panel",
        "source": {"generate": {}},
        "rotation": {"every": "720h", "overlap": "1h"},
        "delivery": {"file": {"path": "/var/run/ringfence/panel"}},
    },
    {
        "name": "token",
        "source": {"generate": {}},
        "rotation": {"every": "24h", "overlap": "1h"},
        "delivery": {"env": {"name": "TOKEN"}},
    },
    {
        "name": "model",
        "source": {"existing": {"secretName": "model-key", "key": "key"}},
        "delivery": {"env": {"name": "MODEL_KEY"}},
    },
]


def agent(
    name: str = "researcher",
    *,
    namespace: str = NAMESPACE,
    conditions: list[dict[str, Any]] | None = None,
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    generation: int = 2,
) -> dict[str, Any]:
    """An AgentDeployment with its status, as the controller would have written it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "AgentDeployment",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": "u-1",
            "generation": generation,
            "creationTimestamp": "2026-04-28T12:00:00Z",
        },
        "spec": {"image": "registry.example/a@sha256:" + "0" * 64, "permissions": {"level": "ReadOnly"}} | (spec or {}),
        "status": {
            "observedGeneration": 2,
            "acceptedGeneration": 2,
            "readyReplicas": 1,
            "conditions": [condition("Ready")] if conditions is None else conditions,
        }
        | (status or {}),
    }
