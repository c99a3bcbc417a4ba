"""What the API server stores, with its defaults, is what Python reads and writes."""

from typing import Any

import pytest

from api.parity import KINDS, Parity
from api.samples import agent, documents, policy, read
from ringfence.api import parse

VALID = [pytest.param(read(text), id=name) for name, text in documents("valid")]


@pytest.mark.parametrize("manifest", VALID)
def test_the_stored_object_is_pythons_dump(parity: Parity, manifest: dict[str, Any]) -> None:
    stored = parity.answer(manifest).body["spec"]
    spec = KINDS[manifest["kind"]][1]
    value = parse(spec, manifest["spec"]).value
    assert value is not None
    assert value.manifest() == stored
    assert parse(spec, stored).value == value, "reading back what was stored changes it"


def test_defaults_are_the_most_restrictive(parity: Parity) -> None:
    stored = parity.answer(agent()).body["spec"]
    del stored["image"]
    assert stored == {
        "imageSignatures": [],
        "command": [],
        "args": [],
        "env": [],
        "envFrom": [],
        "files": [],
        "resources": {"requests": {}, "limits": {}},
        "replicas": 1,
        "suspended": False,
        "ports": [],
        "probes": [],
        "scratch": [],
        "volumes": [],
        "devices": [],
        "initContainers": [],
        "sidecars": [],
        "imagePullSecrets": [],
        "podLabels": {},
        "podAnnotations": {},
        "permissions": {"level": "ReadOnly", "rules": [], "clusterReads": []},
        "secrets": [],
        "network": {"egress": [], "ingress": []},
    }
    assert parity.answer(policy()).body["spec"] == {
        "namespaceSelector": {"matchLabels": {}, "matchExpressions": []},
        "permissions": {"maxLevel": "ReadOnly", "namespaces": [], "clusterReads": [], "customResources": []},
        "egress": {
            "hosts": [],
            "tunnel": [],
            "unkeyed": [],
            "cidrs": [],
            "serviceNamespaces": [],
            "dns": "WhereNeeded",
            "maxPublicAddresses": 65536,
        },
        "ingress": {},
        "images": {"registries": ["*"], "requireDigest": True, "attestations": []},
        "sandbox": {},
        "pods": {
            "users": [],
            "nodeLabels": [],
            "tolerations": [],
            "priorityClassNames": [],
            "devices": [],
            "claims": [],
            "topologyKeys": [],
            "labels": [],
            "annotations": [],
            "maxGracePeriod": "30s",
        },
        "identity": {"annotations": [], "audiences": []},
        "connections": {"groups": []},
        "secrets": {"maxAge": "720h", "allowNever": False},
        "onOrphans": "Stop",
        "onRepeatedEdits": "Stop",
        "existing": "Report",
        "limits": {"perAgent": {}},
    }
