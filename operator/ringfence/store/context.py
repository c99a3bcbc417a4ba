"""What decisions depend on: namespaces, policies, the cluster's own networks. Without I/O, fed by informers.

Admission server and controller ask it for the `Facts` and policies that `decide` takes. It keeps only what a decision
needs, never whole objects.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from types import MappingProxyType
from typing import Any, Final, Protocol

import structlog

from ringfence.api.names import CONSENT_ANNOTATION, DELEGATE_ANNOTATION
from ringfence.kube.proof import Proof
from ringfence.policy.consent import Consent, Consents, read_consent
from ringfence.policy.limits import Claim
from ringfence.policy.model import Facts, NamedPolicy, Network
from ringfence.policy.reading import read_policy
from ringfence.policy.selectors import matches
from ringfence.resources import Endpoint

from .api_server import ApiServerAddresses, Doubted
from .claims import Claims
from .shapes import at, full_name, items, labels, networks
from .sources import AGENT_POLICY, ENDPOINT_SLICE, NAMESPACE, NODE, SERVICE_CIDR, SOURCES

log = structlog.get_logger(__name__)


class View(Protocol):
    """What a decision asks for."""

    def facts(self, namespace: str) -> Facts: ...
    def policies(self) -> list[NamedPolicy]: ...
    def claims(self, namespace: str) -> list[Claim] | None:
        """What agents of the namespace ask for; None: not known."""

    def delegate(self, namespace: str) -> str | None:
        """What the namespace's annotation says of whose permissions are asked about; None: nothing."""


@dataclass(frozen=True)
class Snapshot:
    """A View of one moment and one namespace, read past the cache."""

    seen: Facts
    bound: tuple[NamedPolicy, ...]
    agents: tuple[Claim, ...] | None = None
    delegate_name: str | None = None

    def facts(self, namespace: str) -> Facts:  # noqa: ARG002 - it was made for that one
        """What `decide` is to know."""
        return self.seen

    def policies(self) -> list[NamedPolicy]:
        """Every AgentPolicy."""
        return list(self.bound)

    def claims(self, namespace: str) -> list[Claim] | None:  # noqa: ARG002 - it was made for that one
        """What agents of the namespace ask for."""
        return None if self.agents is None else list(self.agents)

    def delegate(self, namespace: str) -> str | None:  # noqa: ARG002 - it was made for that one
        """Whose permissions are asked about."""
        return self.delegate_name


