"""The Service of an agent's ports: an address inside of the cluster. It opens nothing: network.ingress does."""

import hashlib
from typing import Final

from .kinds import Manifest
from .model import Agent, child, child_name

MAX_NAME: Final = 63
"""Characters of a Service's name, which is a part of a host's name."""


def service_name(agent: str) -> str:
    """Its name. The name of an agent that is too long for that is cut, and ends with a digest of the whole."""
    name = child_name(agent)
    if len(name) <= MAX_NAME:
        return name
    digest = hashlib.sha256(agent.encode()).hexdigest()[:10]
    return f"{name[: MAX_NAME - len(digest) - 1]}-{digest}"


def service(agent: Agent) -> Manifest | None:
    """Of an agent with ports; None without. For pods of this agent alone, and never shown outside of the cluster."""
    ports = {port.port: port.name for port in reversed(agent.spec.ports)}  # two names of one number: the first
    if not ports:
        return None
    spec: Manifest = {
        "type": "ClusterIP",
        "selector": agent.selector,
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ports": [
            {"name": one.name, "port": one.port, "protocol": "TCP", "targetPort": one.port}
            for one in agent.spec.ports
            if ports[one.port] == one.name
        ],
    }
    return child(agent, "v1", "Service", name=service_name(agent.name), spec=spec)
