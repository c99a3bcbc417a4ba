"""Agents at rest: nothing is written. And many at once: all are served, none waits for another that fails."""

from api.controller.place import FULL, Place, json_bytes
from api.controller.process import Controller, Record
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.resources import Manifest

AGENTS = 20


def test_agents_at_rest_cause_no_write(cluster: Cluster, place: Place, controller: Controller) -> None:
    for number in range(AGENTS):
        place.agent(f"a{number}", FULL if number % 2 else None, suspended=number % 5 == 0)
    for number in range(AGENTS):
        place.wait_applied(f"a{number}")
        place.wait_right(f"a{number}")

    record = Record(cluster)
    wait_for("rest: the Deployments' own news has arrived", lambda: record.rests(place.name))
    record, passes = Record(cluster), controller.metric("ringfence_reconcile_total", result="ok")
    place.label({"looks": "please"})  # what policies select by: every agent of the namespace is looked at

    def looked() -> bool:
        done = controller.metric("ringfence_reconcile_total", result="ok") >= passes + AGENTS
        return done and controller.metric("ringfence_queue_depth") == 0

    wait_for("a look at each", looked)
    wait_for("the last passes are over", lambda: record.rests(place.name))
    assert [(entry["verb"], entry["requestURI"]) for entry in record.writes(place.name)] == []
    assert controller.drift(place.name) == 0


def test_a_stuck_agent_holds_up_nobody(place: Place) -> None:
    """An agent whose children are refused by a quota is tried again and again; others are served meanwhile."""
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"count/deployments.apps": "1"}}}
    answer = place.server.request("POST", f"/api/v1/namespaces/{place.name}/resourcequotas", json_bytes(quota))
    assert answer.ok
    wait_for("the quota counts", lambda: "hard" in _quota(place).get("status", {}))
    place.agent("first")
    place.wait_applied("first")
    for number in range(10):
        place.agent(f"stuck{number}")
    said = place.wait_condition("WorkloadAvailable", "False", "WriteFailed", "stuck9")
    assert "exceeded quota: q" in said["message"]
    assert place.condition("NetworkPolicyApplied", "stuck9")["status"] == "True"
    assert any(reason == "WriteFailed" for reason, _ in place.events())
    place.delete("NetworkPolicy", "ringfence-first-deny")
    place.wait_right("first")
    assert place.server.request("DELETE", f"/api/v1/namespaces/{place.name}/resourcequotas/q").ok
    for number in range(10):
        place.wait_applied(f"stuck{number}")


def _quota(place: Place) -> Manifest:
    return place.server.request("GET", f"/api/v1/namespaces/{place.name}/resourcequotas/q").body
