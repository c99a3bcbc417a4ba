"""The API server's own addresses: what is announced, and what of it is believed. Without I/O.

Agents with permissions and rotation jobs are let out to these addresses, and nobody may be given them by a cidr. They
are announced by an EndpointSlice, which others may write too. So an address counts only when

* it is announced where the API server announces itself (default/kubernetes: it puts others' edits back), and
* it is one that an API server can have, and
* who answers there shows the API server's certificate (ringfence.kube.proof).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Any, Final

from ringfence.kube.proof import Proof
from ringfence.policy.addresses import Addresses
from ringfence.policy.model import Network
from ringfence.policy.special import ALL_PROTECTED
from ringfence.resources import Endpoint

from .shapes import at, full_name, items, labels
from .sources import API_SERVICE_SELECTOR

OWN_SLICE: Final = "default/kubernetes"
"""The one EndpointSlice that the API server writes."""
CLAIMS: Final = 32
"""Addresses that are looked at; a control plane has a handful."""
LAST_PORT: Final = 65535


class Doubt(StrEnum):
    """Why an announced address is not taken for the API server's, as people read it."""

    SLICE = f"the API server announces itself in EndpointSlice {OWN_SLICE} alone"
    PLACE = "no API server has an address there: it is one of pods or Services, or of the machine or the link itself"
    MANY = f"only the first {CLAIMS} addresses are looked at"
    SILENT = "nobody answers there"
    OTHER = "who answers there has no certificate of the cluster's CA for kubernetes.default.svc"
    UNNAMED = (
        "the API server's certificate does not name the address, so that it could be somebody who passes connections "
        "on; where it is right, state its network: apiServerNetworks in the chart's values"
    )


@dataclass(frozen=True)
class Announcement:
    """What one EndpointSlice says. `name`: NAMESPACE/NAME."""

    name: str
    uid: str
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True)
class Doubted:
    """Addresses of one EndpointSlice that are not believed, for one reason."""

    slice: str
    uid: str
    endpoints: tuple[Endpoint, ...]
    doubt: Doubt


class ApiServerAddresses:
    """What is announced, and what was proven of it.

    `stated`: networks in which a certificate need not name the address. `announced`: told when that is another.
    """

    def __init__(self, stated: Iterable[Network] = ()) -> None:
        self.announced: Callable[[], None] = lambda: None
        self._stated = tuple(stated)
        self._slices: dict[str, Announcement] = {}
        self._proofs: Mapping[Endpoint, Proof] = {}

    def observe(self, body: Any, *, deleted: bool) -> None:
        """Take an EndpointSlice as it is now."""
        found = None if deleted else read_announcement(body)
        self._put(full_name(body), found)

    def retain(self, present: Collection[str]) -> None:
        """Forget those that are not among `present`."""
        for gone in [name for name in self._slices if name not in present]:
            self._put(gone, None)

    def take(self, proofs: Mapping[Endpoint, Proof]) -> None:
        """What was found at the addresses of `claims`."""
        self._proofs = dict(proofs)

    def claims(self, inside: Sequence[Network]) -> tuple[Endpoint, ...]:
        """The addresses to be proven: what is known already first. `inside`: networks of pods and Services."""
        own = self._slices.get(OWN_SLICE)
        possible = [one for one in own.endpoints if _possible(one, inside)] if own else []
        possible.sort(key=lambda one: self._proofs.get(one) not in {Proof.ADDRESS, Proof.NAME})
        return tuple(possible[:CLAIMS])

    def announced_in(self, networks: Iterable[Network]) -> bool:
        """Whether an address that is to be judged lies in one of `networks`."""
        own = self._slices.get(OWN_SLICE)
        addresses = [ip_address(one.address) for one in own.endpoints] if own else []
        return any(address in network for network in networks for address in addresses)

    def believed(self, inside: Sequence[Network]) -> tuple[Endpoint, ...]:
        """Where agents with permissions are let out to."""
        return tuple(sorted(one for one in self.claims(inside) if self._doubt(one) is None))

    def closed(self, inside: Sequence[Network]) -> tuple[Network, ...]:
        """What nobody may be given by address: a proof of the name is enough for that."""
        known = {Proof.ADDRESS, Proof.NAME}
        return tuple(ip_network(one.address) for one in self.claims(inside) if self._proofs.get(one) in known)

    def doubted(self, inside: Sequence[Network]) -> list[Doubted]:
        """What is not believed, by EndpointSlice and reason. An address that was not looked at yet is not among it."""
        found: list[Doubted] = []
        claims = self.claims(inside)
        for one in sorted(self._slices.values(), key=lambda one: one.name):
            by_doubt: dict[Doubt, list[Endpoint]] = {}
            for endpoint in one.endpoints:
                if doubt := self._why(one.name, endpoint, claims, inside):
                    by_doubt.setdefault(doubt, []).append(endpoint)
            found += [Doubted(one.name, one.uid, tuple(those), doubt) for doubt, those in by_doubt.items()]
        return found

    def _why(
        self, name: str, endpoint: Endpoint, claims: Collection[Endpoint], inside: Sequence[Network]
    ) -> Doubt | None:
        if name != OWN_SLICE:
            return Doubt.SLICE
        if endpoint in claims:
            return self._doubt(endpoint) if endpoint in self._proofs else None
        return Doubt.MANY if _possible(endpoint, inside) else Doubt.PLACE

    def _doubt(self, endpoint: Endpoint) -> Doubt | None:
        proof = self._proofs.get(endpoint, Proof.SILENT)
        if proof is Proof.NAME:
            address = ip_address(endpoint.address)
            return None if any(address in network for network in self._stated) else Doubt.UNNAMED
        return {Proof.ADDRESS: None, Proof.NONE: Doubt.OTHER, Proof.SILENT: Doubt.SILENT}[proof]

    def _put(self, name: str, found: Announcement | None) -> None:
        if self._slices.get(name) == found:
            return
        if found is None:
            del self._slices[name]
        else:
            self._slices[name] = found
        self.announced()


def read_announcement(body: Any) -> Announcement | None:
    """What an EndpointSlice announces of the API server; None where it is of something else, or of nothing."""
    label, _, value = API_SERVICE_SELECTOR.partition("=")
    if at(body, "metadata", "namespace") != "default" or labels(body).get(label) != value:
        return None
    ports = {port for one in items(at(body, "ports")) if isinstance(port := at(one, "port"), int)}
    addresses = {text for one in items(at(body, "endpoints")) for text in items(at(one, "addresses"))}
    known = sorted(text for text in addresses if _is_address(text))
    found = tuple(Endpoint(text, port) for text in known for port in sorted(ports) if 0 < port <= LAST_PORT)
    return Announcement(full_name(body), str(at(body, "metadata", "uid")), found) if found else None


def _is_address(text: Any) -> bool:
    try:
        ip_address(text if isinstance(text, str) else "")
    except ValueError:
        return False
    return "%" not in text


def _possible(endpoint: Endpoint, inside: Sequence[Network]) -> bool:
    """Whether an API server could have this address: not the machine, the link, many, a pod or a Service."""
    address = ip_address(endpoint.address)
    if Addresses.from_networks([ip_network(endpoint.address)]) & ALL_PROTECTED:
        return False
    return not any(address in network for network in inside)
