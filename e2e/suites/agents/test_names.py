"""Services by their names, without DNS; and where DNS is open all the same."""

import json
from collections.abc import Callable, Iterator

import pytest

from cluster.shell import wait_for
from harness import agents
from harness.api import Api
from harness.kubectl import Kubectl, Object
from harness.manifests import NAMESPACE, TOOLS
from harness.probing import pod_of, probe

ASKED = "kubernetes.default.svc.cluster.local"
FOREIGN = "dns://example.com@203.0.113.53"
POLICY = "/apis/ringfence.dev/v1alpha1/agentpolicies/research"


@pytest.fixture(scope="module")
def dns(kubectl: Kubectl, examples: None) -> str:
    """A query to the cluster's own DNS, wherever a pod's resolver asks."""
    address = kubectl.get("service", "kube-dns", "-n", "kube-system")["spec"]["clusterIP"]
    return f"dns://{ASKED}@{address}:53"


def service(name: str, **spec: object) -> Object:
    """A Service of the ledger's pods."""
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": TOOLS},
        "spec": {"selector": {"app": "ledger"}, "ports": ports, **spec},
    }


def to(name: str) -> dict[str, list[Object]]:
    return {"egress": [{"service": {"name": name, "namespace": TOOLS, "port": 80}}]}


@pytest.fixture
def members(kubectl: Kubectl, examples: None) -> Iterator[str]:
    """A headless Service."""
    kubectl.apply(service("members", clusterIP="None"))
    yield "members"
    kubectl("delete", "service", "members", "-n", TOOLS)


def test_a_service_is_reached_by_name_without_dns(kubectl: Kubectl, dns: str) -> None:
    names = [f"https://{name}:8443/" for name in ("search.tools", "search.tools.svc", "search.tools.svc.cluster.local")]
    found = probe(kubectl, NAMESPACE, "deploy/ringfence-researcher", [*names, dns, FOREIGN])
    assert found == dict.fromkeys(names, "reachable") | {dns: "blocked", FOREIGN: "blocked"}
    assert probe(kubectl, NAMESPACE, "deploy/unfenced", [dns])[dns] == "reachable", "it is the fence that blocks"


def test_a_service_that_is_made_again_is_found_at_its_new_address(
    make: Callable[..., Object], api: Api, kubectl: Kubectl, dns: str
) -> None:
    target = "http://moving.tools/"
    kubectl.apply(service("moving"))
    try:
        name = make(network=to("moving"))["metadata"]["name"]
        agents.wait(api, NAMESPACE, name)
        pod, policy = f"deploy/ringfence-{name}", ("networkpolicy", f"ringfence-{name}-allow", "-n", NAMESPACE)
        assert probe(kubectl, NAMESPACE, pod, [target])[target] == "reachable"
        stood = kubectl.get(*policy)["spec"]
        before = kubectl.get("service", "moving", "-n", TOOLS)["spec"]["clusterIP"]
        kubectl("delete", "service", "moving", "-n", TOOLS)
        keeper = service("keeper") | {"spec": service("keeper")["spec"] | {"clusterIP": before}}
        kubectl.apply(keeper)  # so that the next one gets another address
        kubectl.apply(service("moving"))
        after = kubectl.get("service", "moving", "-n", TOOLS)["spec"]["clusterIP"]
        assert after != before

        def moved() -> bool:
            # Without a Service for a moment there may be a pod without a name: it has to be gone as well.
            aliases = [one["spec"].get("hostAliases") or [{}] for one in agents.pods(api, NAMESPACE, name)]
            return [first.get("ip") for first, *_ in aliases] == [after]

        wait_for("the new address in its pod", moved, timeout=120)
        agents.wait(api, NAMESPACE, name)
        found = probe(kubectl, NAMESPACE, pod, [target, dns])
        assert found == {target: "reachable", dns: "blocked"}
        assert kubectl.get(*policy)["spec"] == stood
    finally:
        for one in ("moving", "keeper"):
            kubectl("delete", "service", one, "-n", TOOLS, "--ignore-not-found")


