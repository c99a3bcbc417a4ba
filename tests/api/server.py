"""The API server as the tests of the CRDs ask it: bytes in, verdict out."""

import json
from pathlib import Path
from typing import Any

from harness.api import Answer, Api
from ringfence.api.names import GROUP, VERSION

__all__ = ["NAMESPACE", "Answer", "Server", "collection"]

PLURALS = {"AgentDeployment": "agentdeployments", "AgentPolicy": "agentpolicies"}
NAMESPACE = "default"


class Server:
    """The API server, as the administrator of a kubeconfig."""

    def __init__(self, url: str, kubeconfig: Path) -> None:
        self.api = Api.of_kubeconfig(url, kubeconfig)

    def close(self) -> None:
        self.api.close()

    def request(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> Answer:
        return self.api.request(method, path, body, kind)

    def create(
        self, manifest: dict[str, Any] | bytes, *, kind: str, dry_run: bool = True, media: str = "json"
    ) -> Answer:
        """Create an object, unknown fields refused. `manifest` as bytes is sent as it is."""
        body = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
        query = f"fieldValidation=Strict{'&dryRun=All' if dry_run else ''}"
        return self.request("POST", f"{collection(kind)}?{query}", body, f"application/{media}")

    def delete(self, kind: str, name: str) -> Answer:
        return self.request("DELETE", f"{collection(kind)}/{name}")


def collection(kind: str) -> str:
    """The path of all objects of a kind (in one namespace)."""
    within = "" if kind == "AgentPolicy" else f"/namespaces/{NAMESPACE}"
    return f"/apis/{GROUP}/{VERSION}{within}/{PLURALS[kind]}"
