"""The names of what an agent's egress gateway consists of."""

import hashlib
from typing import Final

from ringfence.api.names import GATEWAY_PREFIX, GATEWAY_SUFFIX

MAX_NAME: Final = 63
_DIGEST: Final = 10
_SUFFIX: Final = "-gateway"


def gateway_name(agent: str) -> str:
    """Name of all children of its gateway. The Service's is a part of a host's name, and so at most 63 characters."""
    return fitting(f"{GATEWAY_PREFIX}{agent}", _SUFFIX, agent)


def gateway_label(agent: str) -> str:
    """What the label of its pods says."""
    return fitting(agent, GATEWAY_SUFFIX, agent)


def fitting(name: str, suffix: str, agent: str) -> str:
    """A name of at most 63 characters: one that is too long is cut, and has a digest of the agent's in it."""
    if len(name) + len(suffix) <= MAX_NAME:
        return name + suffix
    digest = hashlib.sha256(agent.encode()).hexdigest()[:_DIGEST]
    return f"{name[: MAX_NAME - len(suffix) - _DIGEST - 1].rstrip('-')}-{digest}{suffix}"


def authorities_name(agent: str) -> str:
    """Name of the Secret with the authorities."""
    return f"{gateway_name(agent)}-ca"
