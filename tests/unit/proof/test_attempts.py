"""Which attempts the table of an agent has."""

from dataclasses import replace
from typing import Any

import pytest

from ringfence.proof.attempts import MOST, NEVER, NEVER_OF_CLUSTER, STRANGER, Surroundings, attempts_of
from ringfence.proof.expectations import NODE, Ask, Expectation, Handshake
from ringfence.resources import Agent, Endpoint
from unit.resources.agents import make

AROUND = Surroundings(
    canary=(Endpoint("10.96.0.9", 8080), Endpoint("fd00:96::9", 8080)), dns=("10.96.0.10",), gateways=("10.96.0.77",)
)
IMAGE = "registry.example/agent@sha256:" + "0" * 64
SERVICE = {"service": {"name": "search", "namespace": "tools", "port": 8443}}
FOUND: dict[str, Any] = {
    "services": {"tools/search:8443": {"selector": {"app": "search"}, "target": 8443}},
    "addresses": {"tools/search": ["10.96.7.7"]},
}
HEADLESS: dict[str, Any] = {"services": FOUND["services"]}
READS = {"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]}


def agent(egress: Any = (), permissions: Any = None, **more: Any) -> Agent:
    spec = {"image": IMAGE, "network": {"egress": list(egress)}, "permissions": permissions or {}}
    return replace(make({"spec": spec, "api_server": ["172.18.0.2:6443"], **more}), gateway_address="10.96.0.50")


def table(*args: Any, **more: Any) -> dict[str, Expectation]:
    return {one.id: one for one in attempts_of(agent(*args, **more), AROUND)}


def wants(found: dict[str, Expectation], want: str) -> set[str]:
    return {name for name, one in found.items() if one.want == want}


ALWAYS_CLOSED = {
    "canary: 10.96.0.9:8080",
    "canary: 10.96.0.9:8080/UDP",
    "canary: [fd00:96::9]:8080",
    "canary: [fd00:96::9]:8080/UDP",
    "metadata: 169.254.169.254:80",
    "metadata: [fd00:ec2::254]:80",
    "kubelet: node:10250",
    "kubelet: node:10255",
    "etcd: 172.18.0.2:2379",
    "gateway: 10.96.0.77:443",
}
DNS = {"DNS: 10.96.0.10/UDP", "DNS: 10.96.0.10:53"}
NO_API = {
    "API server: 172.18.0.2:6443",
    "API server: service:443",
    "token: /var/run/secrets/kubernetes.io/serviceaccount/token",
}


def test_an_agent_that_may_do_nothing_reaches_nothing() -> None:
    found = table()
    assert wants(found, "open") == set()
    assert wants(found, "closed") == ALWAYS_CLOSED | DNS | NO_API


@pytest.mark.parametrize(
    ("rule", "more", "opened"),
    [
        (SERVICE, FOUND, {"service tools/search: 10.96.7.7:8443"}),
        (SERVICE, {}, set()),  # it is not there
        (SERVICE, HEADLESS, DNS),
        (
            {"cidr": "203.0.113.0/28", "ports": [443, 80]},
            {},
            {"network 203.0.113.0/28: 203.0.113.1:443", "network 203.0.113.0/28: 203.0.113.1:80"},
        ),
        ({"cidr": "2001:db8::/64", "ports": [443]}, {}, {"network 2001:db8::/64: [2001:db8::1]:443"}),
        ({"host": "api.example.com"}, {}, {"host api.example.com: api.example.com:443"}),
        ({"host": "api.example.com", "ports": [80]}, {}, {"host api.example.com: 10.96.0.50:80"}),
        ({"host": "api.example.com", "mode": "Tunnel"}, {}, {"host api.example.com: 10.96.0.50:443"}),
        ({"host": "*.example.com"}, {}, {"host *.example.com: 10.96.0.50:3128"}),
    ],
)
def test_what_the_spec_allows_must_work(rule: Any, more: Any, opened: set[str]) -> None:
    assert wants(table([rule], **more), "open") == opened


def test_a_network_may_be_silent_by_itself_and_a_service_may_not() -> None:
    found = table([SERVICE, {"cidr": "203.0.113.0/28", "ports": [443]}], **FOUND)
    assert not found["network 203.0.113.0/28: 203.0.113.1:443"].sure
    assert found["service tools/search: 10.96.7.7:8443"].sure


def test_another_name_at_the_gateway_must_fail() -> None:
    found = attempts_of(agent([{"host": "api.example.com"}]), AROUND)
    strange = [one for one in found if isinstance(one.what, Handshake) and one.what.host == STRANGER]
    assert [one.want for one in strange] == ["closed"]


def test_what_the_spec_opens_is_not_expected_to_be_closed() -> None:
    dns = {
        "services": {"kube-system/kube-dns:53": {"selector": {"k8s-app": "kube-dns"}, "target": 53}},
        "addresses": {"kube-system/kube-dns": ["10.96.0.10"]},
    }
    rule = {"service": {"name": "kube-dns", "namespace": "kube-system", "port": 53}}
    found = table([rule], **dns)
    assert not wants(found, "closed") & DNS
    assert "service kube-system/kube-dns: 10.96.0.10:53" in wants(found, "open")


class TestPermissions:
    def test_what_it_may_and_what_nobody_may(self) -> None:
        found = table(permissions=READS)
        asked = {one.what: one.want for one in found.values() if isinstance(one.what, Ask)}
        assert {what for what, want in asked.items() if want == "open"} == {
            Ask("get", "configmaps", "", "ns"),
            Ask("list", "configmaps", "", "ns"),
        }
        assert {what for what, want in asked.items() if want == "closed"} == {
            *(replace(one, namespace="ns") for one in NEVER),
            *NEVER_OF_CLUSTER,
            Ask("delete", "configmaps", "", "ns"),
            Ask("deletecollection", "configmaps", "", "ns"),
        }
        assert found["API: GET /api/v1/namespaces/ns/secrets"].want == "closed"
        assert not wants(found, "closed") & NO_API, "it has a way to the API server"

    def test_a_right_that_it_has_is_not_expected_to_be_refused(self) -> None:
        rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "delete"]}
        found = table(permissions={"level": "Admin", "rules": [rule]})
        assert found["API: delete pods in ns"].want == "open"
        assert found["API: deletecollection pods in ns"].want == "closed"

    def test_rights_elsewhere_are_asked_about_where_they_are_given(self) -> None:
        found = table(permissions={"rules": [READS["rules"][0] | {"namespaces": ["ops"]}]})
        assert wants(found, "open") == set(), "ops does not consent"
        there = agent(permissions={"rules": [READS["rules"][0] | {"namespaces": ["ops"]}]})
        there = replace(there, elsewhere={"ops": ("ReadOnly", there.spec.permissions.rules)})
        opened = {one.id for one in attempts_of(there, AROUND) if one.want == "open"}
        assert opened == {"API: get configmaps in ops", "API: list configmaps in ops"}


def test_the_table_is_bounded_and_each_id_is_there_once() -> None:
    hosts = [{"host": f"h{number}.example.com", "ports": [443, 8443]} for number in range(100)]
    found = attempts_of(agent([*hosts, *hosts[:1]]), AROUND)
    assert sum(one.about.startswith("host h") for one in found) == MOST
    assert len({one.id for one in found}) == len(found)


def test_as_json_says_all_that_the_pod_needs() -> None:
    node = table()["kubelet: node:10250"]
    assert node.as_json() == {
        "id": "kubelet: node:10250",
        "want": "closed",
        "why": node.why,
        "do": "connect",
        "protocol": "TCP",
        "address": NODE,
        "port": 10250,
    }
    exec_into = table(permissions=READS)["API: create pods/exec in ns"].as_json()
    assert exec_into["about"] == {"verb": "create", "resource": "pods", "subresource": "exec", "namespace": "ns"}
