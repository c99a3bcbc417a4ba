"""The phases in which an agent comes to be, each with all that is its own: what it writes, what it takes away again.

A phase is written only when the ones before it are known to be stored. A new kind of child belongs to one of these, or
brings a phase of its own: build, prune, the condition that speaks of it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from ringfence.api.status import ConditionType

from .compare import stamp
from .gateway import gateway_children, is_of_gateway
from .kinds import Manifest
from .model import ALLOW as ALLOWING
from .model import ROTATION_LABEL, Agent, Ref, child_name
from .network import allow_policy, deny_policy
from .permissions import elsewhere, role, role_binding, service_account
from .rotation import rotation_children
from .runs import makes_pods, workload
from .service import service, service_name
from .stored import Desired, StoredChild
from .verification import is_verification, verification
from .workload import volume_claim


class Order(IntEnum):
    """Which phase comes before which."""

    DENY = 0
    ALLOW = 1
    PERMISSIONS = 2
    SECRETS = 3
    GATEWAY = 4
    WORKLOAD = 5


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One phase.

    `build`: its children for an agent, in order. `prunes`: whether a stored child that is not built any more, and
    belongs to the agent, is this phase's to take away. `fence`: kinds of its children that decide what the agent can
    reach: an edit of one may let it do more. `gives`: those of them without which it reaches less.
    """

    order: Order
    condition: ConditionType
    build: Callable[[Agent], Sequence[Manifest | None]]
    prunes: Callable[[StoredChild], bool]
    fence: frozenset[str] = frozenset()
    gives: frozenset[str] = frozenset()

    def desired(self, agent: Agent) -> list[Desired]:
        """Its children, stamped."""
        return [Desired(stamp(manifest)) for manifest in self.build(agent) if manifest]

    def prune(self, wanted: frozenset[Ref], live: Iterable[StoredChild]) -> list[StoredChild]:
        """Those of an agent's stored children that are this phase's, and are not wanted any more."""
        return [child for child in live if child.ref not in wanted and self.prunes(child)]


def _never(_: StoredChild) -> bool:
    """Kept: the deny policy and the account are always built, and no edit of the spec loses a volume's data."""
    return False


def _opens(child: StoredChild) -> bool:
    """The one of this name: another one that claims to be the agent's is somebody's, and is told."""
    return child.ref.kind == "NetworkPolicy" and child.ref.name == child_name(child.agent_label or "", ALLOWING)


def _rotates(child: StoredChild) -> bool:
    by_name = child.ref.kind == "CronJob" and not makes_pods(child.ref.kind, child.ref.name)
    return by_name or any(key == ROTATION_LABEL for key, _ in child.labels)


def _grants(child: StoredChild) -> bool:
    return child.ref.kind in {"Role", "RoleBinding"} and not _rotates(child)


def _lets_out(child: StoredChild) -> bool:
    return is_of_gateway(child.ref.name)


def _leads(child: StoredChild) -> bool:
    """The one of this name, like the allow policy; and what tried the fence, once it is told."""
    if is_verification(child.ref.kind, child.ref.name):
        return True
    return child.ref.kind == "Service" and child.ref.name == service_name(child.agent_label or "")


PHASES = (
    Phase(
        order=Order.DENY,
        condition=ConditionType.NETWORK_POLICY_APPLIED,
        build=lambda agent: [deny_policy(agent)],
        prunes=_never,
        fence=frozenset({"NetworkPolicy"}),
    ),
    Phase(
        order=Order.ALLOW,
        condition=ConditionType.NETWORK_POLICY_APPLIED,
        build=lambda agent: [allow_policy(agent)],
        prunes=_opens,
        fence=frozenset({"NetworkPolicy"}),
        gives=frozenset({"NetworkPolicy"}),
    ),
    Phase(
        order=Order.PERMISSIONS,
        condition=ConditionType.RIGHTS_APPLIED,
        build=lambda agent: [service_account(agent), role(agent), role_binding(agent), *elsewhere(agent)],
        prunes=_grants,
        fence=frozenset({"Role", "RoleBinding"}),
        gives=frozenset({"RoleBinding"}),
    ),
    Phase(
        order=Order.SECRETS,
        condition=ConditionType.SECRETS_FRESH,
        build=lambda agent: [*rotation_children(agent)],
        prunes=_rotates,
    ),
    Phase(
        order=Order.GATEWAY,
        condition=ConditionType.GATEWAY_READY,
        build=gateway_children,
        prunes=_lets_out,
        fence=frozenset({"NetworkPolicy"}),
    ),
    Phase(
        order=Order.WORKLOAD,
        condition=ConditionType.WORKLOAD_AVAILABLE,
        build=lambda agent: [volume_claim(agent), service(agent), *workload(agent), verification(agent)],
        prunes=_leads,
    ),
)
"""In order: deny, allow, permissions, secrets, gateway, workload."""
DENY, ALLOW, PERMISSIONS, SECRETS, GATEWAY, WORKLOAD = PHASES
DECIDES_REACH = frozenset[str]().union(*(phase.fence for phase in PHASES))
"""All of these kinds. Of a rotation's children, an edit of such a one may let its job do more."""
