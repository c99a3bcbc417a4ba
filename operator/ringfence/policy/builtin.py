"""Policies that are part of Ringfence itself."""

from typing import Final

from ringfence.api import AgentPolicySpec
from ringfence.api.agentpolicy import PolicyImages, PolicyPermissions

from .model import NamedPolicy

RESTRICTED: Final = NamedPolicy("restricted (built-in)", AgentPolicySpec())
"""Binds where no AgentPolicy does: reading rights at most, no egress by address, none to other namespaces' Services,
images from anywhere but pinned by digest. It is the defaults of AgentPolicy, which are its most restrictive values,
except that any registry may be used."""


def unreadable(name: str) -> NamedPolicy:
    """What to decide by where the AgentPolicy `name` exists but cannot be parsed: it binds everywhere, allows nothing."""
    nothing = AgentPolicySpec(permissions=PolicyPermissions(allow=[]), images=PolicyImages(registries=[]))
    return NamedPolicy(f"{name} (unreadable)", nothing)
