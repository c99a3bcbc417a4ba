"""The fence in packets, beyond what the demo shows."""

import json
from collections.abc import Callable

import pytest

from cluster.errors import ClusterError
from cluster.shell import wait_for
from demo.narrative import ANYBODY
from harness import agents
from harness.api import Api
from harness.kubectl import Kubectl, Object
from harness.manifests import NAMESPACE, TOOLS
from harness.probing import LLM, pod_of, pods_of, probe


def listener(make: Callable[..., Object], api: Api) -> str:
    """An agent that listens on two ports and opens one of them to the console; its pod's address."""
    made = make(
        args=["echo", "-tcp", ":7", "-http", ":8080"],
        ports=[{"name": "open", "port": 8080}, {"name": "closed", "port": 7}],
        health={"path": "/", "port": "open"},
        network={"ingress": [{"from": {"namespace": TOOLS, "podLabels": {"app": "console"}}, "port": "open"}]},
    )
    name = made["metadata"]["name"]
    agents.wait(api, NAMESPACE, name)  # Ready: so the kubelet's probe of the same port passes the fence
    return str(agents.pods(api, NAMESPACE, name)[0]["status"]["podIP"])


def test_ingress_is_open_for_the_named_peer_on_the_named_port_alone(
    make: Callable[..., Object], api: Api, kubectl: Kubectl
) -> None:
    address = listener(make, api)
    opened, closed = f"http://{address}:8080/", f"tcp://{address}:7"
    named = probe(kubectl, TOOLS, "deploy/console", [opened, closed])
    assert named == {opened: "reachable", closed: "blocked"}
    for namespace, pod in (
        (TOOLS, "deploy/ledger"),
        (NAMESPACE, "deploy/unfenced"),
        (NAMESPACE, "deploy/ringfence-panel"),
    ):
        assert probe(kubectl, namespace, pod, [opened, closed]) == {opened: "blocked", closed: "blocked"}, pod


def test_a_peer_of_the_right_labels_in_another_namespace_is_not_the_named_one(
    make: Callable[..., Object], api: Api, kubectl: Kubectl
) -> None:
    address = f"http://{listener(make, api)}:8080/"
    kubectl("label", "pods", "-n", NAMESPACE, "-l", "app=unfenced", "app=console", "--overwrite")
    try:
        peers = pods_of(kubectl, NAMESPACE, "app=console")
        assert peers
        assert probe(kubectl, TOOLS, "deploy/console", [address])[address] == "reachable", "the named one gets there"
        for pod in peers:
            assert probe(kubectl, NAMESPACE, pod["metadata"]["name"], [address])[address] == "blocked"
    finally:
        kubectl("delete", "pods", "-n", NAMESPACE, "-l", "app=console", "--grace-period=1")
        kubectl("rollout", "status", "deploy/unfenced", "-n", NAMESPACE, "--timeout=120s", timeout=130)


def test_udp_does_not_pass_where_tcp_is_allowed(
    make: Callable[..., Object], api: Api, kubectl: Kubectl, examples: None
) -> None:
    """The rule opens the very port that is tried: only the protocol makes the difference."""
    tcp, udp = f"tcp://{LLM}:7", f"udp://{LLM}:7"
    name = make(network={"egress": [{"cidr": f"{LLM}/32", "ports": [7]}]})["metadata"]["name"]
    agents.wait(api, NAMESPACE, name)
    assert probe(kubectl, NAMESPACE, "deploy/unfenced", [tcp, udp]) == {tcp: "reachable", udp: "reachable"}
    assert probe(kubectl, NAMESPACE, f"deploy/ringfence-{name}", [tcp, udp]) == {tcp: "reachable", udp: "blocked"}


def only_pod(api: Api, name: str) -> None:
    """Wait until the pods of before, which know other names, are gone."""
    wait_for("one pod", lambda: len(agents.pods(api, NAMESPACE, name)) == 1)


