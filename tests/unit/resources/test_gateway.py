"""What an agent with hosts becomes besides: a gateway of its own, and the one way to it."""

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from ringfence.api import parse
from ringfence.api.network import MAX_EGRESS, MAX_RULES
from ringfence.api.status import AgentStatus
from ringfence.policy.pod_security import unrestricted
from ringfence.resources import Agent, JobImage, Manifest, build
from ringfence.resources.gateway import arguments, host_lines, is_of_gateway
from ringfence.resources.gateway_names import authorities_name, gateway_label, gateway_name
from ringfence.resources.model import GatewayReports
from ringfence.resources.network import effective_egress
from ringfence.resources.phases import GATEWAY
from unit.resources.agents import make

IMAGE = "registry.example/a@sha256:" + "0" * 64
ENVOY = JobImage("registry.example/envoy@sha256:" + "1" * 64)
ADDRESS = "10.96.0.9"
API = {"host": "api.example.com"}
SIDECAR = {"name": "beside", "image": IMAGE}


def agent(*egress: dict[str, Any], name: str = "a", **spec: Any) -> Agent:
    made = make({"spec": {"image": IMAGE, "network": {"egress": list(egress)}, **spec}}, name=name)
    return replace(made, gateway_image=ENVOY, gateway_address=ADDRESS)


def of_gateway(one: Agent) -> dict[str, Manifest]:
    return {child["kind"]: child for child in build(one) if is_of_gateway(child["metadata"]["name"])}


def child(one: Agent, kind: str, name: str = "ringfence-a") -> Manifest:
    return next(made for made in build(one) if (made["kind"], made["metadata"]["name"]) == (kind, name))


def test_none_without_hosts_or_without_an_image() -> None:
    assert of_gateway(agent({"cidr": "203.0.113.0/28", "ports": [443]})) == {}
    assert of_gateway(replace(agent(API), gateway_image=None)) == {}


def test_its_fence_comes_first_and_its_children_carry_the_agents_marks() -> None:
    found = of_gateway(agent(API))
    assert list(found) == ["NetworkPolicy", "ServiceAccount", "Service", "Deployment"]
    for one in found.values():
        assert one["metadata"]["labels"]["ringfence.dev/agent"] == "a"
        assert one["metadata"]["ownerReferences"][0]["name"] == "a"
    assert [one.ref.kind for one in GATEWAY.desired(agent(API))] == list(found)


def test_only_its_agent_reaches_it_and_it_reaches_the_dns_and_the_internet() -> None:
    spec = of_gateway(agent(API, {"host": "other.example.com", "ports": [8443]}))["NetworkPolicy"]["spec"]
    assert spec["podSelector"] == {"matchLabels": {"ringfence.dev/agent": "a.gateway"}}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    (rule,) = spec["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": {"ringfence.dev/agent": "a"}}}]
    assert [port["port"] for port in rule["ports"]] == [443, 8443]
    dns, v4, v6 = spec["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    for found, whole in ((v4, "0.0.0.0/0"), (v6, "2000::/3")):
        assert [port["port"] for port in found["ports"]] == [443, 8443]
        assert found["to"][0]["ipBlock"]["cidr"] == whole


TELLS = GatewayReports("10.96.0.7:4318", "ringfence-system", {"app": "x"}, 8318, {"monitoring": "yes"})


def test_it_tells_the_controller_and_is_read_by_scrapers_where_the_administrator_says_so() -> None:
    made = of_gateway(replace(agent(API, {"host": "x.example.com", "ports": [15021]}), gateway_reports=TELLS))
    spec = made["NetworkPolicy"]["spec"]
    _, scraped = spec["ingress"]
    assert scraped["from"] == [{"namespaceSelector": {"matchLabels": {"monitoring": "yes"}}}]
    (observe,) = scraped["ports"]
    pod = made["Deployment"]["spec"]["template"]
    named = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"] if "name" in port}
    assert named == {"observe": observe["port"]} == {"observe": 15022}
    assert pod["metadata"]["labels"]["app.kubernetes.io/component"] == "egress-gateway"
    told = spec["egress"][-1]
    peer = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ringfence-system"}},
        "podSelector": {"matchLabels": {"app": "x"}},
    }
    assert told == {"to": [peer], "ports": [{"port": 8318, "protocol": "TCP"}]}


