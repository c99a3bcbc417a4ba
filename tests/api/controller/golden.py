"""What is stored for the spec FULL, held against manifests in a file: no code of the product judges."""

import json
from pathlib import Path
from typing import Any

import yaml

from api.controller.place import Place
from api.server import Server
from ringfence.kube import path_of

GOLDEN = Path(__file__).with_name("full.yaml")
PLURALS = {"NetworkPolicy": "networkpolicies"}
LABELS = {"app.kubernetes.io/managed-by": "ringfence", "ringfence.dev/agent": "a"}


def golden(place: Place) -> list[dict[str, Any]]:
    """The manifests, with what is this run's own in them."""
    assert not place.api_server(), "then the golden file needs the rule that opens the way to it"
    return list(yaml.safe_load_all(GOLDEN.read_text().replace("NAMESPACE", place.name)))


def as_written_down(place: Place) -> bool:
    """Whether agent `a` has exactly the children of the golden file. Fails with the first that differs."""
    uid = place.get("AgentDeployment", "a")["metadata"]["uid"]
    agent = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentDeployment", "name": "a", "uid": uid}
    owner = agent | {"controller": True, "blockOwnerDeletion": True}
    for wanted in golden(place):
        kind, name = wanted["kind"], wanted["metadata"]["name"]
        live = place.get(kind, name)
        owners = [owner]
        if kind == "Deployment":
            fence = place.get("NetworkPolicy", "ringfence-a-deny")["metadata"]["uid"]
            deny = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "name": "ringfence-a-deny"}
            owners.append(deny | {"uid": fence, "blockOwnerDeletion": True})
        assert live["metadata"]["ownerReferences"] == owners, f"{kind} {name}"
        assert live["metadata"]["labels"] == LABELS, f"{kind} {name}"
        assert set(wanted["metadata"].get("finalizers", [])) <= set(live["metadata"].get("finalizers", []))
        assert _content(live) == _content(_completed(place.server, wanted)), f"{kind} {name}: {json.dumps(live)}"
    return True


def _completed(server: Server, manifest: dict[str, Any]) -> dict[str, Any]:
    """With the API server's own defaults in it: what it would store in another namespace."""
    plural = PLURALS.get(manifest["kind"], f"{manifest['kind'].lower()}s")
    path = f"{path_of(manifest['apiVersion'], plural, 'default')}?dryRun=All&fieldValidation=Strict"
    answer = server.request("POST", path, json.dumps(manifest).encode())
    assert answer.ok, answer.message
    return answer.body


def _content(manifest: dict[str, Any]) -> dict[str, Any]:
    """Without what says which object this is, and how it fares."""
    found = {key: value for key, value in manifest.items() if key not in {"apiVersion", "kind", "metadata", "status"}}
    if manifest["kind"] == "Service":  # the address that it happened to get
        found["spec"] = {key: value for key, value in found["spec"].items() if key not in {"clusterIP", "clusterIPs"}}
    return found
