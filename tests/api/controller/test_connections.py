"""Who gets into agents, from the AgentPolicies through the controller to the API server's guard."""

from collections.abc import Callable, Iterator

import pytest

from api.controller.place import FULL, Place
from api.controller.process import Controller
from api.controller.test_policies import Policy
from api.server import Server
from chart.rendering import render
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.api.names import AGENTS_LABEL, CEILING_BINDING, CONNECTIONS_ANNOTATION

GUARD = "ringfence-guard-connections"


@pytest.fixture(scope="module")
def guard(cluster: Cluster, lease_namespace: str) -> Iterator[None]:
    cluster.apply(*(one for one in render("--namespace", lease_namespace) if one["metadata"]["name"] == GUARD))
    yield
    for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
        cluster.kubectl("delete", kind, GUARD)


@pytest.fixture
def somebody(cluster: Cluster) -> Iterator[Callable[[str], Server]]:
    known: dict[str, Server] = {}

    def of(group: str) -> Server:
        if group not in known:
            known[group] = Server(cluster.server, cluster.user_kubeconfig("carol", ["system:masters", group]))
        return known[group]

    yield of
    for server in known.values():
        server.close()


def test_who_gets_into_an_agent_is_what_all_policies_say(
    place: Place, guard: None, controller: Controller, somebody: Callable[[str], Server]
) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    name = wait_for("its pod", place.pods)[0]["metadata"]["name"]

    def who(*groups: str) -> None:
        def look() -> bool:
            said = {}
            for group in ("on-call", "sre", "others"):
                path = place.path("Pod", name, "/exec?command=id")
                said[group] = somebody(group).request("GET", path).message
            assert [group for group, one in said.items() if GUARD not in one] == list(groups), said
            return True

        wait_for(f"{groups} get in", look)

    who()
    one = Policy(place, connections={"groups": ["on-call", "sre"]})
    two = None
    try:
        who("on-call", "sre")
        two = Policy(place, connections={"groups": ["sre", "others"]})
        who("sre")
        two.change(connections={"groups": ["others"]})
        who()
        two.change(connections={"groups": ["sre"]}, namespaceSelector={"matchLabels": {"no": "such"}})
        who("on-call", "sre")
        two.change(namespaceSelector={"matchLabels": {"no": None, AGENTS_LABEL: "enabled"}})
        who("sre")
        two.remove()
        who("on-call", "sre")
        one.remove()
        who()
    finally:
        one.remove()
        if two is not None:
            two.remove()
    assert controller.drift(place.name) == 0, "what follows a policy is no repair"


def test_an_edit_of_it_is_put_right_and_counted(place: Place, controller: Controller) -> None:
    def named() -> str:
        metadata = place.get("RoleBinding", CEILING_BINDING)["metadata"]
        return str(metadata["annotations"].get(CONNECTIONS_ANNOTATION))

    wait_for("the binding", lambda: named() == "")
    place.merge("RoleBinding", CEILING_BINDING, {"metadata": {"annotations": {CONNECTIONS_ANNOTATION: "eve"}}})
    wait_for("nobody again", lambda: named() == "")
    assert controller.counted_drift(1, place.name) == 1
