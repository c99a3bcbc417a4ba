"""Pods and objects that lost their agent or their owner reach nothing, and are told."""

from cluster.shell import wait_for
from harness import metrics
from harness.api import Api
from harness.kubectl import Kubectl
from harness.manifests import NAMESPACE
from harness.probing import LLM
from suites.attacks.agent import OPEN, Agent, path
from suites.attacks.conftest import Make
from suites.attacks.packets import MOMENT, no_longer_than, nothing, trying
from suites.attacks.people import People

EGRESS = {"egress": [{"cidr": f"{LLM}/32", "ports": [443]}]}


def _replicas(agent: Agent) -> int:
    number: int = agent.api.get(agent.workload)["spec"]["replicas"]
    return number


def _left(api: Api) -> float:
    return metrics.total(api, "ringfence_orphaned_objects", namespace=NAMESPACE)


def test_an_agent_that_is_deleted_without_its_children(
    make: Make, people: People, kubectl: Kubectl, closed: list[str]
) -> None:
    agent, ed = make(network=EGRESS), people("ed")
    with trying(kubectl, agent, closed) as stream:
        people("dev").call("DELETE", f"{agent.at}?propagationPolicy=Orphan")
        wait_for("the agent to be gone", lambda: agent.api.find(agent.at) is None)
        ed.request("PATCH", agent.allow, b'{"spec":{"egress":[{}]}}', "application/merge-patch+json")
        wait_for("its allow policy to be gone", lambda: agent.api.find(agent.allow) is None)
    no_longer_than(MOMENT, stream)
    wait_for("no pods", lambda: _replicas(agent) == 0 and agent.stopped())
    wait_for("it is counted", lambda: _left(agent.api) >= 3)
    agent.wait_event("Orphaned", f"AgentDeployment {agent.name} is not there")

    ed.patch(agent.workload, {"spec": {"replicas": 1}})
    wait_for("no pods again", lambda: _replicas(agent) == 0 and agent.stopped())
    ed.patch(agent.deny, OPEN)
    wait_for("the opened policy to be gone", lambda: agent.api.find(agent.deny) is None)
    for at in agent.specs:
        agent.api.delete(at)
    wait_for("nothing is left", lambda: _left(agent.api) == 0)


def test_a_pod_whose_replicaset_lost_its_owner(make: Make, people: People, kubectl: Kubectl, closed: list[str]) -> None:
    """It reaches what its agent may reach, for as long as there is an agent; then nothing."""
    agent = make(network=EGRESS)
    (replica_set,) = kubectl.items("replicasets", "-n", NAMESPACE, "-l", f"ringfence.dev/agent={agent.name}")
    at, pod, target = path("replicasets", replica_set["metadata"]["name"]), agent.pod_name(), f"tcp://{LLM}:443"
    with trying(kubectl, agent, [target, *closed]) as stream:
        labels = dict.fromkeys(replica_set["metadata"]["labels"])
        people("ed").patch(at, {"metadata": {"labels": labels, "ownerReferences": None}})
        wait_for("a second pod", lambda: len(agent.pods()) == 2)
        people("dev").delete(agent.at)
        wait_for("the agent's own policies to be gone", lambda: agent.api.find(agent.deny) is None, timeout=180)
    assert stream.attempts.reached(target), "or its end would prove nothing"
    nothing(stream, *closed)
    assert [one["metadata"]["name"] for one in agent.pods()] == [pod]
    with trying(kubectl, agent, [target, *closed]) as stream:
        wait_for("it is counted", lambda: _left(agent.api) >= 1)
        agent.wait_event("Orphaned", pod)
    nothing(stream)
    people("ed").delete(at)
    wait_for("nothing is left", lambda: _left(agent.api) == 0)
