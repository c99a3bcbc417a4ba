"""A cluster in a dictionary, and agents to put into it."""

import copy
from typing import Any

from click.testing import CliRunner, Result

from ringfence.api.names import AGENTS_ENABLED, AGENTS_LABEL, API_VERSION
from ringfence.cli import cluster
from ringfence.cli.main import cli
from ringfence.kube import ApiError, NotFound, Unreachable, path_of

NOW = "2026-05-01T12:00:00Z"
NAMESPACE = "research"


class FakeKube:
    """`objects`: path -> object. `refused`: path -> HTTP status, or 0 for no answer."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.refused: dict[str, int] = {}
        self.created: list[tuple[str, dict[str, Any]]] = []
        self.selectors: list[str | None] = []
        self.closed = False
        self.on_get: Any = None

    async def get(self, path: str) -> dict[str, Any]:
        self._check(path)
        if self.on_get:
            self.on_get(path)
        if path not in self.objects:
            raise NotFound(404, "NotFound", f"{path} not found")
        return copy.deepcopy(self.objects[path])

    async def list(self, path: str, *, field_selector: str | None = None) -> list[dict[str, Any]]:
        self._check(path)
        self.selectors.append(field_selector)
        everywhere = path.count("/") == 4 and path.endswith("agentdeployments")
        return [
            copy.deepcopy(found)
            for key, found in sorted(self.objects.items())
            if key.startswith(f"{path}/") or (everywhere and "/agentdeployments/" in key)
        ]

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._check(path)
        self.created.append((path, body))
        self.objects.setdefault(f"{path}/{body['metadata']['name']}", body)
        return body

    async def close(self) -> None:
        self.closed = True

    def _check(self, path: str) -> None:
        if (status := self.refused.get(path)) is None:
            return
        if status == 0:
            raise Unreachable(f"GET {path}: ClientConnectorError")
        if status == 404:
            raise NotFound(404, "NotFound", "the server could not find the requested resource")
        raise ApiError(status, "Forbidden", f"you cannot read {path}")

    def put(self, group_version: str, plural: str, found: dict[str, Any]) -> dict[str, Any]:
        """Store an object where the API server would have it."""
        metadata = found["metadata"]
        self.objects[path_of(group_version, plural, metadata.get("namespace"), metadata["name"])] = found
        return found

    def put_agent(self, name: str = "researcher", **changes: Any) -> dict[str, Any]:
        return self.put(API_VERSION, "agentdeployments", agent(name, **changes))

    def put_namespace(self, labels: dict[str, str] | None = None) -> None:
        labels = {AGENTS_LABEL: AGENTS_ENABLED} if labels is None else labels
        self.put("v1", "namespaces", {"metadata": {"name": NAMESPACE, "labels": labels}})

    def run(self, monkeypatch: Any, *arguments: str, color: bool = False) -> Result:
        """`ringfence ARGUMENTS` against this cluster."""

        async def connect(where: cluster.Where) -> cluster.Session:
            return cluster.Session(self, where.namespace or NAMESPACE)  # type: ignore[arg-type]

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
