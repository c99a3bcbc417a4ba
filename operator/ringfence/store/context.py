"""What decisions depend on: namespaces, policies, the cluster's own networks. Without I/O, fed by informers.

Admission server and controller ask it for the `Facts` and policies that `decide` takes. It keeps only what a decision
needs, never whole objects.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from types import MappingProxyType
from typing import Any, Final, Protocol

import structlog

from ringfence.policy.limits import Bid
from ringfence.policy.model import Facts, NamedPolicy, Network
from ringfence.policy.reading import read_policy
from ringfence.resources import Endpoint

from .bids import Bids
from .sources import AGENT_POLICY, API_SERVICE_SELECTOR, ENDPOINT_SLICE, NAMESPACE, NODE, SERVICE_CIDR, SOURCES

log = structlog.get_logger(__name__)


class View(Protocol):
    """What a decision asks for."""

    def facts(self, namespace: str) -> Facts: ...
    def policies(self) -> list[NamedPolicy]: ...
    def bids(self, namespace: str) -> list[Bid] | None:
        """What agents of the namespace ask for; None: not known."""


@dataclass(frozen=True)
class Snapshot:
    """A View of one moment and one namespace, read past the cache."""

    seen: Facts
    bound: tuple[NamedPolicy, ...]
    agents: tuple[Bid, ...] | None = None

    def facts(self, namespace: str) -> Facts:  # noqa: ARG002 - it was made for that one
        """What `decide` is to know."""
        return self.seen

    def policies(self) -> list[NamedPolicy]:
        """Every AgentPolicy."""
        return list(self.bound)

    def bids(self, namespace: str) -> list[Bid] | None:  # noqa: ARG002 - it was made for that one
        """What agents of the namespace ask for."""
        return None if self.agents is None else list(self.agents)


class PolicyContext:
    """The context of decisions. Not to be asked before it is synced: every kind of `SOURCES` was listed once."""

    def __init__(self, extra_networks: Iterable[Network] = ()) -> None:
        self._extra = tuple(extra_networks)
        self.agents: Bids | None = None
        """What agents ask for, as the admission server keeps it; the controller asks its store, which knows more."""
        self._listed: set[str] = set()
        self._labels: dict[str, Mapping[str, str]] = {}
        self._policies: dict[str, NamedPolicy] = {}
        self._networks: dict[tuple[str, str], tuple[Network, ...]] = {}
        self._all_networks: tuple[Network, ...] | None = None
        self._endpoints: dict[str, tuple[Endpoint, ...]] = {}
        self.version = 0
        """Grows with each change that a decision can depend on; a node's heartbeat is none."""

    @property
    def synced(self) -> bool:
        """Whether every kind was listed at least once."""
        return self._listed >= SOURCES.keys()

    @property
    def missing(self) -> tuple[str, ...]:
        """The kinds that were not listed yet."""
        return tuple(sorted(SOURCES.keys() - self._listed))

    def replace(self, kind: str, items: Sequence[Any]) -> None:
        """Take `items` as all objects of `kind`; those that are not among them are forgotten."""
        known: Any = {NAMESPACE: self._labels, AGENT_POLICY: self._policies}.get(kind)
        present = {_name(item) for item in items}
        if known is not None:
            for gone in known.keys() - present:
                self._put(known, gone, None)
        for key in [key for key in self._networks if key[0] == kind and key[1] not in present]:
            self._put(self._networks, key, None)
            self._all_networks = None
        for gone in [name for name in self._endpoints if kind == ENDPOINT_SLICE and name not in present]:
            self._put(self._endpoints, gone, None)
        for item in items:
            self.observe(kind, "ADDED", item)
        self._listed.add(kind)

    def observe(self, kind: str, event_type: str | None, body: Mapping[str, Any]) -> None:
        """Take one event: ADDED, MODIFIED, DELETED, or None for an object of a first list (kopf)."""
        name = _name(body)
        deleted = event_type == "DELETED"
        if kind == NAMESPACE:
            self._put(self._labels, name, None if deleted else _labels(body))
        elif kind == AGENT_POLICY:
            self._put(self._policies, name, None if deleted else _policy(name, body))
        elif kind in _NETWORKS_OF:
            found = () if deleted else _NETWORKS_OF[kind](body)
            if kind == ENDPOINT_SLICE:
                self._put(self._endpoints, name, None if deleted else _api_server_endpoints(body) or None)
            if self._put(self._networks, (kind, name), found or None):
                self._all_networks = None
        else:
            raise ValueError(f"PolicyContext knows no kind {kind}")

    def _put(self, store: dict[Any, Any], key: Any, value: Any) -> bool:
        """Store `value`, or forget the key with None. True when that changed anything."""
        if store.get(key) == value:
            return False
        self.version += 1
        if value is None:
            del store[key]
        else:
            store[key] = value
        return True

    def facts(self, namespace: str) -> Facts:
        """What `decide` is to know about `namespace`. One that was never seen has no labels: it is closed."""
        labels = self._labels.get(namespace, {})
        return Facts(namespace_labels=labels, cluster_networks=self._cluster_networks())

    def policies(self) -> list[NamedPolicy]:
        """Every AgentPolicy, by name. One that cannot be read is among them and allows nothing."""
        return [self._policies[name] for name in sorted(self._policies)]

    def bids(self, namespace: str) -> list[Bid] | None:
        """What agents of the namespace ask for; None while that is not known."""
        return self.agents.of(namespace) if self.agents is not None and self.agents.listed else None

    def with_fresh(
        self, namespace: Mapping[str, Any], policies: Sequence[Any], agents: Sequence[Bid] | None = None
    ) -> Snapshot:
        """A view of `namespace`, of all `policies` (objects just read) and its `agents`, with the cache's networks.

        The cache itself does not change: a watch may have shown it something newer in the meantime.
        """
        facts = Facts(namespace_labels=_labels(namespace), cluster_networks=self._cluster_networks())
        named = sorted((_policy(_name(body), body) for body in policies), key=lambda policy: policy.name)
        return Snapshot(facts, tuple(named), None if agents is None else tuple(agents))

    def knows(self, namespace: str) -> bool:
        """Whether the cache holds `namespace`: what it does not hold stays out of metric labels."""
        return namespace in self._labels

    @property
    def api_server(self) -> tuple[Endpoint, ...]:
        """All addresses of the API server, as pods reach it."""
        return tuple(sorted({endpoint for found in self._endpoints.values() for endpoint in found}))

    def _cluster_networks(self) -> tuple[Network, ...]:
        # Thousands of nodes collapse to a few networks; computed on change, not on each review.
        if self._all_networks is None:
            known = [*self._extra, *(network for found in self._networks.values() for network in found)]
            v4 = [network for network in known if isinstance(network, IPv4Network)]
            v6 = [network for network in known if isinstance(network, IPv6Network)]
            self._all_networks = (*collapse_addresses(v4), *collapse_addresses(v6))
        return self._all_networks