@pytest.mark.parametrize(
    "closed",
    [
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "127.0.0.1",
        "198.51.100.7",
        "fd00::1",
        "fe80::1",
        "::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "8.8.4.4",
        "2001:4860::5",
    ],
)
def test_never_what_is_not_public_and_never_the_clusters_own(closed: str) -> None:
    cluster = (ip_network("8.8.4.0/24"), ip_network("2001:4860::/64"))
    spec = of_gateway(replace(agent(API), cluster=cluster))["NetworkPolicy"]["spec"]
    address = ip_network(closed)
    peer = spec["egress"][1 if address.version == 4 else 2]["to"][0]["ipBlock"]
    left_out = any(address.subnet_of(ip_network(one)) for one in peer["except"])  # type: ignore[arg-type]
    assert left_out or not address.subnet_of(ip_network(peer["cidr"]))  # type: ignore[arg-type]


def test_a_public_address_is_open() -> None:
    blocks = [one["to"][0]["ipBlock"] for one in of_gateway(agent(API))["NetworkPolicy"]["spec"]["egress"][1:]]
    for address, block in zip(("8.8.8.8", "2606:4700::1111"), blocks, strict=True):
        assert not any(ip_network(address).subnet_of(ip_network(one)) for one in block["except"])  # type: ignore[arg-type]


def test_the_agent_is_let_out_to_its_gateway_and_not_to_dns() -> None:
    egress = child(agent(API), "NetworkPolicy", "ringfence-a-allow")["spec"]["egress"]
    peer = {"podSelector": {"matchLabels": {"ringfence.dev/agent": "a.gateway"}}}
    assert egress == [{"to": [peer], "ports": [{"port": 443, "protocol": "TCP"}]}]


def test_the_agent_finds_the_gateway_at_each_declared_name_and_asks_no_dns() -> None:
    pod = child(agent(API, {"host": "b.example.com"}, {"host": "*.c.example.com"}), "Deployment")
    spec = pod["spec"]["template"]["spec"]
    assert spec["hostAliases"] == [{"ip": ADDRESS, "hostnames": ["api.example.com", "b.example.com"]}]
    assert (spec["dnsPolicy"], spec["dnsConfig"]["nameservers"]) == ("None", ["127.0.0.1"])


