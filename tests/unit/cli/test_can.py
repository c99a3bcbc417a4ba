"""`ringfence can`: the answer is that of the stored NetworkPolicies, and of the API server or the agent's Role."""

import json
import socket
from typing import Any

import pytest
from click.testing import Result

from ringfence.api import AgentDeploymentSpec, parse
from ringfence.api.names import API_VERSION
from ringfence.cli.reachable import Target, read_target
from ringfence.resources import Agent, ServicePort
from ringfence.resources.network import allow_policy
from unit.cli.fake import NAMESPACE, Cluster, agent

IMAGE = "registry.example/a@sha256:" + "0" * 64
EGRESS = [
    {"cidr": "203.0.113.0/28", "ports": [443]},
    {"service": {"name": "search", "namespace": "tools", "port": 80}},
    {"service": {"name": "panel", "port": 80}},
]


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("203.0.113.7:443", Target("address", "203.0.113.7", None, "443")),
        ("[2001:db8::1]:443", Target("address", "2001:db8::1", None, "443")),
        ("api.example.com:443", Target("host", "api.example.com", None, "443")),
        ("service/search.tools:80", Target("service", "search", "tools", "80")),
        ("svc/search:http", Target("service", "search", None, "http")),
        ("search.tools.svc:80", Target("service", "search", "tools", "80")),
        ("search.tools.svc.cluster.local:80", Target("service", "search", "tools", "80")),
        ("agent/panel:http", Target("agent", "panel", None, "http")),
        ("agent/panel.ops:8080", Target("agent", "panel", "ops", "8080")),
        ("panel:8080", Target("name", "panel", None, "8080")),
    ],
)
def test_a_target_is_read(text: str, target: Target) -> None:
    assert read_target(text) == target


@pytest.mark.parametrize(
    "text",
    ["", "203.0.113.7", ":443", "a:0", "a:65536", "2001:db8::1:443", "https://a:443", "a b:1", "x/a:1", "a:-1x y"],
)
def test_what_is_no_target_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"write ADDRESS|a port is"):
        read_target(text)


def put(kube: Cluster, name: str, spec: dict[str, Any], services: dict[Any, ServicePort] | None = None) -> None:
    """An agent with its allow policy, as the controller would have written both."""
    parsed = parse(AgentDeploymentSpec, {"image": IMAGE} | spec).value
    assert parsed is not None
    kube.put(API_VERSION, "agentdeployments", agent(name, spec=spec))
    made = allow_policy(Agent(name=name, namespace=NAMESPACE, uid="u", spec=parsed, services=services or {}))
    kube.put("networking.k8s.io/v1", "networkpolicies", made)


def service(kube: Cluster, name: str, namespace: str, selector: dict[str, str] | None, target: int | str) -> None:
    spec = {"ports": [{"name": "http", "port": 80, "targetPort": target}]} | (
        {"selector": selector} if selector else {}
    )
    kube.put("v1", "services", {"metadata": {"name": name, "namespace": namespace}, "spec": spec})


@pytest.fixture
def crew(kube: Cluster) -> Cluster:
    """A researcher that may reach a network, a Service of tools, and the panel, which lets it in."""
    selector = {"ringfence.dev/agent": "panel"}
    services = {
        ("tools", "search", 80): ServicePort({"app": "search"}, "web"),
        (NAMESPACE, "panel", 80): ServicePort(selector, 8080),
    }
    put(kube, "researcher", {"network": {"egress": EGRESS}}, services)
    caller = {"from": {"podLabels": {"ringfence.dev/agent": "researcher"}}, "port": "http"}
    ports = [{"name": "http", "port": 8080}, {"name": "debug", "port": 9090}]
    put(kube, "panel", {"ports": ports, "network": {"ingress": [caller]}})
    put(kube, "stranger", {})
    service(kube, "search", "tools", {"app": "search", "tier": "1"}, "web")
    service(kube, "panel", NAMESPACE, selector, 8080)
    service(kube, "other", "tools", {"app": "other"}, 80)
    service(kube, "outside", "tools", None, 80)
    return kube