def _at(body: Any, *path: str) -> Any:
    """The value at `path`, or None where anything on the way is absent or of another shape."""
    for step in path:
        if not isinstance(body, Mapping):
            return None
        body = body.get(step)
    return body


def _items(value: Any) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _name(body: Any) -> str:
    """NAME, or NAMESPACE/NAME."""
    name, namespace = _at(body, "metadata", "name"), _at(body, "metadata", "namespace")
    return f"{namespace}/{name}" if namespace else str(name)


def _labels(body: Any) -> Mapping[str, str]:
    labels = _at(body, "metadata", "labels")
    if not isinstance(labels, Mapping):
        return {}
    return {str(key): str(value) for key, value in labels.items()}


def _policy(name: str, body: Any) -> NamedPolicy:
    policy, errors = read_policy(name, _at(body, "spec"))
    if errors:
        log.error(
            "AgentPolicy cannot be read: the namespaces that it selects get no new agent until it is fixed",
            policy=name,
            errors=[f"{error.path}: {error.message}" for error in errors[:10]],
        )
    return policy


def _parse_networks(texts: Iterable[Any]) -> tuple[Network, ...]:
    """Addresses and networks; what is neither (a host name) is left out."""
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ip_network(text if isinstance(text, str) else "", strict=False))
        except ValueError:
            continue
    return tuple(found)


def _node_networks(body: Any) -> tuple[Network, ...]:
    # Every address: the kubelet answers on the external ones as well.
    addresses = (_at(address, "address") for address in _items(_at(body, "status", "addresses")))
    ranges = [*_items(_at(body, "spec", "podCIDRs")), _at(body, "spec", "podCIDR")]
    return _parse_networks([*addresses, *ranges])


def _service_networks(body: Any) -> tuple[Network, ...]:
    return _parse_networks(_items(_at(body, "spec", "cidrs")))


def _api_server_networks(body: Any) -> tuple[Network, ...]:
    key, _, value = API_SERVICE_SELECTOR.partition("=")
    if _at(body, "metadata", "namespace") != "default" or _labels(body).get(key) != value:
        return ()
    endpoints = _items(_at(body, "endpoints"))
    return _parse_networks(address for one in endpoints for address in _items(_at(one, "addresses")))


def _api_server_endpoints(body: Any) -> tuple[Endpoint, ...]:
    """Addresses and ports of an EndpointSlice of the API server; of any other none."""
    if not _api_server_networks(body):
        return ()
    ports = [port for one in _items(_at(body, "ports")) if isinstance(port := _at(one, "port"), int)]
    addresses = [address for one in _items(_at(body, "endpoints")) for address in _items(_at(one, "addresses"))]
    return tuple(Endpoint(str(address), port) for address in addresses for port in ports)


_NETWORKS_OF: Final[Mapping[str, Callable[[Any], tuple[Network, ...]]]] = MappingProxyType(
    {NODE: _node_networks, SERVICE_CIDR: _service_networks, ENDPOINT_SLICE: _api_server_networks}
)