def test_it_trusts_by_the_usual_variables_and_has_no_key() -> None:
    one = agent(API, env=[{"name": "SSL_CERT_FILE", "value": "/mine"}])
    spec = child(one, "Deployment")["spec"]["template"]["spec"]
    variables = {entry["name"]: entry.get("value") for entry in spec["containers"][0]["env"]}
    assert variables["NODE_EXTRA_CA_CERTS"] == variables["REQUESTS_CA_BUNDLE"] == "/var/run/ringfence-ca/ca.crt"
    assert variables["SSL_CERT_FILE"] == "/mine"
    (trust,) = (volume for volume in spec["volumes"] if volume["name"] == "trust")
    assert trust["secret"]["secretName"] == authorities_name("a")
    assert trust["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]


def test_names_below_a_wildcard_go_by_the_proxy_and_others_do_not() -> None:
    one = agent(API, {"host": "*.c.example.com", "ports": [3128]}, sidecars=[SIDECAR])
    spec = child(one, "Deployment")["spec"]["template"]["spec"]
    for container in (spec["containers"][0], spec["initContainers"][0]):
        variables = {entry["name"]: entry.get("value") for entry in container["env"]}
        assert variables["HTTPS_PROXY"] == variables["https_proxy"] == f"http://{ADDRESS}:3129"
        assert variables["NO_PROXY"].split(",")[0] == "api.example.com"
        assert "HTTP_PROXY" not in variables
        assert variables["SSL_CERT_FILE"] == "/var/run/ringfence-ca/ca.crt"
        assert "trust" in {mount["name"] for mount in container["volumeMounts"]}
    found = of_gateway(one)
    served = [443, 3128, 3129]
    assert [port["port"] for port in found["Service"]["spec"]["ports"]] == served
    assert [port["port"] for port in found["NetworkPolicy"]["spec"]["ingress"][0]["ports"]] == served
    beyond = found["NetworkPolicy"]["spec"]["egress"][1]["ports"]
    assert [port["port"] for port in beyond] == [443, 3128], "the proxy's own port leads nowhere"


def test_without_a_wildcard_there_is_no_proxy() -> None:
    one = agent(API)
    variables = {
        entry["name"] for entry in child(one, "Deployment")["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    assert not variables & {"HTTPS_PROXY", "NO_PROXY"}
    assert [port["port"] for port in of_gateway(one)["Service"]["spec"]["ports"]] == [443]


def test_its_pod_is_restricted_and_has_no_token() -> None:
    spec = of_gateway(agent(API))["Deployment"]["spec"]["template"]["spec"]
    assert unrestricted(spec, {}) == []
    assert spec["automountServiceAccountToken"] is False
    assert [volume["secret"]["secretName"] for volume in spec["volumes"] if "secret" in volume] == [gateway_name("a")]


def test_a_suspended_agent_has_no_gateway_pods() -> None:
    assert of_gateway(agent(API, suspended=True))["Deployment"]["spec"]["replicas"] == 0


def test_what_names_hosts_changes_the_gateways_pods_in_nothing() -> None:
    one, other = agent(API), agent({"host": "b.example.com", "rules": [{"methods": ["GET"]}]})
    templates = [of_gateway(each)["Deployment"]["spec"]["template"] for each in (one, other)]
    assert templates[0] == templates[1]


@pytest.mark.parametrize("name", ["a", "a" * 46, "a" * 47, "a" * 63])
def test_names_fit_and_are_nobody_elses(name: str) -> None:
    for made in (gateway_name(name), gateway_label(name)):
        assert len(made) <= 63
    assert gateway_name(name).startswith("ringfence--")
    assert gateway_label(name).endswith(".gateway")
    assert gateway_name(name) != gateway_name(name[:-1] + "b")
    assert gateway_label(name) != gateway_label(name[:-1] + "b")


def test_the_status_says_what_is_in_force() -> None:
    rules = [{"methods": ["POST"], "paths": ["/v1/messages"]}, {"methods": ["GET", "HEAD"]}]
    one = agent(API, {"host": "b.example.com", "rules": rules}, {"host": "c.example.com", "mode": "Tunnel"})
    assert effective_egress(one) == [
        "api.example.com:443",
        "b.example.com:443 POST /v1/messages",
        "b.example.com:443 GET,HEAD /*",
        "c.example.com:443 Tunnel",
    ]
    assert host_lines(one.spec.network.egress[0]) == ["api.example.com:443"]


def test_what_runs_is_what_the_gateways_own_tests_run() -> None:
    (envoy,) = of_gateway(agent(API))["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert envoy["args"] == arguments()
    assert envoy["args"][:2] == ["--config-path", "/etc/ringfence/gateway/bootstrap.json"]
    assert {"--disable-hot-restart", "--drain-time-s"} <= set(envoy["args"])


def test_the_status_holds_all_that_an_agent_may_name() -> None:
    rules = [{"methods": ["GET"], "paths": [f"/{number}"]} for number in range(MAX_RULES)]
    hosts = [{"host": f"{number}.example.com", "rules": rules} for number in range(MAX_EGRESS - 1)]
    one = agent(*hosts, {"service": {"name": "search", "port": 80}})
    lines = [*effective_egress(one), "DNS"]
    assert len(lines) > MAX_EGRESS * (MAX_RULES - 1)
    assert parse(AgentStatus, {"effectiveEgress": lines}).errors == ()
