"""The fence in packets: one NetworkPolicy that drops everything, one that allows exactly what the spec names."""

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping

from ringfence.api.names import AGENT_LABEL, MANAGED_BY, MANAGED_BY_LABEL, STANDING_POLICY
from ringfence.api.network import EgressRule, IngressRule
from ringfence.policy.closed import exceptions
from ringfence.policy.text import listed

from . import dns
from .dns import NAMESPACE_NAME_LABEL
from .gateway import host_lines, way_to_gateway
from .hosts_file import has_dns
from .kinds import Manifest
from .model import ALLOW, DENY, FOREGROUND, Agent, Identity, ServicePort, child

LEADS = " -> "
"""Between a Service and where it leads, in a line of the status."""
DNS_LINE = "DNS at "
"""Before where the cluster's DNS answers, in a line of the status."""
EXCEPT = " except "
"""Between a network and what is left out of it, in a line of the status."""
MAX_LINE = 256
"""Characters of such a line, as the CRD bounds it."""

ServiceKey = tuple[str, str, int]
"""Namespace, name and port of a Service."""


def deny_policy(agent: Identity) -> Manifest:
    """Both directions, no rules: whatever no other policy allows is dropped.

    It owns the workload (with the agent), and is deleted foreground, that is after what it owns: when the agent goes,
    the fence stands until the last pod is gone, without a finalizer of ours.
    """
    manifest = child(
        agent,
        "networking.k8s.io/v1",
        "NetworkPolicy",
        suffix=DENY,
        spec={"podSelector": {"matchLabels": agent.selector}, "policyTypes": ["Ingress", "Egress"]},
    )
    manifest["metadata"]["finalizers"] = [FOREGROUND]
    return manifest


def standing_policy(namespace: str) -> Manifest:
    """Drops everything of every pod with an agent's label, whether its agent is there or not.

    It belongs to no agent, and so outlives them all: of a pod without its agent, it is the fence that stays. What an
    agent's own policies allow stays allowed: policies add up.
    """
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": STANDING_POLICY, "namespace": namespace, "labels": {MANAGED_BY_LABEL: MANAGED_BY}},
        "spec": {
            "podSelector": {"matchExpressions": [{"key": AGENT_LABEL, "operator": "Exists"}]},
            "policyTypes": ["Ingress", "Egress"],
        },
    }


def allow_policy(agent: Agent) -> Manifest:
    """Exactly the declared paths; and DNS, where a Service that is there has no address of its own."""
    egress: list[Manifest] = []
    for rule in agent.spec.network.egress:
        egress += _egress(agent, rule)
    if has_dns(agent):
        egress += dns.rules(agent.dns)
    egress += way_to_gateway(agent)
    if agent.spec.permissions.asks:
        egress += _api_server(agent)
    spec: Manifest = {"podSelector": {"matchLabels": agent.selector}, "policyTypes": ["Ingress", "Egress"]}
    if egress:
        spec["egress"] = egress
    if agent.spec.network.ingress:
        spec["ingress"] = [_ingress(agent, rule) for rule in agent.spec.network.ingress]
    return child(agent, "networking.k8s.io/v1", "NetworkPolicy", suffix=ALLOW, spec=spec)


def api_server_only(agent: Agent, name: str, pods: dict[str, str]) -> Manifest:
    """For pods of our own jobs: nobody reaches them, and they reach the API server and nothing else."""
    spec: Manifest = {"podSelector": {"matchLabels": pods}, "policyTypes": ["Ingress", "Egress"]}
    if agent.api_server:
        spec["egress"] = _api_server(agent)
    return child(agent, "networking.k8s.io/v1", "NetworkPolicy", name=name, spec=spec)


def service_key(agent_namespace: str, rule: EgressRule) -> ServiceKey | None:
    """(namespace, name, port) of the Service that a rule names, or None for a rule by address or by host."""
    if rule.service is None:
        return None
    return rule.service.namespace or agent_namespace, rule.service.name, rule.service.port


def effective_egress(agent: Agent) -> list[str]:
    """The destinations in force, one line each, as the status shows them; a Service with where it leads."""
    lines = []
    for rule in agent.spec.network.egress:
        key = service_key(agent.namespace, rule)
        if rule.host is not None:
            lines += [_bounded(line) for line in host_lines(rule)]
        elif rule.cidr is not None:
            lines += _line(rule.cidr, rule.ports or [], agent)
        elif key is not None and key in agent.services:
            lines += lead_lines({key: agent.services[key]})
    return [*lines, _bounded(f"{DNS_LINE}{dns.words(agent.dns)}")] if has_dns(agent) else lines


