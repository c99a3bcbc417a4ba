"""No label opens the namespaces of the cluster, or the one that Ringfence runs in. No guard is at work here."""

from collections.abc import Iterator
from typing import Any

import pytest

from api.controller.conftest import HOME, Shared
from api.controller.place import FULL, Place
from api.controller.process import Controller
from api.server import Server
from cluster.shell import wait_for
from ringfence.api.names import AGENTS_ENABLED, AGENTS_LABEL, CEILING_BINDING, STANDING_POLICY
from ringfence.resources import Manifest, build_ceiling, build_standing

OURS = (("NetworkPolicy", STANDING_POLICY), ("RoleBinding", CEILING_BINDING))


@pytest.fixture(params=["kube-system", "kube-public", "kube-node-lease", "own"])
def closed(request: pytest.FixtureRequest, client: Server, lease_namespace: str) -> Iterator[Place]:
    """One of them, and what was stored there in earlier days."""
    found = Place.at(client, lease_namespace if request.param == "own" else request.param)
    for manifest in (build_standing(found.name), build_ceiling(found.name, (HOME, "ringfence-controller"))):
        found.create(manifest["kind"], manifest)
    yield found
    found.delete("AgentDeployment", "a")
    found.label({AGENTS_LABEL: None})


def ours(place: Place) -> list[Manifest]:
    return [live for one in OURS if (live := place.find(*one)) is not None]


def missing(controller: Controller, place: Place) -> list[dict[str, Any]]:
    """What the log says of that namespace."""
    of_it = [line for line in controller.warnings() if line.get("namespace") == place.name]
    return [line for line in of_it if line["event"] == "missing in a namespace"]


def test_a_label_opens_nothing_and_what_was_there_goes(closed: Place, shared: Shared) -> None:
    controller = shared.current
    closed.label({AGENTS_LABEL: AGENTS_ENABLED})
    wait_for("it is told", lambda: missing(controller, closed))
    wait_for("all of it is gone", lambda: not ours(closed))
    closed.agent("a", FULL)
    said = closed.wait_condition("Accepted", "False")
    assert "own pods and is closed to agents, whatever its labels say" in said["message"]
    assert not ours(closed)
    for kind in ("NetworkPolicy", "ServiceAccount", "Deployment"):
        assert not [one for one in closed.items(kind) if one["metadata"]["name"].startswith("ringfence-a")]
    (line,) = missing(controller, closed)
    assert f"kubectl label namespace {closed.name} {AGENTS_LABEL}-" in line["why"]
    assert [one for one in controller.warnings() if one["event"] in {"pass failed", "try again"}] == []
    closed.label({AGENTS_LABEL: None})
    wait_for(
        "nothing is missing", lambda: not controller.metric("ringfence_standing_policy_missing", namespace=closed.name)
    )
