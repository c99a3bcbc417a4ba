"""An API server that holds a Secret and a webhook configuration, and remembers what was written in which order."""

import base64
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from unit.fakes.kube import FakeKube, Request

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


class Kube(FakeKube):
    """`interfere`: called once, before the next write of the Secret: somebody who is faster, or a crash."""

    def __init__(self, **objects: dict[str, Any] | None) -> None:
        super().__init__()
        paths = {"secret": SECRET, "webhook": WEBHOOK}
        for name, value in objects.items():
            if value is not None:
                self.cluster.put(paths[name], value)
        self.interfere: Callable[[], None] | None = None
        self.done: list[str] = []
        """What was done, in order: writes, and the pauses that the keeper makes."""
        self.before.append(self._interfere)
        self.after.append(self._note)

    def data(self) -> dict[str, bytes]:
        return {name: base64.b64decode(value) for name, value in self.objects[SECRET]["data"].items()}

    def bundles(self) -> list[bytes]:
        entries = self.objects[WEBHOOK]["webhooks"]
        return [base64.b64decode(entry["clientConfig"].get("caBundle", "")) for entry in entries]

    def _interfere(self, request: Request) -> None:
        if request.verb in {"create", "replace"} and self.interfere is not None:
            interfere, self.interfere = self.interfere, None
            interfere()

    def _note(self, request: Request) -> None:
        verbs = {"create": "create secret", "replace": "replace secret", "json_patch": "patch webhook"}
        if request.verb != "get":
            self.done.append(verbs[request.verb])
