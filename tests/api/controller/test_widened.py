"""What others write that reaches an agent is said: in its condition, in Ready, as an Event."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from api.controller.conftest import Shared
from api.controller.place import IMAGE, Place, json_bytes
from api.controller.process import Controller
from cluster.shell import wait_for
from harness.pressure import within
from ringfence.api import AgentDeploymentSpec
from ringfence.api.names import AGENT_LABEL
from ringfence.kube import path_of
from ringfence.policy.pod_security import unrestricted
from ringfence.resources import Agent, build

RBAC = "rbac.authorization.k8s.io"
SECONDS = 5.0


@pytest.fixture
def agent(place: Place) -> Place:
    place.agent("a", replicas=1)
    place.wait_applied()
    place.run_pods()
    place.wait_condition("FenceWidened", "False", "AsDeclared")
    place.wait_condition("Ready", "True")
    return place


def policy(name: str, pods: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"podSelector": pods, "policyTypes": ["Egress"], **spec}}


@pytest.mark.parametrize(
    "pods",
    [
        {},
        {"matchLabels": {AGENT_LABEL: "a"}},
        {"matchExpressions": [{"key": AGENT_LABEL, "operator": "In", "values": ["x", "a"]}]},
        {"matchExpressions": [{"key": "pod-template-hash", "operator": "Exists"}]},
    ],
    ids=["all", "label", "expression", "a label of the pod alone"],
)
def test_a_strangers_policy(agent: Place, controller: Controller, pods: dict[str, Any]) -> None:
    agent.create("NetworkPolicy", policy("wide", pods, egress=[{}]))
    said = agent.wait_condition("FenceWidened", "True", "ForeignPolicy")
    assert "NetworkPolicy wide" in said["message"]
    ready = agent.wait_condition("Ready", "False", "FenceWidened")
    assert "NetworkPolicy wide" in ready["message"]
    wait_for("an Event", lambda: any(reason == "ForeignPolicy" for reason, _ in agent.events()))
    controller.counted(1, "ringfence_agents", condition="FenceWidened", status="True")
    agent.delete("NetworkPolicy", "wide")
    agent.wait_condition("FenceWidened", "False", "AsDeclared")
    agent.wait_condition("Ready", "True")


def test_a_policy_that_pretends_to_be_ours(agent: Place) -> None:
    """Our labels and our owner: it is still none that we wrote."""
    live = agent.get("NetworkPolicy", "ringfence-a-allow")["metadata"]
    body = policy("ringfence-a-extra", {"matchLabels": {AGENT_LABEL: "a"}}, egress=[{}])
    body["metadata"] |= {key: live[key] for key in ("labels", "annotations", "ownerReferences")}
    agent.create("NetworkPolicy", body)
    assert "ringfence-a-extra" in agent.wait_condition("FenceWidened", "True", "ForeignPolicy")["message"]


def test_what_opens_nothing_or_reaches_others_is_no_news(agent: Place) -> None:
    agent.create("NetworkPolicy", policy("closed", {}))
    agent.create("NetworkPolicy", policy("others", {"matchLabels": {"app": "x"}}, egress=[{}]))
    agent.create("NetworkPolicy", policy("wide", {}, egress=[{}]))
    said = agent.wait_condition("FenceWidened", "True")["message"]
    assert "closed" not in said
    assert "others" not in said


def test_an_edit_of_our_own_is_put_right_and_is_not_said(agent: Place) -> None:
    agent.merge("NetworkPolicy", "ringfence-a-allow", {"metadata": {"labels": None}, "spec": {"egress": [{}]}})
    agent.wait_right()
    agent.wait_condition("FenceWidened", "False")


def binding(place: Place, kind: str, subject: dict[str, str]) -> str:
    """Give a subject what the ClusterRole `view` gives; the path of the binding."""
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"}
    name = f"wide-{uuid4().hex[:8]}"
    body = {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": {"name": name},
        "roleRef": role,
        "subjects": [subject],
    }
    path = path_of(f"{RBAC}/v1", f"{kind.lower()}s", place.name if kind == "RoleBinding" else None)
    answer = place.server.request("POST", path, json_bytes(body))
    assert answer.ok, answer
    return f"{path}/{name}"


@pytest.mark.parametrize("kind", ["RoleBinding", "ClusterRoleBinding"])
@pytest.mark.parametrize("who", ["account", "all of the namespace", "user"])
def test_a_strangers_binding(agent: Place, kind: str, who: str) -> None:
    subject = {
        "account": {"kind": "ServiceAccount", "name": "ringfence-a", "namespace": agent.name},
        "all of the namespace": {"kind": "Group", "apiGroup": RBAC, "name": f"system:serviceaccounts:{agent.name}"},
        "user": {"kind": "User", "apiGroup": RBAC, "name": f"system:serviceaccount:{agent.name}:ringfence-a"},
    }[who]
    path = binding(agent, kind, subject)
    try:
        said = agent.wait_condition("FenceWidened", "True", "ForeignBinding")["message"]
        assert f"{kind} {path.rpartition('/')[2]}" in said
    finally:
        agent.server.request("DELETE", path)
    agent.wait_condition("FenceWidened", "False", "AsDeclared")


@pytest.mark.parametrize("group", ["system:serviceaccounts", "system:authenticated"])
def test_a_binding_of_everybody_counts_in_its_namespace(agent: Place, group: str) -> None:
    subject = {"kind": "Group", "apiGroup": RBAC, "name": group}
    everywhere = binding(agent, "ClusterRoleBinding", subject)
    here = binding(agent, "RoleBinding", subject)
    try:
        said = agent.wait_condition("FenceWidened", "True", "ForeignBinding")["message"]
        assert here.rpartition("/")[2] in said
        assert everywhere.rpartition("/")[2] not in said, "every cluster has some of these"
    finally:
        agent.server.request("DELETE", everywhere)


def test_it_is_told_within_five_seconds_and_counted_once(agent: Place, controller: Controller) -> None:
    """With the guards off: nothing refuses the binding at the door."""
    with within(SECONDS):
        binding(agent, "RoleBinding", {"kind": "ServiceAccount", "name": "ringfence-a", "namespace": agent.name})
        agent.wait_condition("FenceWidened", "True", "ForeignBinding")
    with within(SECONDS):
        agent.create("NetworkPolicy", policy("wide", {}, egress=[{}]))
        agent.wait_condition("FenceWidened", "True", "ForeignPolicy")
    labels = {"source": "widening", "namespace": agent.name}
    for rule in ("ForeignBinding", "ForeignPolicy"):
        assert controller.counted(1, "ringfence_violations_total", rule=rule, **labels) == 1
    lines = [line for line in controller.warnings() if line.get("namespace") == agent.name]
    assert [line["rule"] for line in lines if line["event"] == "fence widened"] == ["ForeignBinding", "ForeignPolicy"]


@pytest.mark.parametrize("label", [None, "other"], ids=["taken off", "another agent's"])
def test_a_relabelled_pod(agent: Place, label: str | None) -> None:
    (pod,) = [one["metadata"]["name"] for one in agent.pods()]
    agent.merge("Pod", pod, {"metadata": {"labels": {AGENT_LABEL: label}}})
    said = agent.wait_condition("FenceWidened", "True", "PodRelabelled")["message"]
    assert f"Pod {pod}" in said
    agent.delete("Pod", pod, gracePeriodSeconds=0)
    agent.wait_condition("FenceWidened", "False", "AsDeclared")


def test_a_pod_that_gets_its_label_back(agent: Place) -> None:
    (pod,) = [one["metadata"]["name"] for one in agent.pods()]
    agent.merge("Pod", pod, {"metadata": {"labels": {AGENT_LABEL: None}}})
    agent.wait_condition("FenceWidened", "True", "PodRelabelled")
    agent.merge("Pod", pod, {"metadata": {"labels": {AGENT_LABEL: "a"}}})
    agent.wait_condition("FenceWidened", "False", "AsDeclared")


def test_a_pod_that_was_relabelled_while_nobody_looked(agent: Place, shared: Shared) -> None:
    (pod,) = [one["metadata"]["name"] for one in agent.pods()]
    shared.pause()
    agent.merge("Pod", pod, {"metadata": {"labels": {AGENT_LABEL: None}}})
    shared.resume()
    assert f"Pod {pod}" in agent.wait_condition("FenceWidened", "True", "PodRelabelled")["message"]
    agent.delete("Pod", pod, gracePeriodSeconds=0)
    agent.wait_condition("FenceWidened", "False", "AsDeclared")


MUTATIONS = "/apis/admissionregistration.k8s.io/v1"
CHANGES = [
    ("Object{spec: Object.spec{hostPID: true}}", "spec.hostPID)"),
    (
        "Object{spec: Object.spec{initContainers: [Object.spec.initContainers{name: 'sidecar', image: 'x'}]}}",
        "spec.initContainers[1].securityContext.",
    ),
    (
        "Object{spec: Object.spec{securityContext: Object.spec.securityContext{runAsNonRoot: false}}}",
        "spec.securityContext.runAsNonRoot)",
    ),
]


@pytest.fixture(params=CHANGES, ids=["a namespace of the node", "a container", "as root"])
def changed(place: Place, request: pytest.FixtureRequest) -> Iterator[str]:
    """The path of what somebody's MutatingAdmissionPolicy makes of every pod of the namespace."""
    change, path = request.param
    name = f"mutate-{place.name}"
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    spec: dict[str, Any] = {
        "reinvocationPolicy": "Never",
        "matchConstraints": {"resourceRules": [pods]},
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": change}}],
    }
    space = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.name}}}
    made = {
        "mutatingadmissionpolicies": {"metadata": {"name": name}, "spec": spec},
        "mutatingadmissionpolicybindings": {
            "metadata": {"name": name},
            "spec": {"policyName": name, "matchResources": space},
        },
    }
    for plural, body in made.items():
        answer = place.server.request("POST", f"{MUTATIONS}/{plural}", json_bytes(body))
        assert answer.ok, answer
    wait_for("it to be in force", lambda: arrives_changed(place))
    yield path
    for plural in made:
        place.server.request("DELETE", f"{MUTATIONS}/{plural}/{name}")


def arrives_changed(place: Place) -> bool:
    """Whether a pod of an agent would be stored as one that falls short."""
    spec = AgentDeploymentSpec.model_validate({"image": IMAGE})
    pod = build(Agent(name="a", namespace=place.name, uid="u", spec=spec))[-1]["spec"]["template"]["spec"]
    own = {key: value for key, value in pod.items() if not key.startswith("serviceAccount")}
    path = path_of("v1", "pods", place.name) + "?dryRun=All"
    answer = place.server.request("POST", path, json_bytes({"metadata": {"name": "a"}, "spec": own}))
    return answer.ok and unrestricted(answer.body["spec"]) != []


def test_a_pod_that_is_changed_on_its_way_in(changed: str, place: Place) -> None:
    place.agent("a", replicas=1)
    said = place.wait_condition("FenceWidened", "True", "PodNotRestricted")["message"]
    assert f"({changed}" in said
    place.wait_condition("Ready", "False", "FenceWidened")
