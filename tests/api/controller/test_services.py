"""Egress to a Service: to where it led when the agent was accepted. And the API server's own address."""

from typing import Any

from api.controller.conftest import Shared
from api.controller.place import RULES, Place, json_bytes
from api.controller.process import Controller
from cluster.shell import wait_for
from ringfence.resources.dns import USUAL

REDIRECTED = "ServiceRedirected"
TARGET = {"egress": [{"service": {"name": "search", "port": 80}}]}


def _service(place: Place, selector: dict[str, str] | None, target: int | str = 8080, **more: Any) -> None:
    spec: dict[str, Any] = {"ports": [{"name": "http", "port": 80, "targetPort": target}], **more}
    place.create(
        "Service", {"metadata": {"name": "search"}, "spec": spec | ({"selector": selector} if selector else {})}
    )


def _egress(place: Place) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = place.get("NetworkPolicy", "ringfence-a-allow")["spec"].get("egress", [])
    return rules


def _to(place: Place, labels: dict[str, str], port: int | str) -> dict[str, Any]:
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": place.name}}
    peer = {"namespaceSelector": namespace, "podSelector": {"matchLabels": labels}}
    return {"to": [peer], "ports": [{"port": port, "protocol": "TCP"}]}


def test_a_service_that_appears_changes_and_disappears(place: Place, controller: Controller) -> None:
    place.agent("a", network=TARGET)
    said = place.wait_condition("NetworkPolicyApplied", "False", "ServiceNotFound")
    assert f"{place.name}/search:80" in said["message"]
    assert _egress(place) == [], "nothing is opened for a Service that is not there, not even DNS"
    assert place.status()["effectiveEgress"] == []

    _service(place, {"app": "search"})
    wait_for("opened", lambda: _egress(place) == [_to(place, {"app": "search"}, 8080)])
    place.wait_condition("NetworkPolicyApplied", "True", "Applied")
    assert place.status()["effectiveEgress"] == [f"{place.name}/search:80 -> app=search:8080"]

    place.merge("Service", "search", {"spec": {"selector": None}})
    wait_for("closed", lambda: _egress(place) == [])
    place.merge("Service", "search", {"spec": {"selector": {"app": "search"}}})
    wait_for("opened again", lambda: len(_egress(place)) == 1)
    place.delete("Service", "search")
    wait_for("closed again", lambda: _egress(place) == [])
    place.wait_condition("NetworkPolicyApplied", "False", "ServiceNotFound")
    assert controller.drift(place.name) == 0, "our own updates are no drift"


def test_a_service_is_named_in_the_hosts_file_also_when_it_is_made_again(place: Place, controller: Controller) -> None:
    def pod() -> dict[str, Any]:
        found: dict[str, Any] = place.get("Deployment", "ringfence-a")["spec"]["template"]["spec"]
        return found

    def named() -> list[str]:
        return [alias["ip"] for alias in pod().get("hostAliases", [])]

    _service(place, {"app": "search"})
    place.agent("a", network=TARGET)
    place.wait_applied("a")
    address = place.get("Service", "search")["spec"]["clusterIP"]
    wait_for("its name", lambda: named() == [address])
    short = f"search.{place.name}"
    assert pod()["hostAliases"][0]["hostnames"] == ["search", short, f"{short}.svc", f"{short}.svc.cluster.local"]
    assert (pod()["dnsPolicy"], pod()["dnsConfig"]["nameservers"]) == ("None", ["127.0.0.1"])
    stood = place.get("NetworkPolicy", "ringfence-a-allow")["metadata"]["resourceVersion"]
    place.merge("Deployment", "ringfence-a", {"spec": {"template": {"spec": {"hostAliases": None}}}})
    wait_for("put back", lambda: named() == [address])
    assert controller.counted_drift(1, place.name) == 1
    assert place.get("NetworkPolicy", "ringfence-a-allow")["metadata"]["resourceVersion"] == stood

    place.delete("Service", "search")
    wait_for("no name", lambda: named() == [])
    _service(place, {"app": "search"})
    again = place.get("Service", "search")["spec"]["clusterIP"]
    wait_for("its name again", lambda: named() == [again])
    assert controller.drift(place.name) == 1, "our own updates are no drift"


def test_the_dns_of_the_cluster_is_where_its_service_leads(place: Place, controller: Controller) -> None:
    """kube-system/kube-dns comes, leads elsewhere, a cache on the nodes comes, and both go."""

    def opened() -> list[dict[str, Any]]:
        return _egress(place)[1:]

    _service(place, {"app": "search"}, clusterIP="None")
    place.agent("a", network=TARGET)
    wait_for("the usual", lambda: opened()[0]["to"][0]["podSelector"]["matchLabels"] == USUAL[1])
    system = Place.at(place.server, "kube-system")
    ports = [{"name": one.lower(), "port": 53, "protocol": one, "targetPort": 8053} for one in ("UDP", "TCP")]
    try:
        system.create(
            "Service", {"metadata": {"name": "kube-dns"}, "spec": {"selector": {"app": "dns"}, "ports": ports}}
        )
        wait_for("its pods", lambda: opened()[0]["to"][0]["podSelector"]["matchLabels"] == {"app": "dns"})
        assert {port["port"] for port in opened()[0]["ports"]} == {8053}
        local = {"metadata": {"name": "kube-dns-upstream"}, "spec": {"selector": {"app": "dns"}, "ports": ports}}
        system.create("Service", local)
        wait_for("the cache on the node", lambda: len(opened()) == 2)
        own = system.get("Service", "kube-dns")["spec"]["clusterIP"]
        assert [one["ipBlock"]["cidr"] for one in opened()[1]["to"]] == ["169.254.20.10/32", f"{own}/32"]
    finally:
        for name in ("kube-dns-upstream", "kube-dns"):
            system.server.request("DELETE", system.path("Service", name))
    wait_for("the usual again", lambda: opened()[0]["to"][0]["podSelector"]["matchLabels"] == USUAL[1])
    assert controller.drift(place.name) == 0, "our own updates are no drift"


