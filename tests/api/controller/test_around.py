"""What admission decided is decided again when something around an agent changes: what no longer fits shows in 5 s."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api.controller.place import IMAGE, Place
from api.controller.test_policies import Policy
from api.controller.test_widened import RBAC, binding, policy
from cluster.shell import wait_for
from harness.pressure import within
from ringfence.api.names import AGENTS_LABEL

SECONDS = 5.0
NETWORK = {
    "egress": [{"service": {"name": "search", "port": 80}}],
    "ingress": [{"from": {"namespace": "ops", "podLabels": {"app": "console"}}, "port": "panel"}],
}
OPEN: dict[str, Any] = {
    "images": {"requireDigest": False},
    "ingress": {"namespaces": ["ops"]},
    "egress": {"cidrs": []},
}
"""What the agent needs of its policy beyond the built-in one."""


class Around:
    """An agent that a policy allows and the built-in one does not, and a policy that binds by another label."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.policy = Policy(place, **OPEN)
        strict = {"matchLabels": {"strict": place.name}}
        self.strict = Policy(place, images={"registries": []}, namespaceSelector=strict)
        service = {"ports": [{"name": "http", "port": 80, "targetPort": 8080}], "selector": {"app": "search"}}
        place.create("Service", {"metadata": {"name": "search"}, "spec": service})
        image = IMAGE.partition("@")[0] + ":1"
        place.agent("a", image=image, ports=[{"name": "panel", "port": 8080}], network=NETWORK)
        place.wait_applied()
        place.wait_condition("Accepted", "True")

    def remove(self) -> None:
        self.policy.remove()
        self.strict.remove()


@pytest.fixture
def around(place: Place) -> Iterator[Around]:
    found = Around(place)
    yield found
    found.remove()


def bind(place: Place, kind: str, subject: dict[str, str]) -> Callable[[], object]:
    path = binding(place, kind, subject)
    return lambda: place.server.request("DELETE", path)


CHANGES: dict[str, tuple[Callable[[Around], Any], str, str, str]] = {
    "the policy is stricter": (
        lambda one: one.policy.change(images={"registries": ["nowhere.example"]}),
        "Accepted",
        "False",
        "ImageRegistry",
    ),
    "the policy is deleted, and the built-in one binds": (
        lambda one: one.policy.remove(),
        "Accepted",
        "False",
        'IngressAbovePolicy: policy "restricted (built-in)"',
    ),
    "the policy binds another namespace": (
        lambda one: one.policy.change(namespaceSelector={"matchLabels": {"kubernetes.io/metadata.name": "other"}}),
        "Accepted",
        "False",
        "ImageNoDigest",
    ),
    "the namespace gets a label by which another policy binds it": (
        lambda one: one.place.label({"strict": one.place.name}),
        "Accepted",
        "False",
        "ImageRegistry",
    ),
    "the namespace is closed": (
        lambda one: one.place.label({AGENTS_LABEL: None}),
        "Accepted",
        "False",
        "NamespaceNotOpened",
    ),
    "a NetworkPolicy": (
        lambda one: one.place.create("NetworkPolicy", policy("wide", {}, egress=[{}])),
        "FenceWidened",
        "True",
        "NetworkPolicy wide",
    ),
    "a RoleBinding of its account": (
        lambda one: bind(
            one.place, "RoleBinding", {"kind": "ServiceAccount", "name": "ringfence-a", "namespace": one.place.name}
        ),
        "FenceWidened",
        "True",
        "RoleBinding wide-",
    ),
    "a RoleBinding of everybody": (
        lambda one: bind(
            one.place, "RoleBinding", {"kind": "Group", "apiGroup": RBAC, "name": "system:serviceaccounts"}
        ),
        "FenceWidened",
        "True",
        "RoleBinding wide-",
    ),
    "a ClusterRoleBinding of its namespace's accounts": (
        lambda one: bind(
            one.place,
            "ClusterRoleBinding",
            {"kind": "Group", "apiGroup": RBAC, "name": f"system:serviceaccounts:{one.place.name}"},
        ),
        "FenceWidened",
        "True",
        "ClusterRoleBinding wide-",
    ),
    "the Service is gone": (
        lambda one: one.place.delete("Service", "search"),
        "NetworkPolicyApplied",
        "False",
        "no Service with a selector",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_no_longer_fits_shows_within_five_seconds(around: Around, what: str) -> None:
    change, kind, status, said = CHANGES[what]
    done = None
    try:
        with within(SECONDS):
            done = change(around)
            message = around.place.wait_condition(kind, status)["message"]
        assert said in message
        assert around.place.condition("Ready")["status"] == "False"
    finally:
        if callable(done):
            done()


def test_a_service_that_leads_elsewhere_is_told_within_five_seconds(around: Around) -> None:
    with within(SECONDS):
        around.place.merge("Service", "search", {"spec": {"selector": {"app": "another"}}})
        wait_for("an Event", lambda: "ServiceRedirected" in [reason for reason, _ in around.place.events()])
