"""The status of an AgentPolicy: how many agents it binds, how many of these it does not allow, since when."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from api.controller.place import IMAGE, Place, json_bytes
from cluster.shell import wait_for
from ringfence.api.names import API_VERSION
from ringfence.kube import path_of

POLICIES = path_of(API_VERSION, "agentpolicies")


class Policy:
    """One policy that binds the namespaces with a label of its own."""

    def __init__(self, place: Place, **spec: Any) -> None:
        self.place, self.name = place, f"p-{uuid4().hex[:10]}"
        selector = {"matchLabels": {"kubernetes.io/metadata.name": place.name}}
        body = {"apiVersion": API_VERSION, "kind": "AgentPolicy", "metadata": {"name": self.name}}
        body |= {"spec": {"namespaceSelector": selector} | spec}
        answer = place.server.request("POST", POLICIES, json_bytes(body))
        assert answer.ok, answer

    def change(self, **spec: Any) -> None:
        self.place.merge_at(f"{POLICIES}/{self.name}", {"spec": spec})

    def remove(self) -> None:
        self.place.server.request("DELETE", f"{POLICIES}/{self.name}")

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.place.server.request("GET", f"{POLICIES}/{self.name}").body.get("status") or {}
        return found

    def wait(self, *, bound: int, violating: int) -> dict[str, Any]:
        def look() -> dict[str, Any]:
            status = self.status
            assert (status.get("boundAgents"), status.get("violatingAgents")) == (bound, violating), status
            return status

        return wait_for(f"{bound} bound, {violating} violating", look)


@pytest.fixture
def policy(place: Place) -> Iterator[Policy]:
    found = Policy(place)
    yield found
    found.remove()


def test_it_counts_whom_it_binds_and_whom_it_does_not_allow(place: Place, policy: Policy) -> None:
    assert "violatingSince" not in policy.wait(bound=0, violating=0)
    place.agent("a")
    place.agent("b", image=IMAGE.replace("registry.example", "other.example"))
    policy.wait(bound=2, violating=0)
    policy.change(images={"registries": ["registry.example"]})
    status = policy.wait(bound=2, violating=1)
    assert status["violatingSince"]
    assert status["observedGeneration"] == 2
    policy.change(images={"registries": ["nowhere.example"]})
    again = policy.wait(bound=2, violating=2)
    assert again["violatingSince"] == status["violatingSince"], "since the first of them"
    place.delete("AgentDeployment", "b")
    policy.wait(bound=1, violating=1)
    policy.change(images={"registries": ["*"]})
    assert "violatingSince" not in policy.wait(bound=1, violating=0)


def test_each_of_several_policies_counts_for_itself(place: Place, policy: Policy) -> None:
    other = Policy(place, images={"registries": ["nowhere.example"]})
    place.agent("a")
    other.wait(bound=1, violating=1)
    policy.wait(bound=1, violating=0)
    other.remove()
    place.wait_condition("Accepted", "True")
