"""The children that an agent becomes, in the order in which they are written: deny, allow, rights, keys, run."""

from .compare import stamp
from .model import Agent, Identity, Manifest
from .network import allow_policy, deny_policy
from .permissions import role, role_binding, service_account
from .rotation import rotation_children
from .workload import deployment, volume_claim


def build(agent: Agent) -> list[Manifest]:
    """All children, in order. What this list does not name, and carries the agent's mark, is to be removed."""
    children = [
        deny_policy(agent),
        allow_policy(agent),
        service_account(agent),
        role(agent),
        role_binding(agent),
        *rotation_children(agent),
        volume_claim(agent),
        deployment(agent),
    ]
    return [stamp(manifest) for manifest in children if manifest]


def build_deny(agent: Identity) -> Manifest:
    """The first child alone: what stays in force for an agent that is not accepted."""
    return stamp(deny_policy(agent))
