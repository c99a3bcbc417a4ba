"""Where the cluster's DNS answers, as pods reach it: what an agent that calls a Service is let out to."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .kinds import Manifest

PORT: Final = 53
USUAL: Final = ("kube-system", {"k8s-app": "kube-dns"})
"""Namespace and labels of the DNS pods where no Service says otherwise: those of Kubernetes' own addons."""
KNOWN: Final = (("kube-system", "kube-dns"), ("kube-system", "coredns"))
"""Services of the cluster's DNS: Kubernetes' own name, which nearly all keep, and that of kubespray."""
OPENSHIFT: Final = ("openshift-dns", "dns-default")
"""OpenShift's. Elsewhere anybody could make a namespace of that name."""
NODE_LOCAL: Final = ("kube-system", "kube-dns-upstream")
"""The Service that comes with NodeLocal DNSCache (kubernetes/kubernetes, cluster/addons/dns/nodelocaldns)."""
NODE_LOCAL_ADDRESS: Final = "169.254.20.10"
"""Where that cache listens on each node, besides at the address of the DNS Service itself."""
NAMESPACE_NAME_LABEL: Final = "kubernetes.io/metadata.name"
"""Set on every namespace by the API server, and not changeable by its users."""
DOMAIN: Final = "cluster.local"
"""Below which the names of the cluster are, where nobody chose another one."""

ServiceName = tuple[str, str]
"""Namespace and name of a Service."""
_PROTOCOLS: Final = ("UDP", "TCP")


@dataclass(frozen=True)
class DnsPods:
    """DNS servers that are pods. `ports`: protocol, and the pods' own port (a number or a name)."""

    namespace: str
    labels: tuple[tuple[str, str], ...]
    ports: tuple[tuple[str, int | str], ...]


@dataclass(frozen=True)
class Dns:
    """All there are. `addresses`: of servers on the nodes themselves, each as one address in CIDR form.

    `domain`: below which the names of the cluster are.
    """

    pods: tuple[DnsPods, ...]
    addresses: tuple[str, ...] = ()
    domain: str = DOMAIN


USUAL_DNS: Final = Dns(
    (DnsPods(USUAL[0], tuple(USUAL[1].items()), tuple((protocol, PORT) for protocol in _PROTOCOLS)),)
)


@dataclass(frozen=True)
class Asked:
    """What the installation says of it. `service`: the one that counts; None: it is found. `addresses`: as CIDRs."""

    service: ServiceName | None = None
    addresses: tuple[str, ...] = ()
    openshift: bool = False
    """Whether the cluster is one."""
    domain: str = DOMAIN

    @property
    def services(self) -> tuple[ServiceName, ...]:
        """Those of the DNS pods: the first that leads to pods counts."""
        usual = (OPENSHIFT, *KNOWN) if self.openshift else KNOWN
        return (self.service,) if self.service else usual

    @property
    def watched(self) -> tuple[ServiceName, ...]:
        """All where a change may move the DNS."""
        return (*self.services, NODE_LOCAL)


def find(asked: Asked, services: Mapping[ServiceName, Mapping[str, Any]]) -> Dns:
    """`services`: specs of Services by their names; those of `asked.watched` that are there are enough.

    Without any that leads to pods it is where Kubernetes has it usually.
    """
    led = ((name, pods) for name in asked.services if (pods := _pods(name[0], services.get(name))))
    name, pods = next(led, (None, None))
    own = service_addresses(services.get(name) if name else None)
    local = [NODE_LOCAL_ADDRESS, *own] if NODE_LOCAL in services else []
    addresses = dict.fromkeys([*map(_host, local), *asked.addresses])
    return Dns((pods,) if pods else USUAL_DNS.pods, tuple(addresses), asked.domain)


def rules(dns: Dns) -> Iterator[Manifest]:
    """The rules of a NetworkPolicy that open it."""
    for one in dns.pods:
        peer = {
            "namespaceSelector": {"matchLabels": {NAMESPACE_NAME_LABEL: one.namespace}},
            "podSelector": {"matchLabels": dict(one.labels)},
        }
        yield {"to": [peer], "ports": [{"port": port, "protocol": protocol} for protocol, port in one.ports]}
    if dns.addresses:
        ports = [{"port": PORT, "protocol": protocol} for protocol in _PROTOCOLS]
        yield {"to": [{"ipBlock": {"cidr": address}} for address in dns.addresses], "ports": ports}


def words(dns: Dns) -> str:
    """For a person: `kube-system/k8s-app=kube-dns`."""
    pods = (f"{one.namespace}/{','.join(f'{key}={value}' for key, value in one.labels)}" for one in dns.pods)
    return ", ".join([*pods, *dns.addresses])


def service_addresses(spec: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Those that the cluster gave to a Service, of one or both families; a headless one has none."""
    found: Iterable[str] = (spec or {}).get("clusterIPs") or ()
    return tuple(address for address in found if address != "None")


def _pods(namespace: str, spec: Mapping[str, Any] | None) -> DnsPods | None:
    """Where a Service leads; None where to no pods. A selector that is empty would be every pod of the namespace."""
    selector = (spec or {}).get("selector")
    if not spec or not selector or spec.get("type") == "ExternalName":
        return None
    ports = [
        (protocol, port.get("targetPort") or PORT)
        for protocol in _PROTOCOLS
        for port in spec.get("ports") or []
        if port.get("port") == PORT and port.get("protocol", "TCP") == protocol
    ]
    return DnsPods(namespace, tuple(sorted(selector.items())), tuple(ports)) if ports else None


def _host(address: str) -> str:
    return str(ipaddress.ip_network(address))
