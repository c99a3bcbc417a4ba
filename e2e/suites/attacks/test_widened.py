"""What nobody can put back, since it is not Ringfence's: it is told within seconds, and the agent is not Ready."""

import pytest

from cluster.shell import wait_for
from harness import agents
from harness.api import Refused
from harness.kubectl import Kubectl, Object
from harness.manifests import NAMESPACE
from harness.pressure import within
from harness.probing import probe
from suites.attacks.agent import RULES, Agent, path
from suites.attacks.conftest import Make
from suites.attacks.people import People

SOON = 5.0
"""Seconds until it must be told."""
RBAC = "rbac.authorization.k8s.io"


def _widened(agent: Agent) -> bool:
    return bool(agents.condition(agents.get(agent.api, NAMESPACE, agent.name), "FenceWidened")["status"] == "True")


def _told(agent: Agent, reason: str, name: str) -> None:
    with within(SOON):
        wait_for("it is told", lambda: _widened(agent))
    agent.wait("FenceWidened", "True", reason, says=name)
    agent.wait("Ready", "False", "FenceWidened", says=name)
    agent.wait_event(reason, name)


def test_another_policy_that_allows_all(make: Make, people: People, kubectl: Kubectl, closed: list[str]) -> None:
    agent, ed = make(), people("ed")
    spec = {
        "podSelector": {"matchLabels": {"ringfence.dev/agent": agent.name}},
        "egress": [{}],
        "policyTypes": ["Egress"],
    }
    body = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": f"wide-{agent.name}"}}
    ed.create(path("networkpolicies"), body | {"spec": spec})
    _told(agent, "ForeignPolicy", f"wide-{agent.name}")
    reached = probe(kubectl, NAMESPACE, agent.pod_name(), closed)
    assert set(reached.values()) & {"reachable", "refused"}, "docs/limits.md says that this works"
    ed.delete(path("networkpolicies", f"wide-{agent.name}"))
    agent.wait()
    assert set(probe(kubectl, NAMESPACE, agent.pod_name(), closed).values()) == {"blocked"}


def test_a_pod_without_its_label(make: Make, people: People) -> None:
    agent = make()
    pod = agent.pod_name()
    people("ed").patch(path("pods", pod), {"metadata": {"labels": {"ringfence.dev/agent": None}}})
    _told(agent, "PodRelabelled", pod)
    people("ed").delete(path("pods", pod))
    agent.wait()


def test_a_binding_of_its_account(make: Make, people: People) -> None:
    agent = make(permissions={"level": "ReadOnly", "rules": RULES})
    name = f"wide-{agent.name}"
    body: Object = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": f"ringfence-{agent.name}", "namespace": NAMESPACE}],
    }
    with pytest.raises(Refused) as refused:
        people("ed").create(path("rolebindings"), body)
    assert refused.value.code == 403
    people("adm").create(path("rolebindings"), body)
    _told(agent, "ForeignBinding", name)
    people("adm").delete(path("rolebindings", name))
    agent.wait()


def test_an_agent_that_is_being_deleted_is_not_ready(make: Make, people: People) -> None:
    agent, dev = make(), people("dev")
    dev.patch(agent.at, {"metadata": {"finalizers": ["example.com/wait"]}})
    dev.delete(agent.at)
    agent.wait("Ready", "False", "Deleting")
    wait_for("its pods to go", lambda: not agent.pods())
    agent.wait("Ready", "False", "Deleting")
    dev.patch(agent.at, {"metadata": {"finalizers": None}})
