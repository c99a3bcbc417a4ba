"""One edit of a policy, of each kind, by somebody who may edit; and all children deleted at once."""

import pytest

from cluster.shell import wait_for
from harness.api import Api
from harness.kubectl import Kubectl, Object
from harness.manifests import NAMESPACE
from harness.stream import streaming
from suites.attacks.agent import NOBODY, OPEN, STANDING, path
from suites.attacks.conftest import Make
from suites.attacks.packets import MOMENT, PACE, no_longer_than, trying
from suites.attacks.people import People

OTHER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": "00000000-0000-0000-0000-000000000000"}
FORGED: Object = {"metadata": {"ownerReferences": [OTHER]}}
NO_OWNER: Object = {"metadata": {"ownerReferences": None}}
EDITS: dict[str, list[tuple[str, Object]]] = {
    "allow widened": [("allow", OPEN)],
    "no owner": [("allow", NO_OWNER), ("deny", NO_OWNER)],
    "a forged owner": [("allow", FORGED), ("deny", FORGED)],
    "labels, owner and spec": [("allow", OPEN | {"metadata": {"labels": None, "ownerReferences": None}})],
    "other pods": [("deny", NOBODY), ("allow", OPEN)],
    "one direction": [("deny", {"spec": {"policyTypes": ["Ingress"]}}), ("allow", OPEN)],
}


def test_without_a_fence_all_of_it_is_reached(api: Api, kubectl: Kubectl, closed: list[str]) -> None:
    """So that "nothing passed", in all that follows, is the fence's work."""
    with streaming(kubectl, NAMESPACE, "deploy/unfenced", closed, every=PACE) as stream:
        wait_for("each to be reached", lambda: all(stream.attempts.reached(one) for one in closed))


@pytest.mark.parametrize("edits", EDITS.values(), ids=EDITS.keys())
def test_an_edit_is_put_back(
    make: Make, people: People, kubectl: Kubectl, closed: list[str], edits: list[tuple[str, Object]]
) -> None:
    agent = make()
    places = {"allow": agent.allow, "deny": agent.deny}
    with trying(kubectl, agent, closed) as stream:
        for which, edit in edits:
            people("ed").patch(places[which], edit)
        agent.wait_right()
    no_longer_than(MOMENT, stream)
    agent.wait_event("DriftRepaired")
    agent.wait()


def test_all_children_deleted_at_once(make: Make, people: People, kubectl: Kubectl, closed: list[str]) -> None:
    """With the policy of the namespace. The pod goes with its Deployment, and another one comes."""
    agent, adm = make(), people("adm")
    with trying(kubectl, agent, closed) as stream:
        for at in (path("networkpolicies", STANDING), *agent.specs):
            adm.delete(at)
        agent.wait_right()
    no_longer_than(MOMENT, stream)
    agent.wait_event("DriftRepaired")
    agent.wait()
