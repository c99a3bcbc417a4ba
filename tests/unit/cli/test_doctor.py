"""`ringfence doctor`: each thing that can be wrong is found, with what helps; what cannot be seen is unknown."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ringfence.api import AgentDeployment, AgentPolicy
from ringfence.api.names import AGENTS_ENABLED, AGENTS_LABEL, CEILING_CLUSTER_ROLE
from ringfence.api.schema import custom_resource_definition
from ringfence.cli.checks import CRDS, Seen, State, diagnose
from unit.cli.fake import Cluster

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
WELL = Seen(
    version="v1.36.0",
    crds=dict.fromkeys(CRDS, True),
    leads=True,
    leader="controller-0 leads",
    webhook=True,
    certificate_ends=NOW + timedelta(days=60),
    addresses=2,
    canaries=2,
    floor=["ringfence-floor"],
    requester=True,
    daemon_sets=["cilium"],
    dns_pods=2,
    ceiling=True,
    namespaces=[{"metadata": {"labels": {AGENTS_LABEL: AGENTS_ENABLED}}}],
)


def test_all_is_well() -> None:
    assert {one.state for one in diagnose(WELL, NOW)} == {State.OK}
    assert not any(one.fix for one in diagnose(WELL, NOW))


@pytest.mark.parametrize(
    ("change", "check", "state", "words"),
    [
        ({"version": "v1.30.4"}, "kubernetes", "wrong", "upgrade the cluster"),
        ({"version": "odd"}, "kubernetes", "unknown", "kubectl version"),
        ({"crds": {}}, "crds", "wrong", "ringfence crds | kubectl apply"),
        ({"crds": dict.fromkeys(CRDS, False)}, "crds", "warning", "helm upgrade ringfence-crds"),
        ({"leads": False, "leader": "NOBODY LEADS"}, "controller", "wrong", "kubectl get pods"),
        ({"leads": None, "leader": "hidden"}, "controller", "unknown", "--lease"),
        ({"webhook": False}, "webhook", "wrong", "helm upgrade ringfence"),
        ({"addresses": 0}, "webhook", "wrong", "kubectl get pods"),
        ({"certificate_ends": None}, "certificates", "wrong", "deploy/ringfence-controller"),
        ({"certificate_ends": NOW - timedelta(1)}, "certificates", "wrong", "rollout restart"),
        ({"certificate_ends": NOW + timedelta(1)}, "certificates", "warning", "2026-05-02"),
        ({"canaries": 0}, "canary", "wrong", "component=canary"),
        ({"canaries": 1}, "canary", "warning", "component=canary"),
        ({"floor": []}, "floor", "warning", "ringfence floor --manifests"),
        ({"requester": False}, "requester", "warning", "Kubernetes 1.36"),
        ({"ceiling": False}, "grants", "wrong", "helm upgrade ringfence"),
        ({"daemon_sets": ["kube-flannel-ds"]}, "network", "wrong", "drops no packet"),
        ({"daemon_sets": ["kube-flannel-ds", "calico-node"]}, "network", "ok", "Calico"),
        ({"daemon_sets": ["mine"]}, "network", "unknown", "ringfence verify"),
        ({"dns_pods": 0, "dns": "kube-system/k8s-app=kube-dns"}, "dns", "wrong", "k8s-app=kube-dns"),
        ({"dns_pods": 0}, "dns", "wrong", "dns.service=NAMESPACE/NAME"),
        ({"daemon_sets": ["cilium", "node-local-dns"], "node_local": True}, "dns", "ok", "2 DNS pods"),
        ({"cilium": {}, "api_server_on_nodes": ["192.0.2.1"]}, "api-server", "wrong", "policyCIDRMatchMode=nodes"),
        ({"cilium": {"policy-cidr-match-mode": "nodes"}, "api_server_on_nodes": ["192.0.2.1"]}, "api-server", "ok", ""),
        ({"cilium": {}}, "api-server", "ok", "outside of the nodes"),
        ({"daemon_sets": ["cilium", "node-local-dns"]}, "dns", "warning", "node-local-dns"),
        ({"namespaces": []}, "namespaces", "warning", "kubectl label namespace"),
        ({"ceiling": False, "hidden": {"grants": "you cannot get x"}}, "grants", "unknown", "you cannot get x"),
    ],
)
def test_each_thing_that_is_wrong(change: dict[str, Any], check: str, state: str, words: str) -> None:
    (found,) = [one for one in diagnose(replace(WELL, **change), NOW) if one.name == check]
    assert found.state == state
    assert words in f"{found.message} {found.fix}"
    assert found.fix or found.state == "ok"


def certificate(ends: datetime) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ca")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(ends - timedelta(days=90)).not_valid_after(ends)
    pem = made.sign(key, hashes.SHA256()).public_bytes(encoding=serialization.Encoding.PEM)
    return base64.b64encode(pem).decode()


def install(kube: Cluster) -> None:
    """What the charts and the controller leave in a cluster."""
    kube.put_namespace()
    for model in (AgentDeployment, AgentPolicy):
        kube.put("apiextensions.k8s.io/v1", "customresourcedefinitions", custom_resource_definition(model))
    service = {"name": "ringfence-admission", "namespace": "ringfence-system"}
    client = {"service": service, "caBundle": certificate(NOW + timedelta(days=60))}
    hook = {
        "metadata": {"name": "ringfence"},
        "webhooks": [{"name": "admission.ringfence.dev", "clientConfig": client}],
    }
    kube.put("admissionregistration.k8s.io/v1", "validatingwebhookconfigurations", hook)
    labels = {"kubernetes.io/service-name": "ringfence-admission"}
    endpoints = [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}]
    slice_of = {"name": "x", "namespace": "ringfence-system", "labels": labels}
    kube.put("discovery.k8s.io/v1", "endpointslices", {"metadata": slice_of, "endpoints": endpoints})
    labels = {"app.kubernetes.io/component": "canary"}
    canaries = {"name": "y", "namespace": "ringfence-system", "labels": labels}
    endpoints = [{"addresses": [one], "conditions": {"ready": True}} for one in ("10.0.0.2", "10.0.0.3")]
    kube.put("discovery.k8s.io/v1", "endpointslices", {"metadata": canaries, "endpoints": endpoints})
    floor = {"metadata": {"name": "ringfence-floor"}}
    kube.put("admissionregistration.k8s.io/v1", "validatingadmissionpolicies", floor)
    recorder = {"metadata": {"name": "ringfence-guard-requester"}}
    kube.put("admissionregistration.k8s.io/v1", "mutatingadmissionpolicies", recorder)
    kube.put("apps/v1", "daemonsets", {"metadata": {"name": "cilium", "namespace": "kube-system"}})
    dns = {"metadata": {"name": "dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}}}
    kube.put("v1", "pods", dns)
    kube.put("rbac.authorization.k8s.io/v1", "clusterroles", {"metadata": {"name": CEILING_CLUSTER_ROLE}})
    lease = {"holderIdentity": "controller-0", "renewTime": "2026-05-01T11:59:58.000000Z"}
    place = {"name": "ringfence-controller", "namespace": "ringfence-system"}
    kube.put("coordination.k8s.io/v1", "leases", {"metadata": place, "spec": lease})


def checks(kube: Cluster, monkeypatch: pytest.MonkeyPatch, code: int) -> dict[str, str]:
    read = kube.get

    async def get(path: str) -> Any:
        return {"gitVersion": "v1.36.0"} if path == "/version" else await read(path)

    monkeypatch.setattr(kube, "get", get)
    shown = kube.run(monkeypatch, "doctor", "-o", "json")
    assert shown.exit_code == code, shown.output
    return {one["check"]: one["state"] for one in json.loads(shown.stdout)["checks"]}


def test_what_the_cluster_has_is_looked_at(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    install(kube)
    found = checks(kube, monkeypatch, 0)
    assert set(found.values()) == {"ok"}, found
    kube.put("admissionregistration.k8s.io/v1", "mutatingadmissionpolicies", {"metadata": {"name": "another"}})
    kube.answer(403, path="/apis/apps/v1/daemonsets")
    assert checks(kube, monkeypatch, 0)["network"] == "unknown"
    shown = kube.run(monkeypatch, "doctor")
    assert "unknown  network: you may not see it" in shown.stdout


def test_cilium_leaves_nodes_out_until_it_is_told(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    install(kube)
    assert "api-server" not in checks(kube, monkeypatch, 0)
    crd = {"metadata": {"name": "ciliumnetworkpolicies.cilium.io"}, "spec": {"names": {"kind": "CiliumNetworkPolicy"}}}
    kube.put("apiextensions.k8s.io/v1", "customresourcedefinitions", crd)
    assert checks(kube, monkeypatch, 0)["api-server"] == "ok", "the API server is on no node"
    labels = {"kubernetes.io/service-name": "kubernetes"}
    own = {"metadata": {"name": "kubernetes", "namespace": "default", "labels": labels}}
    kube.put("discovery.k8s.io/v1", "endpointslices", {**own, "endpoints": [{"addresses": ["192.0.2.1"]}]})
    node = {"addresses": [{"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": "192.0.2.1"}]}
    kube.put("v1", "nodes", {"metadata": {"name": "n"}, "status": node})
    assert checks(kube, monkeypatch, 1)["api-server"] == "wrong"
    place = {"name": "cilium-config", "namespace": "kube-system"}
    kube.put("v1", "configmaps", {"metadata": place, "data": {"policy-cidr-match-mode": "nodes"}})
    assert checks(kube, monkeypatch, 0)["api-server"] == "ok"


def test_a_renamed_dns_is_found_by_its_service(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    install(kube)
    service = {"metadata": {"name": "kube-dns", "namespace": "kube-system"}}
    ports = [{"port": 53, "protocol": "UDP", "targetPort": 5353}]
    kube.put("v1", "services", {**service, "spec": {"selector": {"app": "dns"}, "ports": ports}})
    assert checks(kube, monkeypatch, 1)["dns"] == "wrong"
    pod = {"metadata": {"name": "own", "namespace": "kube-system", "labels": {"app": "dns"}}}
    kube.put("v1", "pods", pod)
    assert checks(kube, monkeypatch, 0)["dns"] == "ok"


def test_an_older_crd_and_a_missing_webhook_are_seen(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    install(kube)
    older = custom_resource_definition(AgentDeployment)
    del older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["env"]
    kube.put("apiextensions.k8s.io/v1", "customresourcedefinitions", older)
    hook = {"metadata": {"name": "ringfence"}, "webhooks": []}
    kube.put("admissionregistration.k8s.io/v1", "validatingwebhookconfigurations", hook)
    found = checks(kube, monkeypatch, 1)
    assert (found["crds"], found["webhook"]) == ("warning", "wrong")
