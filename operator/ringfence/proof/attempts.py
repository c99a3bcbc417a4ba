"""The table of an agent: what its spec allows must work, and what attackers try first must not."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from itertools import islice, product
from typing import Final, Literal

from ringfence.api.network import HTTP, EgressRule
from ringfence.api.permissions import AgentRule
from ringfence.policy.closed import exceptions
from ringfence.policy.elsewhere import places
from ringfence.resources import Agent, Endpoint
from ringfence.resources.dns import PORT
from ringfence.resources.gateway import host_rules, proxy_port
from ringfence.resources.hosts_file import has_dns
from ringfence.resources.network import service_key
from ringfence.resources.workload import TOKEN_PATH

from .expectations import NODE, SERVICE_HOST, Ask, Connect, Expectation, File, Handshake, Query, Read, Want

METADATA: Final = ("169.254.169.254", "fd00:ec2::254")
"""Where clouds tell machines who they are, and hand out their credentials (AWS: both; the others the first)."""
KUBELET, KUBELET_READS, ETCD, HTTPS = 10250, 10255, 2379, 443
STRANGER: Final = "not-declared.invalid"
"""A name that no agent can declare: RFC 6761 section 6.4."""
MOST: Final = 48
"""Attempts of one kind: of an agent with more rules the first ones are tried."""
MOST_GATEWAYS: Final = 2
PROTOCOLS: Final[tuple[Literal["TCP", "UDP"], ...]] = ("TCP", "UDP")
NEVER: Final = (
    Ask("list", "secrets"),
    Ask("create", "pods"),
    Ask("create", "pods/exec"),
    Ask("create", "serviceaccounts/token"),
    Ask("create", "rolebindings", "rbac.authorization.k8s.io"),
    Ask("escalate", "roles", "rbac.authorization.k8s.io"),
    Ask("delete", "networkpolicies", "networking.k8s.io"),
    Ask("patch", "agentdeployments", "ringfence.dev"),
    Ask("*", "*", "*"),
)
"""In its own namespace; policy/grants.py gives none of them to anybody."""
NEVER_OF_CLUSTER: Final = (
    Ask("list", "secrets"),
    Ask("get", "nodes/proxy"),
    Ask("impersonate", "users"),
    Ask("create", "clusterrolebindings", "rbac.authorization.k8s.io"),
    Ask("bind", "clusterroles", "rbac.authorization.k8s.io"),
    Ask("approve", "certificatesigningrequests", "certificates.k8s.io"),
)
HARM: Final = ("delete", "deletecollection")
"""Verbs that are asked about for each resource of which an agent has others."""


@dataclass(frozen=True)
class Surroundings:
    """Addresses around an agent that must be closed to it.

    `canary`: what answers everybody, so that silence is the fence. `dns`: servers of the cluster. `gateways`: of other
    agents.
    """

    canary: tuple[Endpoint, ...] = ()
    dns: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()


NOTHING_AROUND: Final = Surroundings()


def attempts_of(agent: Agent, around: Surroundings = NOTHING_AROUND) -> list[Expectation]:
    """The whole table, what must work first. No two attempts have the same id."""
    found = (
        *islice(_services(agent), MOST),
        *islice(_networks(agent), MOST),
        *islice(_hosts(agent), MOST),
        *_canary(around),
        *_never_reached(agent, around),
        *_stranger(agent),
        *_dns(agent, around),
        *_api(agent),
    )
    opened = {_reached(one) for one in found if one.want == "open"} - {None}
    wanted = (one for one in found if one.want == "open" or _reached(one) not in opened)
    return list({one.id: one for one in wanted}.values())


def _reached(one: Expectation) -> tuple[str, int] | None:
    """Where it leads: what the spec opens is not expected to be closed, whatever else it is."""
    match one.what:
        case Connect(address, port, "TCP"):
            return address, port
        case Query(address):
            return address, PORT
    return None


def _services(agent: Agent) -> Iterator[Expectation]:
    for rule in agent.spec.network.egress:
        key = service_key(agent.namespace, rule)
        if key is None or key not in agent.services:
            continue
        for address in agent.service_addresses.get(key[:2], ()):
            yield Expectation(
                about=f"service {key[0]}/{key[1]}",
                what=Connect(address, key[2]),
                want="open",
                why="the spec allows this Service",
            )


def _networks(agent: Agent) -> Iterator[Expectation]:
    """One address of each network: nobody knows whether anything is there."""
    for rule in agent.spec.network.egress:
        if rule.cidr is None or (left_out := exceptions(rule.cidr, agent.cluster)) is None:
            continue
        whole = ip_network(rule.cidr)
        hosts = (str(one) for one in islice(whole.hosts(), 256) if not any(one in network for network in left_out))
        if (address := next(hosts, None)) is None:
            continue
        for port in rule.ports or ():
            why = "the spec allows this network"
            yield Expectation(
                about=f"network {rule.cidr}", what=Connect(address, port), want="open", why=why, sure=False
            )


def _hosts(agent: Agent) -> Iterator[Expectation]:
    """At the gateway; what is behind it is not asked, as that may be somebody's server that is down."""
    address = agent.gateway_address
    if address is None:
        return
    for rule in host_rules(agent):
        for port in (proxy_port(agent),) if _is_wildcard(rule) else rule.host_ports:
            by_name = port != HTTP and not rule.is_tunnel and not _is_wildcard(rule)
            yield Expectation(
                about=f"host {rule.host}",
                what=Handshake(address, port, str(rule.host)) if by_name else Connect(address, port),
                want="open",
                why="the spec allows this host, through the agent's egress gateway",
            )


