"""The children that an AgentDeployment becomes. Pure: `build(agent) -> [manifest]`."""

from .build import build, build_deny
from .model import Agent, Endpoint, Identity, JobImage, Manifest, ServicePort

__all__ = ["Agent", "Endpoint", "Identity", "JobImage", "Manifest", "ServicePort", "build", "build_deny"]
