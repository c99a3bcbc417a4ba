"""Addresses around an agent that a trial of its fence must find closed: of the canary, of DNS, of others' gateways."""

from typing import Any, Final

from ringfence.api.names import GATEWAY_PREFIX
from ringfence.proof.attempts import MOST_GATEWAYS, Surroundings
from ringfence.resources import Endpoint
from ringfence.resources.gateway_names import gateway_name

from .records import Key
from .shapes import at, items
from .store import Store

CANARY: Final = "ringfence-canary"
"""The chart's Service that answers everybody, beside the controller."""


def surroundings(store: Store, key: Key) -> Surroundings:
    """As the store knows them at this moment."""
    canary = store.services.get((store.context.facts(key.namespace).own_namespace or "", CANARY))
    spec: dict[str, Any] = canary.spec if canary else {}
    ports = [port["port"] for port in items(spec.get("ports")) if port.get("protocol", "TCP") == "TCP"][:1]
    found = [Endpoint(address, port) for address in (canary.addresses if canary else ()) for port in ports]
    return Surroundings(tuple(found), store.dns.addresses(), tuple(_gateways(store, key)))


def _gateways(store: Store, key: Key) -> list[str]:
    """Of other agents of its namespace first: those are the ones that it could take for its own."""
    own = gateway_name(key.name)
    refs = [
        ref
        for ref in store.children.items
        if ref.kind == "Service" and ref.name.startswith(GATEWAY_PREFIX) and (ref.namespace, ref.name) != (key[0], own)
    ]
    refs.sort(key=lambda ref: (ref.namespace != key.namespace, ref))
    shown = (at(store.children.items[ref].shown, "spec", "clusterIP") for ref in refs[:MOST_GATEWAYS])
    return [address for address in shown if address and address != "None"]
