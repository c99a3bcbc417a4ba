"""The same people where the guards are on, as the chart has them: nobody gets to edit anything, whoever leads or not.

Last of this suite, in which the guards are off.
"""

from collections.abc import Callable, Sequence

import pytest

from harness import agents
from harness.api import Api, Refused
from harness.environment import Environment
from harness.install import install, own_image
from harness.kubectl import Kubectl, Object
from harness.manifests import NAMESPACE
from suites.attacks.agent import HOLD, NOBODY, OPEN, STANDING, Agent, path
from suites.attacks.conftest import Make
from suites.attacks.controllers import kill_leader, wait_leader
from suites.attacks.packets import nothing, trying_all
from suites.attacks.people import People
from suites.attacks.together import Act, at_once

RBAC = "rbac.authorization.k8s.io"
FOREIGN: Object = {"metadata": {"name": "more"}, "spec": {"podSelector": {}, "egress": [{}], "policyTypes": ["Egress"]}}
IMAGE: Object = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 3600}}}}


@pytest.fixture(scope="module", autouse=True)
def guarded(environment: Environment, api: Api) -> None:
    install(environment, own_image(environment), "guards.enabled=true")
    wait_leader(api)


def refused(*attempts: Callable[[], object]) -> None:
    """Each of them, by a guard."""
    for attempt in attempts:
        with pytest.raises(Refused, match="ringfence-guard-"):
            attempt()


def _by_ed(who: Api, agent: Agent) -> None:
    (pod,) = agents.pods(who, NAMESPACE, agent.name)
    refused(
        lambda: who.patch(agent.allow, OPEN),
        lambda: who.create(path("networkpolicies"), FOREIGN),
        lambda: who.patch(agent.workload, IMAGE),
        lambda: who.patch(f"{agent.workload}/scale", {"spec": {"replicas": 2}}),
        lambda: who.patch(
            path("pods", pod["metadata"]["name"]), {"metadata": {"labels": {"ringfence.dev/agent": None}}}
        ),
        lambda: who.create(f"{path('serviceaccounts')}/ringfence-{agent.name}/token", {"spec": {"audiences": []}}),
    )


def _by_netp(who: Api, agent: Agent) -> None:
    refused(
        lambda: who.patch(agent.deny, {"metadata": {"finalizers": [HOLD]}}),
        lambda: who.patch(agent.deny, NOBODY),
        lambda: who.delete(agent.deny),
        lambda: who.delete(path("networkpolicies", STANDING)),
    )


def _by_adm(who: Api, agent: Agent) -> None:
    subject = {"kind": "ServiceAccount", "name": f"ringfence-{agent.name}", "namespace": NAMESPACE}
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "admin"}
    refused(
        *((lambda at=at: who.delete(at)) for at in agent.specs),
        lambda: who.create(path("rolebindings"), {"metadata": {"name": "m"}, "roleRef": role, "subjects": [subject]}),
    )


EVERYBODY: Sequence[Act] = (("ed", _by_ed), ("netp", _by_netp), ("adm", _by_adm))


def test_all_are_refused_also_while_nobody_leads(
    make: Make, people: People, kubectl: Kubectl, closed: list[str]
) -> None:
    agent = make()
    pod = agent.pod()["metadata"]["uid"]
    with trying_all(kubectl, agent, closed) as streams, at_once(agent, people, EVERYBODY):
        kill_leader(agent.api)
        wait_leader(agent.api)
    for stream in streams:
        nothing(stream)
    assert agent.right()
    assert agent.pod()["metadata"]["uid"] == pod
    assert agents.condition(agents.get(agent.api, NAMESPACE, agent.name))["status"] == "True"


def test_an_agent_is_not_left_without_its_object(make: Make, people: People) -> None:
    agent = make()
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Orphan"}
    refused(lambda: people("dev").call("DELETE", agent.at, options))
    assert agent.right()
