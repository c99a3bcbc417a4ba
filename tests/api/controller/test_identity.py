"""An agent with an identity in a cloud: what is stored, and that nobody else changes who it is."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from api.controller.place import CHILDREN, Place, json_bytes
from api.controller.process import Controller
from cluster.shell import wait_for
from ringfence.api.names import API_VERSION
from ringfence.kube import path_of

KEY = "eks.amazonaws.com/role-arn"
ROLE = "arn:aws:iam::111122223333:role/researcher"
ADMIN = "arn:aws:iam::111122223333:role/admin"
KIND, NAME = CHILDREN["account"][0], CHILDREN["account"][1].format("a")
WORKLOAD = (CHILDREN["workload"][0], CHILDREN["workload"][1].format("a"))
IDENTITY: dict[str, Any] = {
    "annotations": [{"key": KEY, "value": ROLE}],
    "tokens": [{"audience": "sts.amazonaws.com", "path": "/var/run/identity/token"}],
}
EDITS: list[tuple[str, Callable[[dict[str, str]], object]]] = [
    ("another role", lambda found: found.update({KEY: ADMIN})),
    ("no role", lambda found: found.pop(KEY)),
    (
        "a token for others",
        lambda found: found.update({"eks.amazonaws.com/audience": "https://kubernetes.default.svc"}),
    ),
    ("an account besides", lambda found: found.update({"iam.gke.io/gcp-service-account": "a@b.example"})),
]


@pytest.fixture
def policy(place: Place) -> Iterator[str]:
    name = f"{place.name}-identity"
    spec = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.name}},
        "onRepeatedEdits": "Keep",
        "identity": {"annotations": [{"key": KEY, "values": [ROLE]}], "audiences": ["sts.amazonaws.com"]},
    }
    body = {"apiVersion": API_VERSION, "kind": "AgentPolicy", "metadata": {"name": name}, "spec": spec}
    assert place.server.request("POST", path_of(API_VERSION, "agentpolicies"), json_bytes(body)).ok
    path = path_of(API_VERSION, "agentpolicies", name=name)
    yield path
    place.server.request("DELETE", path)


def annotations(place: Place) -> dict[str, str]:
    found: dict[str, str] = place.get(KIND, NAME)["metadata"].get("annotations") or {}
    return found


def ours(place: Place) -> dict[str, str]:
    return {key: text for key, text in annotations(place).items() if not key.startswith("ringfence.dev/")}


def test_every_edit_of_it_is_put_right(place: Place, policy: str, controller: Controller) -> None:
    place.agent("a", identity=IDENTITY)
    place.wait_applied()
    place.wait_right()
    assert ours(place) == {KEY: ROLE}
    volumes = place.get(*WORKLOAD)["spec"]["template"]["spec"]["volumes"]
    assert "sts.amazonaws.com" in str(volumes)
    for what, edit in EDITS:
        counted = controller.drift(place.name)

        def edited(edit: Callable[[dict[str, str]], object] = edit) -> bool:
            live = place.get(KIND, NAME)
            edit(live["metadata"]["annotations"])
            return place.server.request("PUT", place.path(KIND, NAME), json_bytes(live)).ok

        wait_for(what, edited)
        wait_for(f"{what}: put right", lambda: ours(place) == {KEY: ROLE})
        wait_for(f"{what}: counted", partial(lambda counted: controller.drift(place.name) > counted, counted))
    place.wait_right()


def test_what_the_spec_no_longer_says_is_gone(place: Place, policy: str, controller: Controller) -> None:
    place.agent("a", identity=IDENTITY)
    place.wait_applied()
    place.wait_right()
    place.change("a", identity=None)
    place.wait_applied()
    wait_for("no identity", lambda: ours(place) == {})
    assert controller.drift(place.name) == 0, "that was no edit of somebody's"


def test_a_policy_that_names_it_no_more_is_told(place: Place, policy: str) -> None:
    place.agent("a", identity=IDENTITY)
    place.wait_applied()
    place.merge_at(policy, {"spec": {"identity": {"audiences": []}}})
    found = place.wait_condition("Accepted", "False")
    assert "identity.audiences" in found["message"]
