"""An API server that holds a Secret and a webhook configuration, and remembers what was written in which order."""

import base64
from copy import deepcopy
from typing import Any

from ringfence.kube import ApiError, Conflict, NotFound

SECRET = "/api/v1/namespaces/ringfence-system/secrets/ringfence-admission-tls"
WEBHOOK = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/ringfence"


def webhook(*names: str, bundle: bytes | None = None, policy: str = "Fail") -> dict[str, Any]:
    service = {"name": "ringfence-admission", "namespace": "ringfence-system", "path": "/validate"}
    client = {"service": service} | ({"caBundle": base64.b64encode(bundle).decode()} if bundle is not None else {})
    entries = [
        {"name": name, "clientConfig": deepcopy(client), "failurePolicy": policy, "rules": [{"resources": ["x"]}]}
        for name in names or ("admission.ringfence.dev",)
    ]
    return {"metadata": {"name": "ringfence", "resourceVersion": "1"}, "webhooks": entries}


class FakeKube:
    def __init__(self, **objects: dict[str, Any] | None) -> None:
        paths = {"secret": SECRET, "webhook": WEBHOOK}
        self.objects = {paths[name]: value for name, value in objects.items() if value is not None}
        self.writes: list[str] = []
        self.interfere: Any = None

    def data(self) -> dict[str, bytes]:
        return {name: base64.b64decode(value) for name, value in self.objects[SECRET]["data"].items()}

    def bundles(self) -> list[bytes]:
        entries = self.objects[WEBHOOK]["webhooks"]
        return [base64.b64decode(entry["clientConfig"].get("caBundle", "")) for entry in entries]

    async def get(self, path: str) -> dict[str, Any]:
        if path not in self.objects:
            raise NotFound(404, "NotFound", path)
        return deepcopy(self.objects[path])

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._before_write()
        full = f"{path}/{body['metadata']['name']}"
        if full in self.objects:
            raise Conflict(409, "AlreadyExists", full)
        self.objects[full] = deepcopy(body) | {"metadata": body["metadata"] | {"resourceVersion": "1"}}
        self.writes.append("create secret")
        return self.objects[full]

    async def replace(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._before_write()
        stored = self.objects[path]["metadata"]["resourceVersion"]
        if body["metadata"]["resourceVersion"] != stored:
            raise Conflict(409, "Conflict", path)
        metadata = body["metadata"] | {"resourceVersion": f"{int(stored) + 1}"}
        self.objects[path] = deepcopy(body) | {"metadata": metadata}
        self.writes.append("replace secret")
        return self.objects[path]

    async def json_patch(self, path: str, operations: list[dict[str, Any]]) -> dict[str, Any]:
        target = deepcopy(self.objects[path])
        for operation in operations:
            *parents, last = operation["path"].strip("/").split("/")
            at: Any = target
            for step in parents:
                at = at[int(step)] if isinstance(at, list) else at[step]
            if operation["op"] == "test" and at[last] != operation["value"]:
                raise ApiError(422, "Invalid", "the test failed")
            if operation["op"] == "add":
                at[last] = operation["value"]
        self.objects[path] = target
        self.writes.append("patch webhook")
        return target

    def _before_write(self) -> None:
        if self.interfere is not None:
            interfere, self.interfere = self.interfere, None
            interfere()
