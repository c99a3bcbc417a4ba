"""Somebody edits one child again and again: the agent is stopped, unless its policy keeps it, and nothing flaps."""

from collections.abc import Iterator
from typing import Any

import pytest

from api.controller.conftest import Shared
from api.controller.place import FULL, Place, json_bytes
from api.controller.process import Controller
from cluster.shell import wait_for
from ringfence.api.names import API_VERSION
from ringfence.controller.agent.fence import EDITS_IN_A_ROW, QUIET_SECONDS

ALLOW, DENY = "ringfence-a-allow", "ringfence-a-deny"
WIDER: dict[str, Any] = {"spec": {"egress": [{}]}}


@pytest.fixture
def kept(place: Place) -> Iterator[Place]:
    """A namespace whose policy keeps agents running."""
    answer = place.keep_running()
    yield place
    place.server.request("DELETE", answer)


def edit(place: Place, times: int, body: dict[str, Any] | None = None, *, name: str = ALLOW) -> None:
    """So many edits, each after the one before was put right."""
    kind = "NetworkPolicy" if name in {ALLOW, DENY} else "Deployment"
    for _ in range(times):
        version = place.get(kind, name)["metadata"]["generation"]
        place.server.request("PATCH", place.path(kind, name), json_bytes(body or WIDER), "application/merge-patch+json")
        wait_for(
            "put right",
            lambda version=version: place.get(kind, name)["metadata"]["generation"] >= version + 2,  # type: ignore[misc]
            every=0.01,
        )


def replicas(place: Place) -> int:
    number: int = place.get("Deployment", "ringfence-a")["spec"]["replicas"]
    return number


def times(place: Place) -> dict[str, str]:
    return {one["type"]: one["lastTransitionTime"] for one in place.status()["conditions"]}


def test_who_edits_again_and_again_stops_the_agent(place: Place, controller: Controller) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    place.run_pods()
    edit(place, EDITS_IN_A_ROW, name=DENY)
    wait_for("it is stopped", lambda: replicas(place) == 0)
    for kind in ("Ready", "NetworkPolicyApplied", "RightsApplied", "WorkloadAvailable"):
        place.wait_condition(kind, "False", "FenceContested")
    assert place.condition("Ready")["message"].startswith(f"NetworkPolicy {DENY} is edited again and again: stopped")
    wait_for("what lets it reach anything is gone", lambda: not (place.child("allow") or place.child("binding")))
    wait_for("and is not said to be there", lambda: place.status()["effectivePermissions"] == [])
    wait_for("an Event", lambda: "FenceContested" in [reason for reason, _ in place.events()])
    place.end_pods()
    wait_for("no pods", lambda: place.status()["replicas"] == 0)

    before = times(place)
    edit(place, 20, name=DENY)
    controller.counted_drift(20 + EDITS_IN_A_ROW, place.name)
    assert times(place) == before, "nothing flaps"
    assert place.condition("Ready")["reason"] == "FenceContested"
    told = [one for one in place.items("Event") if one["reason"] == "DriftRepaired"]
    assert len(told) == 1
    wait_for("its count", lambda: place.get("Event", told[0]["metadata"]["name"]).get("series", {}).get("count", 0) > 1)
    lines = [line for line in controller.warnings() if line.get("namespace") == place.name]
    assert [line["count"] for line in lines if line["event"] == "put back"] == [1, 2, 4, 8, 16]
    assert len([line for line in lines if line["event"] == "stopped"]) == 1

    place.merge("Deployment", "ringfence-a", {"spec": {"replicas": 1}})
    wait_for("stopped again", lambda: replicas(place) == 0)
    wait_for("it runs again", lambda: replicas(place) == 1, timeout=QUIET_SECONDS + 120)
    place.wait_right()
    place.wait_condition("NetworkPolicyApplied", "True", "Applied")
    assert place.status()["effectivePermissions"] != []
    deleted = controller.metric("ringfence_violations_total", rule="ChildDeleted", namespace=place.name)
    assert deleted == 0, "what was taken away, nobody else took"


def test_what_is_edited_is_not_there_any_more(place: Place) -> None:
    """Until the pods have ended, which may take half a minute, there is nothing left to be edited."""
    place.agent("a", FULL)
    place.wait_applied()
    place.run_pods()
    wider = json_bytes(WIDER)

    def gone() -> bool:
        path = place.path("NetworkPolicy", ALLOW)
        return place.server.request("PATCH", path, wider, "application/merge-patch+json").code == 404

    wait_for("no policy to be edited", gone, every=0.05)
    wait_for("it is stopped", lambda: replicas(place) == 0)
    place.wait_condition("Ready", "False", "FenceContested")
    assert place.child("deny"), "nor any connection"


def test_a_controller_that_begins_anew_goes_on_with_it(place: Place, shared: Shared) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    edit(place, EDITS_IN_A_ROW, name=DENY)
    place.wait_condition("Ready", "False", "FenceContested")
    wait_for("it is stopped", lambda: replicas(place) == 0)
    before = place.get("Deployment", "ringfence-a")["metadata"]["generation"]
    controller = shared.restart()
    wait_for("a pass", lambda: controller.metric("ringfence_reconcile_total", result="ok") >= 1)
    edit(place, 1, name=DENY)
    assert place.condition("Ready")["reason"] == "FenceContested"
    assert place.get("Deployment", "ringfence-a")["metadata"]["generation"] == before


def test_a_policy_may_keep_it_running(kept: Place) -> None:
    kept.agent("a", FULL)
    kept.wait_applied()
    edit(kept, EDITS_IN_A_ROW + 2)
    kept.wait_condition("Ready", "False", "FenceContested")
    assert "each edit is put back" in kept.condition("Ready")["message"]
    assert replicas(kept) == 1
    edit(kept, 1, {"spec": {"replicas": 4}}, name="ringfence-a")
    assert replicas(kept) == 1


def test_a_policy_that_is_stricter_wins(kept: Place) -> None:
    stricter = kept.keep_running("Stop")
    kept.agent("a", FULL)
    kept.wait_applied()
    edit(kept, EDITS_IN_A_ROW, name=DENY)
    wait_for("it is stopped", lambda: replicas(kept) == 0)
    kept.server.request("DELETE", stricter)
    wait_for("it runs again", lambda: replicas(kept) == 1)


def test_the_api_knows_two_answers(place: Place) -> None:
    body = {"apiVersion": API_VERSION, "kind": "AgentPolicy", "metadata": {"name": place.name}}
    path = f"/apis/{API_VERSION}/agentpolicies?dryRun=All"
    for answer, ok in (("Stop", True), ("Keep", True), ("", False), ("Ignore", False), (True, False)):
        asked = json_bytes(body | {"spec": {"onRepeatedEdits": answer}})
        assert place.server.request("POST", path, asked).ok is ok, answer
