"""Names that an agent's pods know without DNS, as entries of their hosts file: of its Services and of its hosts."""

from collections.abc import Iterator
from typing import Final

from .dns import ServiceName
from .kinds import Manifest
from .model import Agent

OWN: Final = frozenset(
    {
        "localhost",
        "ip6-localhost",
        "ip6-loopback",
        "ip6-localnet",
        "ip6-mcastprefix",
        "ip6-allnodes",
        "ip6-allrouters",
    }
)
"""What the kubelet writes into the hosts file of each pod, and no Service's short name may become."""


def exact_hosts(agent: Agent) -> list[str]:
    """The declared hosts but for wildcards."""
    hosts = {rule.host for rule in agent.spec.network.egress if rule.host is not None}
    return sorted(host for host in hosts if not host.startswith("*"))


def service_names(agent: Agent, service: ServiceName) -> list[str]:
    """The names by which clients find a Service; the short one in the agent's own namespace alone.

    Not one that the agent declares as a host: that one leads to its gateway.
    """
    namespace, name = service
    below = f"{name}.{namespace}"
    found = [below, f"{below}.svc", f"{below}.svc.{agent.dns.domain}"]
    if namespace == agent.namespace and name not in OWN:
        found.insert(0, name)
    hosts = exact_hosts(agent)
    return [one for one in found if one not in hosts]


def host_aliases(agent: Agent) -> list[Manifest]:
    """Each declared host is the gateway's address, and each Service that has an address is that one."""
    found = []
    if (hosts := exact_hosts(agent)) and agent.gateway_address is not None:
        found.append({"ip": agent.gateway_address, "hostnames": hosts})
    for service in sorted(set(_named(agent))):
        names = service_names(agent, service)
        found += [{"ip": address, "hostnames": [*names]} for address in agent.service_addresses.get(service, ())]
    return found


def by_dns(agent: Agent) -> list[ServiceName]:
    """Services that the agent reaches and that have no address of their own: their names are those of pods."""
    there = {key[:2] for key in agent.services}
    return sorted(one for one in set(_named(agent)) & there if not agent.service_addresses.get(one))


def has_dns(agent: Agent) -> bool:
    """Whether the agent is let out to the cluster's DNS. Never for a Service that is not there."""
    return bool(by_dns(agent)) and agent.dns_allowed


def dns_settings(agent: Agent) -> Manifest:
    """For the agent's pods. With names of a hosts file alone there is nobody to ask: it asks nobody, and is told so."""
    if has_dns(agent) or not any(rule.host or rule.service for rule in agent.spec.network.egress):
        return {"dnsPolicy": "ClusterFirst"}
    options = [{"name": "timeout", "value": "1"}, {"name": "attempts", "value": "1"}]
    return {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["127.0.0.1"], "options": options}}


def not_by_proxy(agent: Agent) -> list[str]:
    """Names of Services that no client is to ask the gateway's proxy for."""
    ends = (".svc", f".{agent.dns.domain}")
    names = [name for service in sorted(set(_named(agent))) for name in service_names(agent, service)]
    return [*(name for name in names if not name.endswith(ends)), *ends]


def _named(agent: Agent) -> Iterator[ServiceName]:
    for rule in agent.spec.network.egress:
        if rule.service is not None:
            yield rule.service.namespace or agent.namespace, rule.service.name