class PolicyContext:
    """The context of decisions. Not to be asked before it is synced: every kind of `SOURCES` was listed once.

    `api_server_networks`: where the API server's addresses are believed without being named by its certificate.
    `own_namespace`: where Ringfence runs, which is closed to agents; the API server does not call the webhook there.
    `api_audiences`: for whom the API server takes tokens, as far as that is known.
    """

    def __init__(
        self,
        extra_networks: Iterable[Network] = (),
        *,
        api_server_networks: Iterable[Network] = (),
        own_namespace: str | None = None,
        api_audiences: Iterable[str] = (),
    ) -> None:
        self._extra, self._own = tuple(extra_networks), own_namespace
        self._audiences = frozenset(api_audiences)
        self.api_server_addresses = ApiServerAddresses(api_server_networks)
        self.agents: Claims | None = None
        """What agents ask for, as the admission server keeps it; the controller asks its store, which knows more."""
        self._listed: set[str] = set()
        self._labels: dict[str, Mapping[str, str]] = {}
        self._delegates: dict[str, str] = {}
        self._consents: dict[str, Consent] = {}
        self.consents: Consents = MappingProxyType({})
        """Of namespaces to permissions in them: made anew with each change, as others hold on to it."""
        self._policies: dict[str, NamedPolicy] = {}
        self._changed_last: tuple[str, NamedPolicy | None] = ("", None)
        """Name of a policy, and what it was before."""
        self._networks: dict[tuple[str, str], tuple[Network, ...]] = {}
        self._all_networks: tuple[Network, ...] | None = None
        self._inside: tuple[Network, ...] | None = None
        self._api_server: tuple[Endpoint, ...] = ()
        self._closed: tuple[Network, ...] = ()
        self._bound: tuple[int, dict[str, list[NamedPolicy]]] = (0, {})
        """By namespace, the policies that select it, and the version at which that was found."""
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

    def replace(self, kind: str, found: Sequence[Any]) -> None:
        """Take `found` as all objects of `kind`; those that are not among them are forgotten."""
        known: Any = {NAMESPACE: self._labels, AGENT_POLICY: self._policies}.get(kind)
        present = {full_name(item) for item in found}
        if kind == NAMESPACE:
            for gone in self._delegates.keys() - present:
                self._put_delegate(gone, None)
            for gone in self._consents.keys() - present:
                self._put_consent(gone, None)
        if known is not None:
            for gone in known.keys() - present:
                self._put(known, gone, None)
        for key in [key for key in self._networks if key[0] == kind and key[1] not in present]:
            self._put_networks(key, None)
        if kind == ENDPOINT_SLICE:
            self.api_server_addresses.retain(present)
            self._judge_api_server()
        for item in found:
            self.observe(kind, "ADDED", item)
        self._listed.add(kind)

    def observe(self, kind: str, event_type: str | None, body: Mapping[str, Any]) -> None:
        """Take one event: ADDED, MODIFIED, DELETED, or None for an object of a first list (kopf)."""
        name = full_name(body)
        deleted = event_type == "DELETED"
        if kind == NAMESPACE:
            self._put(self._labels, name, None if deleted else labels(body))
            self._put_delegate(name, None if deleted else _delegate(body))
            self._put_consent(name, None if deleted else _consent(body))
        elif kind == AGENT_POLICY:
            before = self._policies.get(name)
            if self._put(self._policies, name, None if deleted else _policy(name, body)):
                self._changed_last = name, before
        elif kind == ENDPOINT_SLICE:
            self.api_server_addresses.observe(body, deleted=deleted)
            self._judge_api_server()
        elif kind in _NETWORKS_OF:
            self._put_networks((kind, name), (() if deleted else _NETWORKS_OF[kind](body)) or None)
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

    def _put_delegate(self, namespace: str, named: str | None) -> None:
        self._put(self._delegates, namespace, named)

    def _put_consent(self, namespace: str, consent: Consent | None) -> None:
        if self._put(self._consents, namespace, consent):
            self.consents = MappingProxyType(dict(self._consents))

    def _put_networks(self, key: tuple[str, str], found: tuple[Network, ...] | None) -> None:
        before = self._networks.get(key, ())
        if self._put(self._networks, key, found):
            self._all_networks = self._inside = None
            # Of ten thousand nodes, which are listed one by one, hardly any has to do with it.
            if self.api_server_addresses.announced_in((*before, *(found or ()))):
                self._judge_api_server()

    def take_proofs(self, proofs: Mapping[Endpoint, Proof]) -> None:
        """What was found at the addresses of `api_server_claims`."""
        self.api_server_addresses.take(proofs)
        self._judge_api_server()

    def _judge_api_server(self) -> None:
        """Only what is believed, or ceases to be, is a change: whoever announces lies wakes nobody."""
        inside = self._pods_and_services()
        believed, closed = self.api_server_addresses.believed(inside), self.api_server_addresses.closed(inside)
        if (believed, closed) != (self._api_server, self._closed):
            self._api_server, self._closed, self._all_networks = believed, closed, None
            self.version += 1

    def facts(self, namespace: str) -> Facts:
        """What `decide` is to know about `namespace`. One that was never seen has no labels: it is closed."""
        known = self._labels.get(namespace, {})
        return self._facts(known)

    def _facts(self, known: Mapping[str, str]) -> Facts:
        return Facts(
            namespace_labels=known,
            cluster_networks=self._cluster_networks(),
            own_namespace=self._own,
            consents=self.consents,
            api_audiences=self._audiences,
        )

    def policies(self) -> list[NamedPolicy]:
        """Every AgentPolicy, by name. One that cannot be read is among them and allows nothing."""
        return [self._policies[name] for name in sorted(self._policies)]

    def policies_for(self, namespace: str) -> Sequence[NamedPolicy]:
        """Those that select `namespace`, by name: with them alone `decide` comes to the same as with all.

        Found once, and not for each of its agents: a cluster may have a policy for each team.
        """
        if self._bound[0] != self.version:
            self._bound = (self.version, {})
        known = self._bound[1].get(namespace)
        if known is None:
            labels_of = self._labels.get(namespace, {})
            known = [one for one in self.policies() if matches(one.spec.namespace_selector, labels_of)]
            self._bound[1][namespace] = known
        return known

    def touched_by(self, kind: str, name: str | None) -> list[str]:
        """The namespaces to which the last change of a Namespace or of an AgentPolicy matters.

        Of a policy: those that it selects, and those that it selected before. `name`: None for many: all.
        """
        if name is None:
            return self.namespaces()
        if kind == NAMESPACE:
            return [name]
        changed, before = self._changed_last
        known = (self._policies.get(name), before if changed == name else None)
        found = [one.spec.namespace_selector for one in known if one is not None]
        return [place for place, labels_of in self._labels.items() if any(matches(one, labels_of) for one in found)]

    def claims(self, namespace: str) -> list[Claim] | None:
        """What agents of the namespace ask for; None while that is not known."""
        return self.agents.of(namespace) if self.agents is not None and self.agents.listed else None

    def delegate(self, namespace: str) -> str | None:
        """What the namespace's annotation says of whose permissions are asked about; None: nothing."""
        return self._delegates.get(namespace)

    def with_fresh(
        self,
        namespace: Mapping[str, Any],
        policies: Sequence[Any],
        agents: Sequence[Claim] | None = None,
        targets: Iterable[Mapping[str, Any]] = (),
    ) -> Snapshot:
        """A view of `namespace`, of all `policies` (objects just read) and its `agents`, with the cache's networks.

        `targets`: other namespaces, just read too, whose consent counts.

        The cache itself does not change: a watch may have shown it something newer in the meantime.
        """
        read = {full_name(one): _consent(one) for one in targets}
        kept = {name: one for name, one in self.consents.items() if name not in read}
        consents = {**kept, **{name: one for name, one in read.items() if one is not None}}
        facts = replace(self._facts(labels(namespace)), consents=consents)
        named = sorted((_policy(full_name(body), body) for body in policies), key=lambda policy: policy.name)
        return Snapshot(facts, tuple(named), None if agents is None else tuple(agents), _delegate(namespace))

    def namespaces(self) -> list[str]:
        """All that were seen."""
        return list(self._labels)

    def knows(self, namespace: str) -> bool:
        """Whether the cache holds `namespace`: what it does not hold stays out of metric labels."""
        return namespace in self._labels

    @property
    def api_server(self) -> tuple[Endpoint, ...]:
        """All addresses of the API server, as pods reach it, as far as they are proven."""
        return self._api_server

    @property
    def api_server_claims(self) -> tuple[Endpoint, ...]:
        """The addresses that are announced as the API server's, and are to be proven."""
        return self.api_server_addresses.claims(self._pods_and_services())

    @property
    def api_server_is_on_nodes(self) -> bool:
        """Whether the API server announces an address of a node, or none that could be its own."""
        nodes = {one for (kind, _), those in self._networks.items() if kind == NODE for one in those}
        found = self.api_server_addresses.claims(self._pods_and_services())
        return not found or any(ip_network(one.address) in nodes for one in found)

    @property
    def doubted(self) -> Sequence[Doubted]:
        """What is announced and not believed."""
        return self.api_server_addresses.doubted(self._pods_and_services())

    def _pods_and_services(self) -> tuple[Network, ...]:
        """Networks of pods (what is more than one address of a node) and of Services."""
        if self._inside is None:
            found = [
                one
                for (kind, _), those in self._networks.items()
                for one in those
                if kind == SERVICE_CIDR or one.num_addresses > 1
            ]
            self._inside = _collapsed(found)
        return self._inside

    def _cluster_networks(self) -> tuple[Network, ...]:
        # Thousands of nodes collapse to a few networks; computed on change, not on each review.
        if self._all_networks is None:
            known = (network for found in self._networks.values() for network in found)
            self._all_networks = _collapsed([*self._extra, *self._closed, *known])
        return self._all_networks


