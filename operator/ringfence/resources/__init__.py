"""The children that an AgentDeployment becomes. Pure: `build(agent) -> [manifest]`."""

from .build import build, build_ceiling, build_deny, build_standing
from .kinds import CHILD_KINDS, ChildKind, Manifest
from .model import Agent, Endpoint, Identity, JobImage, Ref, ServicePort

__all__ = [
    "CHILD_KINDS",
    "Agent",
    "ChildKind",
    "Endpoint",
    "Identity",
    "JobImage",
    "Manifest",
    "Ref",
    "ServicePort",
    "build",
    "build_ceiling",
    "build_deny",
    "build_standing",
]
