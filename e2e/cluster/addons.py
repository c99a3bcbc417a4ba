"""What a fresh cluster gets before anybody uses it: DNS and volumes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import controlplane, programs
from .instance import Instance
from .shell import run

__all__ = ["install"]

PATIENCE = 180
"""Seconds for things that take two on a machine that has nothing else to do."""

VOLUMES = 8
"""Volumes of 1 GiB that claims can bind; there is no provisioner."""


def install(instance: Instance) -> None:
    """Apply DNS and volumes, and wait until the node is ready and DNS answers."""
    manifests = (programs.HERE / "manifests/dns.yaml").read_text()
    text = "\n---\n".join([manifests, *(json.dumps(item) for item in _storage(instance))])
    _kubectl(instance, "apply", "--server-side", "-f", "-", stdin=text)
    _kubectl(instance, "wait", "--for=create", "node/node0", f"--timeout={PATIENCE}s")
    _kubectl(instance, "wait", "--for=condition=Ready", "node/node0", f"--timeout={PATIENCE}s")
    controlplane.wait_default_account(instance)
    _kubectl(instance, "-n", "kube-system", "rollout", "status", "deployment/coredns", f"--timeout={PATIENCE}s")


def _kubectl(instance: Instance, *args: str, stdin: str | None = None) -> str:
    argv: list[str | Path] = [programs.tools() / "kubectl", *args]
    return run(argv, stdin=stdin, env=controlplane.environment(instance), timeout=PATIENCE + 30)


def _storage(instance: Instance) -> list[dict[str, Any]]:
    """A default StorageClass, and local volumes that live in the instance's folder."""
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "standard",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    return [storage_class, *(_volume(instance, number) for number in range(VOLUMES))]


def _volume(instance: Instance, number: int) -> dict[str, Any]:
    folder = instance.home / "volumes" / str(number)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)  # pods run as any user
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["node0"]}]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"volume-{number}"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "standard",
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
        },
    }
