"""The Service of an agent's ports: made with them, and gone with them."""

from api.controller.place import Place
from api.controller.process import Controller
from cluster.shell import wait_for

PORT = {"name": "panel", "port": 8080}
MORE = {"name": "metrics", "port": 9090}


def test_it_comes_and_goes_with_the_ports(place: Place, controller: Controller) -> None:
    place.agent("a", ports=[PORT])
    place.wait_applied()
    service = place.get("Service", "ringfence-a")
    assert service["spec"]["clusterIP"] not in {"", "None"}
    address = service["spec"]["clusterIP"]
    place.merge("AgentDeployment", "a", {"spec": {"ports": [PORT, MORE]}})
    wait_for("both ports", lambda: len(place.get("Service", "ringfence-a")["spec"]["ports"]) == 2)
    assert place.get("Service", "ringfence-a")["spec"]["clusterIP"] == address, "whoever uses it goes on"
    place.merge("AgentDeployment", "a", {"spec": {"ports": []}})
    wait_for("no Service", lambda: place.find("Service", "ringfence-a") is None)
    wait_for("no name in the status", lambda: "service" not in place.status())
    assert controller.drift(place.name) == 0, "all of it was the spec's"


def test_a_service_of_somebody_with_that_name_stays_and_a_running_agent_runs_on(place: Place) -> None:
    spec = {"selector": {"app": "x"}, "ports": [{"port": 80}]}
    place.create("Service", {"metadata": {"name": "ringfence-a"}, "spec": spec})
    place.agent("a")
    place.wait_applied()
    place.merge("AgentDeployment", "a", {"spec": {"ports": [PORT]}})
    said = place.wait_condition("WorkloadAvailable", "False", "ChildNotOurs")
    assert "Service ringfence-a exists already" in said["message"]
    assert place.get("Service", "ringfence-a")["spec"]["selector"] == {"app": "x"}
    assert place.child("workload")
    assert place.delete("Service", "ringfence-a").ok
    wait_for("its own", lambda: place.get("Service", "ringfence-a")["spec"]["selector"] == {"ringfence.dev/agent": "a"})