def test_a_headless_service_opens_the_clusters_dns_and_no_other_resolver(
    make: Callable[..., Object], api: Api, kubectl: Kubectl, dns: str, members: str
) -> None:
    name = make(network=to(members))["metadata"]["name"]
    agents.wait(api, NAMESPACE, name, "NetworkPolicyApplied", says="headless: tools/members")
    agents.wait(api, NAMESPACE, name)
    pod = f"deploy/ringfence-{name}"
    target = f"http://members.{TOOLS}.svc.cluster.local:8080/"  # the pods' own port: nothing translates it
    wait_for("its name", lambda: probe(kubectl, NAMESPACE, pod, [target])[target] == "reachable")
    assert probe(kubectl, NAMESPACE, pod, [dns, FOREIGN]) == {dns: "reachable", FOREIGN: "blocked"}


def test_a_policy_refuses_dns_to_an_agent_of_a_headless_service(
    make: Callable[..., Object], api: Api, kubectl: Kubectl, dns: str, members: str
) -> None:
    name = make(network=to(members))["metadata"]["name"]
    agents.wait(api, NAMESPACE, name)
    api.patch(POLICY, {"spec": {"egress": {"dns": "Never"}}})
    try:
        agents.wait(api, NAMESPACE, name, "NetworkPolicyApplied", status="False", reason="DnsRefused", says=members)
        pod = f"deploy/ringfence-{name}"
        wait_for("DNS to close", lambda: probe(kubectl, NAMESPACE, pod, [dns], seconds=1)[dns] == "blocked")
    finally:
        api.patch(POLICY, {"spec": {"egress": {"dns": None}}})
    agents.wait(api, NAMESPACE, name)


def test_a_renamed_dns_is_found_by_its_service(
    make: Callable[..., Object], api: Api, kubectl: Kubectl, dns: str, members: str
) -> None:
    """The Service leads to pods of another name; nobody tells Ringfence."""
    system = "kube-system"
    renamed = json.loads(kubectl("get", "deployment", "coredns", "-n", system, "-o", "json"))
    labels = {"app": "names"}
    renamed["metadata"] = {"name": "names", "namespace": system, "labels": labels}
    renamed["spec"]["selector"] = {"matchLabels": labels}
    renamed["spec"]["template"]["metadata"] = {"labels": labels}
    renamed.pop("status")
    name = make(network=to(members))["metadata"]["name"]
    agents.wait(api, NAMESPACE, name)
    pod = f"deploy/ringfence-{name}"
    kubectl.apply(renamed)
    try:
        kubectl("rollout", "status", "deployment/names", "-n", system, "--timeout=120s", timeout=130)
        kubectl("patch", "--type=json", "service", "kube-dns", "-n", system, "-p", _selector(labels))
        wait_for("DNS", lambda: probe(kubectl, NAMESPACE, pod, [dns], seconds=1)[dns] == "reachable", timeout=150)
        egress = kubectl("get", "networkpolicy", f"ringfence-{name}-allow", "-n", NAMESPACE, "-o", "json")
        assert labels in [
            peer.get("podSelector", {}).get("matchLabels")
            for rule in json.loads(egress)["spec"]["egress"]
            for peer in rule["to"]
        ]
    finally:
        kubectl("patch", "--type=json", "service", "kube-dns", "-n", system, "-p", _selector({"k8s-app": "kube-dns"}))
        kubectl("delete", "deployment", "names", "-n", system)
    wait_for("DNS again", lambda: probe(kubectl, NAMESPACE, pod, [dns], seconds=1)[dns] == "reachable", timeout=150)
    assert pod_of(kubectl, system, "k8s-app=kube-dns")


def _selector(labels: dict[str, str]) -> str:
    return json.dumps([{"op": "replace", "path": "/spec/selector", "value": labels}])