def ask(kube: Cluster, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    return kube.run(monkeypatch, "can", *arguments)


@pytest.mark.parametrize(
    ("name", "target", "code", "said"),
    [
        ("researcher", "203.0.113.7:443", 0, "is open to it"),
        ("researcher", "203.0.113.7:80", 1, "add it to spec.network.egress"),
        ("researcher", "203.0.113.77:443", 1, "is not open to it"),
        ("researcher", "[2001:db8::1]:443", 1, "is not open to it"),
        ("researcher", "service/search.tools:80", 0, "port web is open to it"),
        ("researcher", "search.tools.svc:http", 0, "port web is open to it"),
        ("researcher", "service/other.tools:80", 1, "add service: {name: other, namespace: tools, port: 80}"),
        ("researcher", "service/outside.tools:80", 1, "has no selector"),
        ("researcher", "service/search.tools:81", 2, "has no port 81; it has 80"),
        ("researcher", "service/absent:80", 2, "there is no Service absent"),
        ("researcher", "panel:80", 0, "leads to pods whose port 8080"),
        ("researcher", "agent/panel:http", 0, "both fences let it through to port 8080"),
        ("researcher", "agent/panel:debug", 1, "closed by its own fence and by the fence of research/panel"),
        ("researcher", "agent/panel:nothing", 2, "has no port nothing; it has http, debug"),
        ("researcher", "absent:80", 2, "no Service and no agent absent"),
        ("stranger", "agent/panel:http", 1, "network.ingress: [{from: {podLabels: {ringfence.dev/agent: stranger}}"),
        ("stranger", "203.0.113.7:443", 1, "is not open to it"),
        ("researcher", "nonsense", 2, "is no target; write ADDRESS:PORT"),
        ("nobody", "203.0.113.7:443", 2, "no agent nobody"),
    ],
)
def test_reach(crew: Cluster, monkeypatch: pytest.MonkeyPatch, *, name: str, target: str, code: int, said: str) -> None:
    shown = ask(crew, monkeypatch, name, "reach", target)
    assert (shown.exit_code, said in shown.output) == (code, True), shown.output
    assert shown.stdout.startswith({0: "yes: ", 1: "no: ", 2: ""}[code])


def test_each_address_of_a_host_must_be_open(crew: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = {"all.example": ["203.0.113.1", "203.0.113.2"], "some.example": ["203.0.113.1", "198.51.100.1"]}

    def look_up(host: str, *_: Any, **__: Any) -> list[Any]:
        if host not in addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0)) for one in addresses[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert ask(crew, monkeypatch, "researcher", "reach", "all.example:443").exit_code == 0
    some = ask(crew, monkeypatch, "researcher", "reach", "some.example:443")
    assert (some.exit_code, some.stdout.startswith("no: 198.51.100.1 port 443")) == (1, True)
    assert ask(crew, monkeypatch, "researcher", "reach", "none.example:443").exit_code == 2


def test_without_a_policy_nothing_is_open(crew: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    crew.put_agent("new")
    assert ask(crew, monkeypatch, "new", "reach", "203.0.113.7:443").exit_code == 1


HOSTS = [
    {"host": "api.example.com", "ports": [443, 80], "rules": [{"methods": ["POST"], "paths": ["/v1/messages"]}]},
    {"host": "*.example.com"},
    {"host": "git.example.org", "mode": "Tunnel", "ports": [8443]},
]


@pytest.mark.parametrize(
    ("target", "code", "said"),
    [
        ("api.example.com:443", 0, "by the gateway: POST /v1/messages"),
        ("API.example.com.:80", 0, "api.example.com port 80"),
        ("www.example.com:443", 0, "*.example.com port 443 is open to it by the gateway: any request"),
        ("git.example.org:8443", 0, "by a tunnel, in which the gateway sees nothing"),
        ("git.example.org:443", 2, "has no address here"),
        ("a.b.example.com:443", 2, "has no address here"),
    ],
)
def test_a_host_that_the_spec_names_is_not_looked_up(
    kube: Cluster, monkeypatch: pytest.MonkeyPatch, target: str, code: int, said: str
) -> None:
    def look_up(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    put(kube, "caller", {"image": IMAGE, "network": {"egress": HOSTS}})
    shown = ask(kube, monkeypatch, "caller", "reach", target)
    assert (shown.exit_code, said in shown.output) == (code, True), shown.output


RULE = {"apiGroups": [""], "resources": ["pods/log", "configmaps"], "verbs": ["get"]}


@pytest.mark.parametrize(
    ("question", "code"),
    [
        (("get", "pods/log"), 0),
        (("get", "configmaps"), 0),
        (("get", "pods"), 1),
        (("delete", "configmaps"), 1),
        (("get", "configmaps.apps"), 1),
    ],
)
def test_by_its_role_where_the_api_server_may_not_be_asked(
    crew: Cluster, monkeypatch: pytest.MonkeyPatch, question: tuple[str, str], code: int
) -> None:
    role = {"metadata": {"name": "ringfence-researcher", "namespace": NAMESPACE}, "rules": [RULE]}
    crew.put("rbac.authorization.k8s.io/v1", "roles", role)
    crew.answer(403, path=f"/apis/authorization.k8s.io/v1/namespaces/{NAMESPACE}/localsubjectaccessreviews")
    shown = ask(crew, monkeypatch, "researcher", *question, "-o", "json")
    assert shown.exit_code == code, shown.output
    assert json.loads(shown.stdout)["allowed"] is (code == 0)
    assert "by its Role alone" in shown.stderr
    assert ask(crew, monkeypatch, "researcher", "reach", "a:1", "--resource-name", "x").exit_code == 2
