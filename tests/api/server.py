"""A plain client of the API server: bytes in, verdict out. Bytes, so that tests can send what no library would."""

import base64
import http.client
import json
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ringfence.api.names import GROUP, VERSION

PLURALS = {"AgentDeployment": "agentdeployments", "AgentPolicy": "agentpolicies"}
NAMESPACE = "default"


@dataclass(frozen=True)
class Answer:
    """What the API server said."""

    code: int
    body: dict[str, Any]

    @property
    def ok(self) -> bool:
        return 200 <= self.code < 300

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))


class Server:
    """One connection to the API server, as the administrator of a kubeconfig."""

    def __init__(self, url: str, kubeconfig: Path) -> None:
        config = json.loads(kubeconfig.read_text())
        user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
        context = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
        with tempfile.NamedTemporaryFile("w") as pair:  # the standard library takes certificates from files only
            pair.write(_decoded(user["client-certificate-data"]) + _decoded(user["client-key-data"]))
            pair.flush()
            context.load_cert_chain(pair.name)
        address = urlsplit(url)
        self._connection = http.client.HTTPSConnection(str(address.hostname), address.port, context=context, timeout=30)

    def close(self) -> None:
        self._connection.close()

    def request(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> Answer:
        self._connection.request(method, path, body or None, {"Content-Type": kind, "Accept": "application/json"})
        response = self._connection.getresponse()
        return Answer(response.status, json.loads(response.read()))

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


def _decoded(data: str) -> str:
    return base64.b64decode(data).decode()
