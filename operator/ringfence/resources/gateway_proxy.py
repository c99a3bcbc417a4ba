"""A corporate proxy: an agent's gateway reaches it and no host, and has its credentials, which no other pod gets."""

from ipaddress import ip_address
from typing import Final

from ringfence.api.names import UPSTREAM_CREDENTIALS, UPSTREAM_PROXY_ANNOTATION

from .kinds import Manifest
from .model import Agent

PROXY_DIRECTORY: Final = "/etc/ringfence/proxy"
_VOLUME: Final = "upstream-proxy"


def proxy_way(agent: Agent) -> list[Manifest]:
    """Of the gateway's policy, in place of public addresses."""
    proxy = agent.upstream_proxy
    if proxy is None:
        return []
    peers = [{"ipBlock": {"cidr": f"{one}/{ip_address(one).max_prefixlen}"}} for one in proxy.addresses]
    return [{"to": peers, "ports": [{"port": proxy.port, "protocol": "TCP"}]}]


def proxy_marks(agent: Agent) -> dict[str, str]:
    """On the pods' template: what Envoy starts with is another with a proxy than without."""
    proxy = agent.upstream_proxy
    return {} if proxy is None else {UPSTREAM_PROXY_ANNOTATION: f"{','.join(proxy.addresses)} port {proxy.port}"}


def proxy_volumes(agent: Agent) -> list[Manifest]:
    """The one key of the Secret. Not optional: Envoy begins when it is there, and so takes it up for certain."""
    proxy = agent.upstream_proxy
    if proxy is None or not proxy.secret:
        return []
    items = [{"key": UPSTREAM_CREDENTIALS, "path": UPSTREAM_CREDENTIALS}]
    return [{"name": _VOLUME, "secret": {"secretName": proxy.secret, "items": items, "defaultMode": 0o440}}]


def proxy_mounts(agent: Agent) -> list[Manifest]:
    """Where Envoy reads it."""
    return [{"name": _VOLUME, "mountPath": PROXY_DIRECTORY, "readOnly": True}] if proxy_volumes(agent) else []
