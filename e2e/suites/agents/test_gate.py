"""A network plugin that is late: without the gate an attack in a pod's first second passes, with it none ever does."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest

from cluster.shell import wait_for
from harness import agents
from harness.api import Api
from harness.environment import Environment
from harness.kubectl import Kubectl, Object
from harness.probing import ELSEWHERE

ATTACK = ["probe", "-expect", "any", f"tcp://{ELSEWHERE}:7", f"udp://{ELSEWHERE}:7", f"https://{ELSEWHERE}/"]
"""The first and the last that the program does."""
SEVERAL, ROUNDS = 3, 15
GATE = "ringfence-gate"
Make = Callable[[Object], str]


@pytest.fixture(scope="module")
def late(environment: Environment) -> Iterator[Environment]:
    """For a new pod, policies take effect three seconds after its start."""
    assert environment.cluster
    environment.cluster.set_network_policy("late")
    yield environment
    environment.cluster.set_network_policy("enforce")


@pytest.fixture
def place(kubectl: Kubectl) -> Iterator[str]:
    """A namespace for agents and for what is no agent, where all pods are under a policy that drops everything."""
    name = f"late-{uuid4().hex[:6]}"
    labels = {"ringfence.dev/agents": "enabled"}
    kubectl.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}},
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "all", "namespace": name},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
        },
    )
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def bare(kubectl: Kubectl, place: str, image: str, name: str) -> None:
    locked = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "bare", "image": image, "args": ATTACK, "securityContext": locked}
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"restartPolicy": "Never", "securityContext": security, "containers": [container]}
    kubectl.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": place}, "spec": spec})


def agent(api: Api, place: str, image: str, name: str, **spec: Any) -> None:
    body = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentDeployment", "metadata": {"name": name}}
    api.create(agents.agent_path(place), body | {"spec": {"image": image, "args": ATTACK, **spec}})


def ended(kubectl: Kubectl, place: str, selector: str) -> list[Object]:
    """Pods, once all of them have ended."""

    def look() -> list[Object]:
        found = kubectl.items("pods", "-n", place, *selector.split())
        assert found, selector
        assert {one["status"].get("phase") for one in found} <= {"Succeeded", "Failed"}, [
            one["status"] for one in found
        ]
        return found

    return wait_for(f"the pods {selector} to have ended", look, timeout=300) or []


def verdicts(kubectl: Kubectl, place: str, pod: Mapping[str, Any], container: str) -> set[str]:
    told = kubectl("logs", "-n", place, pod["metadata"]["name"], "-c", container)
    found = {line["target"]: line["verdict"] for line in map(json.loads, told.splitlines())}
    assert len(found) == len(ATTACK) - 3, told
    return set(found.values())


def test_without_the_gate_a_pods_first_second_is_open_and_with_it_never(
    late: Environment, place: str, kubectl: Kubectl, api: Api
) -> None:
    """A round counts when the network was late for both: on a busy machine a container may begin after that."""
    counted = 0
    for number in range(ROUNDS):
        agent(api, place, late.testbox, f"a{number}", run={"mode": "Job"})
        bare(kubectl, place, late.testbox, f"bare-{number}")
        (unfenced,) = ended(kubectl, place, f"--field-selector metadata.name=bare-{number}")
        (fenced,) = ended(kubectl, place, f"-l ringfence.dev/agent=a{number}")
        assert verdicts(kubectl, place, fenced, "agent") == {"blocked"}
        said = kubectl("logs", "-n", place, fenced["metadata"]["name"], "-c", GATE).splitlines()
        assert said[-1].startswith("the fence stands"), said
        passed = "reachable" in verdicts(kubectl, place, unfenced, "bare")
        counted += passed and " still answers, so this node does not enforce" in said[1]
        if counted == SEVERAL:
            return
    raise AssertionError(f"the network was late in {counted} of {ROUNDS} rounds")


def test_while_nothing_is_enforced_no_agent_starts_and_its_status_says_why(
    late: Environment, place: str, kubectl: Kubectl, api: Api
) -> None:
    assert late.cluster
    late.cluster.set_network_policy("ignore")
    try:
        agent(api, place, late.testbox, "waits", args=["agent"])
        agents.wait(api, place, "waits", status="False", reason="Unavailable", says=f"-c {GATE}")
        (pod,) = agents.pods(api, place, "waits")
        assert "running" in pod["status"]["initContainerStatuses"][0]["state"]
        assert all("running" not in one["state"] for one in pod["status"]["containerStatuses"])
    finally:
        late.cluster.set_network_policy("late")
    agents.wait(api, place, "waits")


def test_an_agent_that_others_let_out_does_not_start(
    environment: Environment, place: str, kubectl: Kubectl, api: Api
) -> None:
    """By a policy that its namespace's editor wrote, had the guards let him."""
    admin = "--as=ringfence-admin", "--as-group=system:masters"
    spec = {"podSelector": {"matchLabels": {"ringfence.dev/agent": "out"}}, "policyTypes": ["Egress"], "egress": [{}]}
    metadata = {"name": "open", "namespace": place}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
    kubectl("apply", *admin, "-f", "-", stdin=json.dumps(policy))
    agent(api, place, environment.testbox, "out", args=["agent"])
    agents.wait(api, place, "out", status="False", reason="FenceWidened")
    agents.wait(
        api, place, "out", "WorkloadAvailable", status="False", reason="Unavailable", says="waits for its fence"
    )
    kubectl("delete", *admin, "networkpolicy", "open", "-n", place)
    agents.wait(api, place, "out")
