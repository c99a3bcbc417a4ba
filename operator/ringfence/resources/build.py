"""The children that an agent becomes, phase by phase: deny, allow, permissions, secrets, gateway, workload."""

from collections.abc import Sequence

from .compare import stamp
from .kinds import Manifest
from .model import Agent, Identity
from .network import deny_policy, standing_policy
from .permissions import ceiling_binding
from .phases import PHASES


def build(agent: Agent) -> list[Manifest]:
    """All children, in the order in which they are written."""
    return [desired.manifest for phase in PHASES for desired in phase.desired(agent)]


def build_deny(agent: Identity) -> Manifest:
    """The first child alone: what stays in force for an agent that is not accepted."""
    return stamp(deny_policy(agent))


def build_standing(namespace: str) -> Manifest:
    """The policy of a namespace for all of its agents' pods."""
    return stamp(standing_policy(namespace))


def build_ceiling(namespace: str, account: tuple[str, str], groups: Sequence[str] = ()) -> Manifest:
    """The binding by which the controller, `account` (namespace, name), may give agents of a namespace anything.

    `groups`: who may exec into agents there.
    """
    return stamp(ceiling_binding(namespace, account, groups))