def _stranger(agent: Agent) -> Iterator[Expectation]:
    ports = [port for rule in host_rules(agent) if not rule.is_tunnel for port in rule.host_ports if port != HTTP]
    if agent.gateway_address is not None and ports:
        yield Expectation(
            about="host",
            what=Handshake(agent.gateway_address, ports[0], STRANGER),
            want="closed",
            why="the gateway lets no other name through",
        )


def _is_wildcard(rule: EgressRule) -> bool:
    return str(rule.host).startswith("*")


def _dns(agent: Agent, around: Surroundings) -> Iterator[Expectation]:
    want: Want = "open" if has_dns(agent) else "closed"
    why = "it calls a headless Service, whose names only DNS knows" if has_dns(agent) else "names could carry data out"
    for address in around.dns:
        yield Expectation(about="DNS", what=Query(address), want=want, why=why)
        yield Expectation(about="DNS", what=Connect(address, PORT), want=want, why=why)


def _api(agent: Agent) -> Iterator[Expectation]:
    asked = agent.spec.permissions
    if not asked.asks:
        for place in (*map(_place, agent.api_server), Connect(SERVICE_HOST, HTTPS)):
            yield Expectation(
                about="API server", what=place, want="closed", why="an agent without permissions has no way to it"
            )
        token = File(f"{TOKEN_PATH}/token")
        yield Expectation(
            about="token", what=token, want="closed", why="an agent without permissions has no credential"
        )
        return
    allowed = list(dict.fromkeys(_allowed(agent)))
    for one in allowed[:MOST]:
        yield Expectation(about="API", what=one, want="open", why="spec.permissions has it")
    for one in islice(_not_allowed(agent, allowed), MOST):
        yield Expectation(about="API", what=one, want="closed", why="spec.permissions does not have it")
    secrets = Read(f"/api/v1/namespaces/{agent.namespace}/secrets?limit=1")
    yield Expectation(about="API", what=secrets, want="closed", why="no agent reads Secrets")


def _place(endpoint: Endpoint) -> Connect:
    return Connect(endpoint.address, endpoint.port)


def _allowed(agent: Agent) -> Iterator[Ask]:
    asked = agent.spec.permissions
    own = [rule for rule in asked.rules if agent.namespace in places(rule, agent.namespace)]
    yield from _asks(own, agent.namespace)
    for namespace, (_, rules) in sorted(agent.elsewhere.items()):
        yield from _asks(rules, namespace)
    for name in asked.cluster_reads:
        yield Ask("list", name, "storage.k8s.io" if name == "storageclasses" else "")


def _asks(rules: Sequence[AgentRule], namespace: str) -> Iterator[Ask]:
    for rule in rules:
        name = rule.resource_names[0] if rule.resource_names else ""
        for group, resource, verb in product(rule.api_groups, rule.resources, rule.verbs):
            yield Ask(verb, resource, group, namespace, name)


def _not_allowed(agent: Agent, allowed: Iterable[Ask]) -> Iterator[Ask]:
    for one in NEVER:
        yield Ask(one.verb, one.resource, one.group, agent.namespace)
    yield from NEVER_OF_CLUSTER
    has = {(one.group, one.resource, one.verb, one.namespace) for one in allowed}
    for group, resource, namespace in dict.fromkeys((one.group, one.resource, one.namespace) for one in allowed):
        for verb in HARM:
            if (group, resource, verb, namespace) not in has and "/" not in resource:
                yield Ask(verb, resource, group, namespace)


def _canary(around: Surroundings) -> Iterator[Expectation]:
    """First of what must fail: no better proof, and no simpler one to understand."""
    for one in around.canary:
        why = "it answers everybody whom no fence holds back"
        for protocol in PROTOCOLS:
            place = Connect(one.address, one.port, protocol)
            yield Expectation(about="canary", what=place, want="closed", why=why)


def _never_reached(agent: Agent, around: Surroundings) -> Iterator[Expectation]:
    for address in METADATA:
        why = "it hands out the machine's credentials"
        yield Expectation(about="metadata", what=Connect(address, HTTP), want="closed", why=why, sure=False)
    why = "who reaches a kubelet may reach every pod of its node"
    yield Expectation(about="kubelet", what=Connect(NODE, KUBELET), want="closed", why=why)
    yield Expectation(about="kubelet", what=Connect(NODE, KUBELET_READS), want="closed", why=why, sure=False)
    for host in dict.fromkeys(one.address for one in agent.api_server):
        why = "it holds all Secrets"
        yield Expectation(about="etcd", what=Connect(host, ETCD), want="closed", why=why, sure=False)
    for address in around.gateways[:MOST_GATEWAYS]:
        why = "another agent's gateway is another agent's alone"
        if ip_address(address) and address != agent.gateway_address:
            yield Expectation(about="gateway", what=Connect(address, HTTPS), want="closed", why=why, sure=False)