def test_the_way_closes_when_the_rule_goes(make: Callable[..., Object], api: Api, kubectl: Kubectl) -> None:
    rule = {"cidr": f"{LLM}/32", "ports": [443]}
    name = make(network={"egress": [rule]})["metadata"]["name"]
    agents.wait(api, NAMESPACE, name)
    target, pod = f"https://{LLM}/", f"deploy/ringfence-{name}"
    assert probe(kubectl, NAMESPACE, pod, [target])[target] == "reachable"
    api.patch(agents.agent_path(NAMESPACE, name), {"spec": {"network": {"egress": []}}})
    wait_for(
        "the way to close", lambda: probe(kubectl, NAMESPACE, pod, [target], seconds=1)[target] == "blocked", timeout=30
    )


def test_a_node_that_joins_inside_of_an_open_network_is_out_of_reach(
    make: Callable[..., Object], api: Api, kubectl: Kubectl
) -> None:
    """A node on paper takes the address of the LLM. The rest of the network stays open, and the agent runs on."""
    name = make(network={"egress": [{"cidr": "203.0.113.0/28", "ports": [443]}]})["metadata"]["name"]
    agents.wait(api, NAMESPACE, name)
    target, pod = f"https://{LLM}/", f"deploy/ringfence-{name}"
    assert probe(kubectl, NAMESPACE, pod, [target])[target] == "reachable"
    running = [one["metadata"]["uid"] for one in agents.pods(api, NAMESPACE, name)]
    kubectl.apply(
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "late"}, "spec": {"unschedulable": True}},
    )
    try:
        addresses = json.dumps({"status": {"addresses": [{"type": "InternalIP", "address": LLM}]}})
        kubectl("patch", "node", "late", "--subresource=status", "--type=merge", "-p", addresses)
        wait_for("out of reach", lambda: probe(kubectl, NAMESPACE, pod, [target], seconds=1)[target] == "blocked")
        agents.wait(api, NAMESPACE, name, "Accepted", status="False", reason="Refused")
        assert [one["metadata"]["uid"] for one in agents.pods(api, NAMESPACE, name)] == running
    finally:
        kubectl("delete", "node", "late")
    wait_for("open again", lambda: probe(kubectl, NAMESPACE, pod, [target], seconds=1)[target] == "reachable")
    for agent in (name, "nightly"):  # which asks for that address
        agents.wait(api, NAMESPACE, agent)


def test_a_service_that_comes_later_is_opened_then(make: Callable[..., Object], api: Api, kubectl: Kubectl) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "latecomer", "namespace": TOOLS},
        "spec": {"selector": {"app": "ledger"}, "ports": [{"port": 80, "targetPort": "http"}]},
    }
    name = make(network={"egress": [{"service": {"name": "latecomer", "namespace": TOOLS, "port": 80}}]})["metadata"][
        "name"
    ]
    agents.wait(api, NAMESPACE, name, "NetworkPolicyApplied", status="False", reason="ServiceNotFound")
    agents.wait(api, NAMESPACE, name, "WorkloadAvailable")
    kubectl.apply(service)
    try:
        agents.wait(api, NAMESPACE, name)
        target = "http://latecomer.tools.svc.cluster.local/"
        kubectl("rollout", "status", f"deploy/ringfence-{name}", "-n", NAMESPACE, "--timeout=120s", timeout=130)
        only_pod(api, name)
        assert probe(kubectl, NAMESPACE, f"deploy/ringfence-{name}", [target])[target] == "reachable"
        ledger = pod_of(kubectl, TOOLS, "app=ledger")["status"]["podIP"]
        other = f"tcp://{ledger}:9"
        assert probe(kubectl, NAMESPACE, f"deploy/ringfence-{name}", [other])[other] == "blocked"
    finally:
        kubectl("delete", "service", "latecomer", "-n", TOOLS)


