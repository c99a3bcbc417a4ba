"""Whom agents with permissions may reach as the API server: whoever announces a lie opens nothing.

This cluster's API server listens on loopback and announces no address. So servers of the test's own stand in for it, on
an address of this machine: what is sent there does not leave it.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.controller.place import RULES, Place, json_bytes
from api.controller.process import Controller
from cluster import Cluster
from cluster.pki import Authority
from cluster.shell import wait_for

SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
NAME = "kubernetes.default.svc"


@pytest.fixture(scope="module")
def own_address() -> str:
    """An address of this machine other than loopback, which no EndpointSlice may hold."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("203.0.113.1", 9))  # chooses the address, and sends nothing
        return str(probe.getsockname()[0])
    pytest.skip("this machine has no address but loopback")


def _serve(listening: socket.socket, context: ssl.SSLContext) -> None:
    """Shake hands with everybody, and say nothing."""
    while True:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        with client, contextlib.suppress(OSError), context.wrap_socket(client, server_side=True) as tls:
            tls.recv(1)


def _relay(listening: socket.socket, target: tuple[str, int]) -> None:
    """Pass everything on to the real API server, and its answers back: its certificate is shown here."""
    while True:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_pass_on, args=(client, target), daemon=True).start()


def _pass_on(client: socket.socket, target: tuple[str, int]) -> None:
    with client, socket.create_connection(target) as there:
        back = threading.Thread(target=_copy, args=(there, client), daemon=True)
        back.start()
        _copy(client, there)
        back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


class Others:
    """Servers on the machine's own address."""

    def __init__(self, address: str, ca: Authority, target: tuple[str, int]) -> None:
        self.address, self._ca, self._target = address, ca, target
        self._listening: list[socket.socket] = []

    def shows(self, *names: str, ca: Authority | None = None) -> int:
        """One that shows a certificate for `names`; its port."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*(ca or self._ca).issue(f"server-{len(self._listening)}", user="server", names=names))
        return self._start(_serve, context)

    def relays(self) -> int:
        """One that passes everything on to the API server; its port."""
        return self._start(_relay, self._target)

    def close(self) -> None:
        for one in self._listening:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _start(self, work: Any, argument: object) -> int:
        listening = socket.create_server((self.address, 0))
        self._listening.append(listening)
        threading.Thread(target=work, args=(listening, argument), daemon=True).start()
        return int(listening.getsockname()[1])


@pytest.fixture
def others(own_address: str, cluster: Cluster, tmp_path: Path) -> Iterator[Others]:
    known = Authority.load(cluster.kubeconfig.parent / "pki", "ca")
    host, _, port = cluster.server.removeprefix("https://").partition(":")
    found = Others(own_address, Authority(known.certificate, known.key, tmp_path), (host, int(port)))
    yield found
    found.close()


class Announcements:
    """EndpointSlices of default/kubernetes; all are gone at the end."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._made: set[str] = set()

    def put(self, name: str, address: str, *ports: int) -> None:
        body = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address]}],
            "ports": [{"name": f"p{port}", "port": port, "protocol": "TCP"} for port in ports],
        }
        self.remove(name)
        answer = self._place.server.request("POST", SLICES, json_bytes(body))
        assert answer.ok, answer
        self._made.add(name)

    def remove(self, name: str) -> None:
        self._place.server.request("DELETE", f"{SLICES}/{name}")

    def clear(self) -> None:
        for name in self._made:
            self.remove(name)


@pytest.fixture
def announce(place: Place) -> Iterator[Announcements]:
    found = Announcements(place)
    yield found
    found.clear()


def _opened(place: Place, address: str, name: str = "a") -> set[int]:
    """The ports of `address` that an agent's policy opens."""
    rules = place.get("NetworkPolicy", f"ringfence-{name}-allow")["spec"].get("egress", [])
    here = [rule for rule in rules if {"ipBlock": {"cidr": f"{address}/32"}} in rule["to"]]
    return {port["port"] for rule in here for port in rule["ports"]}


def _doubted(controller: Controller) -> float:
    return controller.metric("ringfence_api_server_addresses", state="doubted")


def _told(controller: Controller, slice_name: str) -> list[str]:
    lines = [line for line in controller.lines if line["event"] == "an address is not taken for the API server's"]
    return [line["why"] for line in lines if line["slice"] == f"default/{slice_name}"]


def test_a_slice_of_somebody_elses_opens_nothing_closes_nothing_and_is_told(
    place: Place, controller: Controller, others: Others, announce: Announcements
) -> None:
    network = {"egress": [{"cidr": f"{others.address}/32", "ports": [443]}]}
    policy = {"metadata": {"name": place.name}, "spec": _policy_of(place, f"{others.address}/32")}
    path = "/apis/ringfence.dev/v1alpha1/agentpolicies"
    assert place.server.request("POST", path, json_bytes(policy | _KIND)).ok
    place.agent("a", permissions={"level": "ReadOnly", "rules": RULES})
    place.agent("b", network=network)
    place.wait_applied()
    place.wait_applied("b")
    name = f"kubernetes-{place.name}"
    try:
        announce.put(name, others.address, others.shows(NAME, others.address))
        wait_for("it is told", lambda: _told(controller, name))
        wait_for("it is counted", lambda: _doubted(controller) >= 1)
        assert "EndpointSlice default/kubernetes alone" in _told(controller, name)[0]
        # Whatever it made of the lie, it has done by now: a later change of the same agents is through.
        for agent in ("a", "b"):
            place.change(agent, args=["later"])
            place.wait_applied(agent)
            assert place.condition("Accepted", agent)["status"] == "True"
        assert _opened(place, others.address) == set()
        events = place.server.request("GET", "/apis/events.k8s.io/v1/namespaces/default/events").body["items"]
        ours = [one for one in events if one["regarding"]["name"] == name]
        assert [(one["reason"], one["regarding"]["kind"]) for one in ours] == [("AddressDoubted", "EndpointSlice")]
    finally:
        place.server.request("DELETE", f"{path}/{place.name}")


def test_only_who_shows_the_certificate_for_the_address_is_reached(
    place: Place, controller: Controller, others: Others, announce: Announcements, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    right = others.shows(NAME, others.address)
    wrong = {
        "a relay to the API server": others.relays(),
        "a kubelet": others.shows(others.address),
        "another CA": others.shows(NAME, others.address, ca=Authority.create(tmp_path / "other", "ca")),
    }
    with socket.socket() as unused:
        unused.bind((others.address, 0))
        wrong["nobody"] = unused.getsockname()[1]
        place.agent("a", permissions={"level": "ReadOnly", "rules": RULES})
        place.agent("b")
        place.wait_applied()
        place.wait_applied("b")
        announce.put("kubernetes", others.address, right, *wrong.values())
        wait_for("it is reached", lambda: _opened(place, others.address) == {right})
        wait_for("the others are counted", lambda: _doubted(controller) == len(wrong))
    assert _opened(place, others.address) == {right}
    assert "egress" not in place.get("NetworkPolicy", "ringfence-b-allow")["spec"]
    assert {"certificate does not name" in why for why in _told(controller, "kubernetes")} == {True, False}
    announce.remove("kubernetes")
    wait_for("closed", lambda: _opened(place, others.address) == set())


_KIND = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentPolicy"}


def _policy_of(place: Place, cidr: str) -> dict[str, Any]:
    """Allows the namespace of the test what its agents ask for."""
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.name}},
        "egress": {"cidrs": [cidr], "maxPublicAddresses": 10},
        "permissions": {"maxLevel": "ReadOnly", "allow": RULES},
        "images": {"registries": ["registry.example"]},
    }