def _collapsed(found: Iterable[Network]) -> tuple[Network, ...]:
    known = tuple(found)
    v4 = collapse_addresses(network for network in known if isinstance(network, IPv4Network))
    v6 = collapse_addresses(network for network in known if isinstance(network, IPv6Network))
    return (*v4, *v6)


def _delegate(namespace: Any) -> str | None:
    named = at(namespace, "metadata", "annotations", DELEGATE_ANNOTATION)
    return named if isinstance(named, str) else None


def _consent(namespace: Any) -> Consent | None:
    """None where there is none, or where the namespace is being deleted."""
    written = at(namespace, "metadata", "annotations", CONSENT_ANNOTATION)
    if not isinstance(written, str) or at(namespace, "metadata", "deletionTimestamp"):
        return None
    return read_consent(written)


def _policy(name: str, body: Any) -> NamedPolicy:
    policy, errors = read_policy(name, at(body, "spec"))
    if errors:
        log.error(
            "AgentPolicy cannot be read: the namespaces that it selects get no new agent until it is fixed",
            policy=name,
            errors=[f"{error.path}: {error.message}" for error in errors[:10]],
        )
    return policy


def _node_networks(body: Any) -> tuple[Network, ...]:
    # Every address: the kubelet answers on the external ones as well.
    addresses = (at(address, "address") for address in items(at(body, "status", "addresses")))
    ranges = [*items(at(body, "spec", "podCIDRs")), at(body, "spec", "podCIDR")]
    return networks([*addresses, *ranges])


def _service_networks(body: Any) -> tuple[Network, ...]:
    return networks(items(at(body, "spec", "cidrs")))


_NETWORKS_OF: Final[Mapping[str, Callable[[Any], tuple[Network, ...]]]] = MappingProxyType(
    {NODE: _node_networks, SERVICE_CIDR: _service_networks}
)