def _line(cidr: str, ports: list[int], agent: Agent) -> list[str]:
    left_out = exceptions(cidr, agent.cluster)
    if left_out is None:
        return []
    without = f"{EXCEPT}{listed(map(str, left_out))}" if left_out else ""
    return [_bounded(f"{cidr}:{','.join(map(str, ports))}{without}")]


def lead_lines(services: Mapping[ServiceKey, ServicePort], before: Mapping[str, str] | None = None) -> list[str]:
    """Where each Service leads, one line each. `before`: what `leads` said, which stands where both name a Service."""
    found = [_bounded(f"{_named(key)}{LEADS}{_lead(port)}") for key, port in services.items()]
    stood = before or {}
    return sorted(
        [
            *(f"{name}{LEADS}{lead}" for name, lead in stood.items()),
            *(one for one in found if not leads([one]).keys() & stood.keys()),
        ]
    )


def _named(key: ServiceKey) -> str:
    return f"{key[0]}/{key[1]}:{key[2]}"


def leads(lines: Iterable[str]) -> dict[str, str]:
    """Where each Service leads, by lines of `effective_egress`: `tools/search:8443` -> `app=search:8443`."""
    parts = (line.partition(LEADS) for line in lines)
    return {service: lead for service, _, lead in parts if lead}


def _lead(service: ServicePort) -> str:
    labels = ",".join(f"{key}={value}" for key, value in sorted(service.selector.items()))
    return f"{labels}:{service.target_port}"


def _bounded(line: str) -> str:
    """A line that is too long for the status ends with a digest of the whole: another one never looks the same."""
    if len(line) <= MAX_LINE:
        return line
    digest = hashlib.sha256(line.encode()).hexdigest()[:16]
    return f"{line[: MAX_LINE - len(digest) - 3]}...{digest}"


def missing_services(agent: Agent) -> list[str]:
    """Services that the spec names and that are not there (or have no selector, or no such port)."""
    return [_named(key) for key in _service_keys(agent) if key not in agent.services]


def _service_keys(agent: Agent) -> list[ServiceKey]:
    return [key for rule in agent.spec.network.egress if (key := service_key(agent.namespace, rule))]


def _egress(agent: Agent, rule: EgressRule) -> list[Manifest]:
    if rule.cidr is not None:
        return _network(rule.cidr, rule.ports or [], agent)
    key = service_key(agent.namespace, rule)
    if key is None or (service := agent.services.get(key)) is None:
        return []
    return [{"to": [_pods(key[0], dict(service.selector))], "ports": [_tcp(service.target_port)]}]


def _network(cidr: str, ports: list[int], agent: Agent) -> list[Manifest]:
    """A network without what is the cluster's, also what came to be that after the agent was accepted."""
    left_out = exceptions(cidr, agent.cluster)
    if left_out is None:
        return []
    rule = _addresses(cidr, ports)
    if left_out:
        rule["to"][0]["ipBlock"]["except"] = [str(network) for network in left_out]
    return [rule]


def _ingress(agent: Agent, rule: IngressRule) -> Manifest:
    number = next(port.port for port in agent.spec.ports if port.name == rule.port)
    peer = _pods(rule.from_.namespace or agent.namespace, dict(rule.from_.pod_labels))
    return {"from": [peer], "ports": [_tcp(number)]}


def _api_server(agent: Agent) -> list[Manifest]:
    return [_addresses(_host(endpoint.address), [endpoint.port]) for endpoint in agent.api_server]


def _pods(namespace: str, labels: dict[str, str]) -> Manifest:
    return {
        "namespaceSelector": {"matchLabels": {NAMESPACE_NAME_LABEL: namespace}},
        "podSelector": {"matchLabels": labels},
    }


def _addresses(cidr: str, ports: list[int]) -> Manifest:
    return {"to": [{"ipBlock": {"cidr": cidr}}], "ports": [_tcp(port) for port in ports]}


def _host(address: str) -> str:
    return str(ipaddress.ip_network(address))


def _tcp(port: int | str) -> Manifest:
    return {"port": port, "protocol": "TCP"}
