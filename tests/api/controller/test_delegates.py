"""A delegate that loses what agents of his namespace have: told within five seconds, and stopped by some policies."""

from collections.abc import Iterator
from typing import Any

import pytest

from api.controller.place import RULES, Place, json_bytes
from api.controller.process import Controller
from api.controller.test_policies import Policy
from cluster.shell import wait_for
from harness.pressure import within
from ringfence.kube import path_of

RBAC = "rbac.authorization.k8s.io"
SECRET = {
    "name": "llm",
    "source": {"existing": {"secretName": "llm", "key": "k"}},
    "delivery": {"env": {"name": "LLM_KEY"}},
}
SECONDS = 5.0


class Delegate:
    """The ServiceAccount `agents` of a namespace, and what it holds."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.name = f"system:serviceaccount:{place.name}:agents"
        rules = [*RULES, {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
        self._post("roles", {"metadata": {"name": "agents"}, "rules": rules})
        self.bind()
        self.annotate(self.name)

    def path(self, plural: str, name: str | None = None, namespace: str | None = "") -> str:
        return path_of(f"{RBAC}/v1", plural, self.place.name if namespace == "" else namespace, name)

    def _post(self, plural: str, body: dict[str, Any], namespace: str | None = "") -> None:
        answer = self.place.server.request("POST", self.path(plural, namespace=namespace), json_bytes(body))
        assert answer.ok, answer

    @property
    def subject(self) -> dict[str, str]:
        return {"kind": "ServiceAccount", "name": "agents", "namespace": self.place.name}

    def bind(self) -> None:
        reference = {"apiGroup": RBAC, "kind": "Role", "name": "agents"}
        self._post("rolebindings", {"metadata": {"name": "agents"}, "roleRef": reference, "subjects": [self.subject]})

    def unbind(self) -> None:
        self.place.server.request("DELETE", self.path("rolebindings", "agents"))

    def bind_everywhere(self, role: str) -> None:
        reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
        body = {"metadata": {"name": self.place.name}, "roleRef": reference, "subjects": [self.subject]}
        self._post("clusterrolebindings", body, None)

    def unbind_everywhere(self) -> None:
        self.place.server.request("DELETE", self.path("clusterrolebindings", self.place.name, None))

    def annotate(self, value: str | None) -> None:
        body = {"metadata": {"annotations": {"ringfence.dev/delegate": value}}}
        self.place.merge_at(f"/api/v1/namespaces/{self.place.name}", body)


@pytest.fixture
def delegate(place: Place) -> Iterator[Delegate]:
    found = Delegate(place)
    place.create("Secret", {"metadata": {"name": "llm"}, "stringData": {"k": "v"}})
    place.agent("a", permissions={"rules": RULES}, secrets=[SECRET])
    place.wait_applied()
    place.wait_condition("Accepted", "True")
    yield found
    found.unbind_everywhere()


def lost(place: Place, rule: str = "PermissionNotHeldByRequester") -> str:
    """Until it is told; how long that took is bounded. The sentence."""
    with within(SECONDS):
        said: str = place.wait_condition("Accepted", "False", "Refused")["message"]
    assert rule in said
    return said


def test_a_binding_that_is_taken_away_is_told_and_counted(
    place: Place, delegate: Delegate, controller: Controller
) -> None:
    delegate.unbind()
    said = lost(place)
    assert "spec.permissions.rules[0]" in said
    assert "SecretNotReadableByRequester" in said
    assert 'ServiceAccount "agents"' in said
    assert "kept as it was" in said
    assert place.child("binding"), "nothing is taken from it unless a policy says so"
    for rule in ("PermissionNotHeldByRequester", "SecretNotReadableByRequester"):
        labels = {"source": "policy", "rule": rule, "namespace": place.name}
        assert controller.counted(1, "ringfence_violations_total", **labels) == 1
    wait_for("an Event", lambda: any(reason == "Refused" for reason, _ in place.events()))
    delegate.bind()
    place.wait_condition("Accepted", "True")


def test_a_role_that_gives_less(place: Place, delegate: Delegate) -> None:
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    place.merge_at(delegate.path("roles", "agents"), {"rules": rules})
    assert "SecretNotReadable" not in lost(place)


def test_a_binding_of_the_whole_cluster(place: Place, delegate: Delegate) -> None:
    delegate.bind_everywhere("cluster-admin")
    delegate.unbind()
    place.wait_condition("Accepted", "True")
    delegate.unbind_everywhere()
    lost(place)


def test_another_delegate(place: Place, delegate: Delegate) -> None:
    delegate.annotate("group:nobody")
    assert 'group "nobody"' in lost(place)
    delegate.annotate("nonsense")
    wait_for("what is wrong", lambda: "names nobody" in place.condition("Accepted").get("message", ""))
    delegate.annotate(None)
    place.wait_condition("Accepted", "True")


def test_a_policy_may_suspend_for_it(place: Place, delegate: Delegate) -> None:
    policy = Policy(place, existing="Suspend")
    try:
        delegate.unbind()
        place.wait_condition("Ready", "False", "SuspendedByPolicy")
        wait_for("its binding is gone", lambda: not place.child("binding"))
        assert policy.wait(bound=1, violating=0), "it is not the policy that it does not fit"
        delegate.bind()
        place.wait_condition("Accepted", "True")
        wait_for("its binding is back", lambda: place.child("binding"))
    finally:
        policy.remove()


def test_a_new_agent_past_admission_is_given_nothing(place: Place, delegate: Delegate) -> None:
    """No webhook is registered here: the controller decides alone."""
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    place.agent("b", permissions={"rules": rules})
    said = place.wait_condition("Accepted", "False", "Refused", name="b")["message"]
    assert "PermissionNotHeldByRequester" in said
    assert place.child("workload", "b") is None