def _redirects(place: Place, controller: Controller) -> tuple[float, list[str]]:
    """How many were counted; the Events' words, without what they say of the Service itself."""
    said = [note.split(" led to ")[-1].rpartition(";")[0] for reason, note in place.events() if reason == REDIRECTED]
    return controller.metric("ringfence_service_redirects_total", namespace=place.name), said


def test_a_service_that_leads_elsewhere_is_told_and_shown(place: Place, controller: Controller) -> None:
    _service(place, {"app": "search"})
    place.agent("a", network=TARGET)
    place.agent("b", network=TARGET)
    place.agent("c")
    for agent in "abc":
        place.wait_applied(agent)
    wait_for("the status", lambda: place.status()["effectiveEgress"] == [f"{place.name}/search:80 -> app=search:8080"])
    assert _redirects(place, controller) == (0, [])

    assert _egress(place)[:1] == [_to(place, {"app": "search"}, 8080)]
    change = {"selector": {"app": "ledger"}, "ports": [{"name": "http", "port": 80, "targetPort": 9000}]}
    place.merge("Service", "search", {"spec": change})
    for agent in "ab":
        found = place.wait_condition("NetworkPolicyApplied", "False", REDIRECTED, name=agent)
        assert (
            "led to app=search:8080 when the agent was accepted, and now leads to app=ledger:9000" in found["message"]
        )
        assert place.status(agent)["effectiveEgress"] == []
        assert place.condition("Ready", agent)["status"] == "False"
    assert _egress(place) == [], "neither there nor where it led"
    wait_for("told, of each agent", lambda: len(_redirects(place, controller)[1]) == 2)
    said = "app=search:8080, and now leads to app=ledger:9000"
    assert _redirects(place, controller) == (2, [said] * 2)
    lines = [line for line in controller.lines if line["event"] == "a service leads elsewhere"]
    assert {line["agent"] for line in lines if line["namespace"] == place.name} == {"a", "b"}

    place.delete("Service", "search")
    wait_for("gone", lambda: place.status()["effectiveEgress"] == [])
    place.wait_condition("NetworkPolicyApplied", "False", "ServiceNotFound", name="b")
    _service(place, {"app": "third"})
    wait_for("one that was made anew is told, too", lambda: _redirects(place, controller)[0] == 4)
    place.wait_condition("NetworkPolicyApplied", "False", REDIRECTED)
    assert _egress(place) == []
    assert place.condition("Accepted")["status"] == "True"


def test_who_writes_the_agent_takes_the_service_as_it_is(place: Place, controller: Controller) -> None:
    _service(place, {"app": "search"})
    place.agent("a", network=TARGET)
    place.wait_applied()
    place.merge("Service", "search", {"spec": {"selector": {"app": "ledger"}}})
    place.wait_condition("NetworkPolicyApplied", "False", REDIRECTED)
    place.change("a", suspended=True)
    wait_for("followed", lambda: _egress(place)[:1] == [_to(place, {"app": "ledger"}, 8080)])
    place.wait_condition("NetworkPolicyApplied", "True")
    assert place.status()["acceptedServices"] == [f"{place.name}/search:80 -> app=ledger:8080"]

    place.merge("Service", "search", {"spec": {"selector": {"app": "search"}}})
    place.wait_condition("NetworkPolicyApplied", "False", REDIRECTED)
    assert _egress(place) == []
    place.merge("Service", "search", {"spec": {"selector": {"app": "ledger"}}})
    wait_for("back, without a word", lambda: _egress(place)[:1] == [_to(place, {"app": "ledger"}, 8080)])


def test_a_controller_that_begins_anew_knows_where_it_led(place: Place, shared: Shared) -> None:
    _service(place, {"app": "search"})
    place.agent("a", network=TARGET)
    place.wait_applied()
    shared.pause()
    place.merge("Service", "search", {"spec": {"selector": {"app": "ledger"}}})
    shared.resume()
    place.wait_condition("NetworkPolicyApplied", "False", REDIRECTED)
    assert _egress(place) == []


def test_a_service_of_another_port_opens_nothing(place: Place) -> None:
    _service(place, {"app": "search"})
    place.agent("a", network={"egress": [{"service": {"name": "search", "port": 81}}]})
    place.wait_condition("NetworkPolicyApplied", "False", "ServiceNotFound")
    assert _egress(place) == []


def test_somebody_elses_kubernetes_service_is_not_the_api_server(place: Place) -> None:
    place.agent("a", permissions={"rules": RULES})
    place.wait_applied()
    body = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["192.0.2.66"]}],
        "ports": [{"port": 6443, "protocol": "TCP"}],
    }
    path = f"/apis/discovery.k8s.io/v1/namespaces/{place.name}/endpointslices"
    assert place.server.request("POST", path, json_bytes(body)).ok
    place.delete("NetworkPolicy", "ringfence-a-allow")
    place.wait_right()
    assert "192.0.2.66" not in str(_egress(place))
