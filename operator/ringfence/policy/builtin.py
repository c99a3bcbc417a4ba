"""Policies that are part of Ringfence itself."""

from typing import Final

from ringfence.api import AgentPolicySpec

from .model import NamedPolicy

RESTRICTED: Final = NamedPolicy("restricted (built-in)", AgentPolicySpec())
"""Binds where no AgentPolicy does.

Permissions to read at most, no egress by address, none to other namespaces' Services, images from anywhere but
pinned by digest: the defaults of AgentPolicy, which are its most restrictive values except that any registry
may be used.
"""