def test_an_agent_reaches_another_by_its_service_where_both_say_so(
    make: Callable[..., Object], api: Api, kubectl: Kubectl
) -> None:
    """The Service alone opens nothing; nor does the word of one of the two."""
    ports = [{"name": "panel", "port": 8080}, {"name": "other", "port": 7}]
    called = make(args=["echo", "-tcp", ":7", "-http", ":8080"], ports=ports)["metadata"]["name"]
    service = agents.wait(api, NAMESPACE, called)["status"]["service"]
    rule = {"service": {"name": service, "port": 8080}}
    caller = make(network={"egress": [rule]})["metadata"]["name"]
    agents.wait(api, NAMESPACE, caller)
    silent = make()["metadata"]["name"]
    agents.wait(api, NAMESPACE, silent)
    address = api.get(f"/api/v1/namespaces/{NAMESPACE}/services/{service}")["spec"]["clusterIP"]
    panel, other = f"http://{address}:8080/", f"tcp://{address}:7"
    pods = {name: f"deploy/ringfence-{name}" for name in (caller, silent)} | {"unfenced": "deploy/unfenced"}
    for name, pod in pods.items():
        assert set(probe(kubectl, NAMESPACE, pod, [panel, other]).values()) == {"blocked"}, f"{name}: nobody is let in"
    peers = [{"from": {"podLabels": {"ringfence.dev/agent": name}}, "port": "panel"} for name in (caller, silent)]
    api.patch(agents.agent_path(NAMESPACE, called), {"spec": {"network": {"ingress": peers}}})
    wait_for("the way in", lambda: probe(kubectl, NAMESPACE, pods[caller], [panel], seconds=1)[panel] == "reachable")
    by_name = f"http://{service}.{NAMESPACE}.svc.cluster.local:8080/"
    found = probe(kubectl, NAMESPACE, pods[caller], [by_name, other])
    assert found == {by_name: "reachable", other: "blocked"}
    for name in (silent, "unfenced"):  # the one may not go out, the other is not let in
        assert set(probe(kubectl, NAMESPACE, pods[name], [panel, other]).values()) == {"blocked"}, name


def test_a_label_opens_nothing_where_guards_are_and_is_told_where_not(
    make: Callable[..., Object], api: Api, kubectl: Kubectl
) -> None:
    """A policy of somebody's that opens all pods with a label: first there, then not to be made any more."""
    policy, labels = "/apis/ringfence.dev/v1alpha1/agentpolicies/research", {"team": "web"}
    opening: Object = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "open-web", "namespace": NAMESPACE},
        "spec": {"podSelector": {"matchLabels": labels}, "policyTypes": ["Egress"], "egress": [{}]},
    }
    target = f"tcp://{LLM}:7"
    kubectl.apply(opening)
    with pytest.raises(Exception, match="MarkAbovePolicy"):
        make(podLabels=labels)
    api.patch(policy, {"spec": {"pods": {"labels": [{"key": "team"}]}}})
    try:
        name = make(podLabels=labels)["metadata"]["name"]
        agents.wait(api, NAMESPACE, name, "FenceWidened", reason="ForeignPolicy", says="open-web")
        agents.wait(api, NAMESPACE, name, "WorkloadAvailable", status="False", says="waits for its fence")
        pod = f"deploy/ringfence-{name}"
        assert "still answers" in kubectl("logs", pod, "-n", NAMESPACE, "-c", "ringfence-gate"), "so it matters"
        kubectl("delete", "networkpolicy", "open-web", "-n", NAMESPACE)
        agents.wait(api, NAMESPACE, name)
        wait_for("closed", lambda: probe(kubectl, NAMESPACE, pod, [target], seconds=1)[target] == "blocked")
        wait_for("no such policy any more", lambda: "guard-labels" in _refusal(kubectl, opening))
        assert probe(kubectl, NAMESPACE, pod, [target])[target] == "blocked"
    finally:
        api.patch(policy, {"spec": {"pods": None}})
        kubectl("delete", "networkpolicy", "open-web", "-n", NAMESPACE, "--ignore-not-found")


def _refusal(kubectl: Kubectl, manifest: Object) -> str:
    """What is said to somebody with all rights; the guards of this cluster do not hold its own administrator."""
    try:
        kubectl("create", "--dry-run=server", "-f", "-", *ANYBODY, stdin=json.dumps(manifest))
    except ClusterError as refused:
        return str(refused)
    return ""
