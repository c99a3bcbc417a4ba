"""The children that an AgentDeployment becomes. Pure: `build(agent) -> [manifest]`."""

from .build import build, build_deny
from .model import Agent, Endpoint, Manifest, ServicePort

__all__ = ["Agent", "Endpoint", "Manifest", "ServicePort", "build", "build_deny"]
