"""`ringfence doctor` on a real API server: Cilium by its CRD, and what that has to do with the API server's address."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from cluster import Cluster

CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ciliumnetworkpolicies.cilium.io}
spec:
  group: cilium.io
  scope: Namespaced
  names: {kind: CiliumNetworkPolicy, plural: ciliumnetworkpolicies, singular: ciliumnetworkpolicy}
  versions:
    - name: v2
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cilium-config", "namespace": "kube-system"}}
NODE = "doctor"
ADDRESS = "192.0.2.10"
SLICE: dict[str, Any] = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": {"name": NODE, "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"}},
    "addressType": "IPv4",
    "endpoints": [{"addresses": [ADDRESS]}],
    "ports": [{"name": "https", "port": 6443}],
}


@pytest.fixture
def cilium(cluster: Cluster) -> Iterator[Cluster]:
    """Cilium's CRD and settings, and a node on paper with an address of the API server, whose own is loopback here."""
    cluster.apply(CRD, SLICE, CONFIG | {"data": {"policy-cidr-match-mode": ""}})
    cluster.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}, "spec": {"unschedulable": True}})
    status = json.dumps({"status": {"addresses": [{"type": "InternalIP", "address": ADDRESS}]}})
    cluster.kubectl("patch", "node", NODE, "--subresource=status", "--type=merge", "-p", status)
    yield cluster
    cluster.kubectl("delete", "node", NODE)
    cluster.kubectl("delete", "endpointslice", NODE, "-n", "default")
    cluster.kubectl("delete", "configmap", "cilium-config", "-n", "kube-system")
    cluster.kubectl("delete", "crd", "ciliumnetworkpolicies.cilium.io")


def check(cluster: Cluster, name: str) -> dict[str, Any] | None:
    """What doctor says about one thing; None: nothing."""
    argv = [sys.executable, "-m", "ringfence", "doctor", "-o", "json", "--kubeconfig", str(cluster.kubeconfig)]
    done = subprocess.run(argv, capture_output=True, text=True, env=os.environ, check=False, timeout=150)
    found = json.loads(done.stdout)["checks"]
    return next((one for one in found if one["check"] == name), None)


def test_what_cilium_is_to_be_told(cilium: Cluster) -> None:
    found = check(cilium, "api-server")
    assert found is not None
    assert found["state"] == "wrong"
    assert "policyCIDRMatchMode=nodes" in found["fix"]
    cilium.apply(CONFIG | {"data": {"policy-cidr-match-mode": "nodes"}})
    told = check(cilium, "api-server")
    assert told is not None
    assert told["state"] == "ok"


def test_without_cilium_nothing_is_said(cluster: Cluster) -> None:
    assert check(cluster, "api-server") is None
